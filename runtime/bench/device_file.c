// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench/device_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "bench/nameless_file.h"

/* Synced one by one, so that what has been written so far is what the clock says. */
#define PART_BYTES ((size_t)16 << 20)

static int write_part(const struct device_file *file, const char *data, size_t n, struct error *err)
{
	uint64_t at = file->bytes;

	while (n) {
		ssize_t put = pwrite(file->fd, data, n, (off_t)at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_set(err, -errno, "%s: cannot write at %llu: %s", file->path,
					 (unsigned long long)at, strerror(errno));
		data += put;
		n -= (size_t)put;
		at += (uint64_t)put;
	}
	if (fdatasync(file->fd))
		return error_set(err, -errno, "%s: cannot sync: %s", file->path, strerror(errno));
	return 0;
}

static int fill(struct device_file *file, uint64_t bytes, uint64_t least_bytes, double seconds,
		uint64_t seed, struct error *err)
{
	double end = clock_ms() + seconds * 1e3;
	uint64_t *part = malloc(PART_BYTES);
	struct random_state random;
	int ret = 0;

	if (!part)
		return error_no_memory(err, "a part of a file");
	random_seed(&random, seed);
	while (ret == 0 && file->bytes < bytes && (file->bytes < least_bytes || clock_ms() < end)) {
		uint64_t rest = bytes - file->bytes;
		size_t n = rest < PART_BYTES ? (size_t)rest : PART_BYTES;

		for (size_t i = 0; i < PART_BYTES / sizeof(*part); i++)
			part[i] = random_next(&random);
		ret = write_part(file, (const char *)part, n, err);
		if (ret == 0)
			file->bytes += n;
	}
	free(part);
	return ret;
}

/* Under the name that it would have if it had one. */
static int make(const char *directory, struct device_file *file, struct error *err)
{
	free(file->path);
	if (asprintf(&file->path, "%s/colink-bench-%d.tmp", directory, (int)getpid()) < 0) {
		file->path = NULL;
		return error_no_memory(err, "a path");
	}
	file->fd = nameless_file_open(directory, file->path);
	if (file->fd < 0)
		return error_set(err, -errno, "%s: cannot create: %s", file->path, strerror(errno));
	return 0;
}

static int open_given(struct device_file *file, uint64_t least_bytes, struct error *err)
{
	file->fd = file_open_read(file->path, &file->bytes, err);
	if (file->fd < 0)
		return file->fd;
	if (file->bytes < least_bytes)
		return error_set(err, -EINVAL, "%s: has %llu MiB, to measure a device takes %llu: "
				 "name the folder instead", file->path,
				 (unsigned long long)(file->bytes >> 20),
				 (unsigned long long)(least_bytes >> 20));
	return 0;
}

int device_file_open(const char *path, uint64_t bytes, uint64_t least_bytes, double seconds,
		     uint64_t seed, struct device_file *file, struct error *err)
{
	struct stat st;
	int ret;

	*file = (struct device_file){ .fd = -1, .path = strdup(path) };
	if (!file->path)
		return error_no_memory(err, path);
	if (stat(path, &st)) {
		ret = error_set(err, -errno, "%s: %s", path, strerror(errno));
	} else if (S_ISDIR(st.st_mode)) {
		ret = make(path, file, err);
		if (ret == 0)
			ret = fill(file, bytes, least_bytes, seconds, seed, err);
	} else {
		ret = open_given(file, least_bytes, err);
	}
	if (ret < 0) {
		device_file_close(file);
		return ret;
	}
	snprintf(file->open_path, sizeof(file->open_path), "/proc/self/fd/%d", file->fd);
	device_file_evict(file);
	return 0;
}

void device_file_close(struct device_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	*file = (struct device_file){ .fd = -1 };
}

void device_file_evict(const struct device_file *file)
{
	posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
}
