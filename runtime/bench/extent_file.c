// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench/extent_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bench/nameless_file.h"

#define WRITE_BYTES (UINT64_C(1) << 20)

/* What page number `page` begins with. */
static uint64_t page_mark(uint64_t page)
{
	return page * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* All of it, whatever the kernel takes at a time. */
static int write_bytes(const struct extent_file *file, const uint8_t *data, uint64_t n, uint64_t at,
		       struct error *err)
{
	while (n) {
		ssize_t put = pwrite(file->fd, data, n, at);

		if (put < 0)
			return error_set(err, -errno,
					 "%s: cannot write %" PRIu64 " bytes at %" PRIu64 ": %s",
					 file->path, n, at, strerror(errno));
		data += put;
		n -= put;
		at += put;
	}
	return 0;
}

/* The first `bytes` of the file, synced: what is dirty does not leave the page cache. */
static int write_pages(const struct extent_file *file, uint64_t bytes, struct error *err)
{
	uint8_t *block = calloc(1, WRITE_BYTES);
	int ret = 0;

	if (!block)
		return error_no_memory(err, "a block to write");
	for (uint64_t at = 0; ret == 0 && at < bytes; at += WRITE_BYTES) {
		uint64_t n = bytes - at < WRITE_BYTES ? bytes - at : WRITE_BYTES;

		for (uint64_t i = 0; i < n; i += EXTENT_PAGE) {
			uint64_t mark = page_mark((at + i) / EXTENT_PAGE);

			memcpy(&block[i], &mark, sizeof(mark));
		}
		ret = write_bytes(file, block, n, at, err);
	}
	free(block);
	if (ret == 0 && fsync(file->fd))
		ret = error_set(err, -errno, "%s: cannot sync: %s", file->path, strerror(errno));
	return ret;
}

int extent_file_resident(const struct extent_file *file, uint64_t *bytes, struct error *err)
{
	unsigned char *vector = malloc(file->bytes / EXTENT_PAGE);
	int ret = 0;

	if (!vector)
		return error_no_memory(err, "a vector of pages");
	*bytes = 0;
	if (mincore((void *)file->map, file->bytes, vector))
		ret = error_set(err, -errno, "%s: cannot ask what is resident: %s", file->path,
				strerror(errno));
	for (size_t i = 0; ret == 0 && i < file->bytes / EXTENT_PAGE; i++)
		*bytes += (vector[i] & 1) * EXTENT_PAGE;
	free(vector);
	return ret;
}

int extent_file_evict(const struct extent_file *file, struct error *err)
{
	uint64_t left;
	int ret;

	/* Pages that are mapped stay. */
	madvise((void *)file->map, file->bytes, MADV_DONTNEED);
	posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
	ret = extent_file_resident(file, &left, err);
	if (ret == 0 && left)
		return error_set(err, -EBUSY,
				 "%s: %" PRIu64 " of its pages do not leave the page cache (a file "
				 "system on a disk is needed)",
				 file->path, left / EXTENT_PAGE);
	return ret;
}

int extent_file_use(const struct extent_file *file, const struct extent *extents, size_t n,
		    struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		for (uint64_t at = 0; at < extents[i].bytes; at += EXTENT_PAGE) {
			uint64_t offset = extents[i].offset + at, mark;

			memcpy(&mark, &file->map[offset], sizeof(mark));
			if (mark != page_mark(offset / EXTENT_PAGE))
				return error_set(err, -EIO, "%s: wrong data at %" PRIu64,
						 file->path, offset);
		}
	}
	return 0;
}

int extent_file_device_reads(const struct extent_file *file, struct device_reads *reads,
			     struct error *err)
{
	uint64_t sectors;
	struct stat status;
	char path[64];
	FILE *stat;
	int found;

	if (fstat(file->fd, &status))
		return error_set(err, -errno, "%s: %s", file->path, strerror(errno));
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(status.st_dev),
		 minor(status.st_dev));
	stat = fopen(path, "re");
	if (!stat)
		return error_set(err, -ENODATA, "%s: its device has no statistics in %s",
				 file->path, path);
	found = fscanf(stat, "%" SCNu64 " %*u %" SCNu64, &reads->ios, &sectors);
	fclose(stat);
	if (found != 2)
		return error_set(err, -ENODATA, "%s: not in the form of Documentation/block/stat",
				 path);
	reads->bytes = sectors * 512;
	return 0;
}

/* With one page, before a gigabyte is written for nothing. */
static int check_file_system(const struct extent_file *file, struct error *err)
{
	struct device_reads reads;
	int ret;

	ret = write_pages(file, EXTENT_PAGE, err);
	if (ret == 0)
		ret = extent_file_evict(file, err);
	return ret < 0 ? ret : extent_file_device_reads(file, &reads, err);
}

int extent_file_create(const char *directory, uint64_t bytes, struct extent_file *file,
		       struct error *err)
{
	int ret = 0;

	*file = (struct extent_file){ .fd = -1, .bytes = bytes, .map = MAP_FAILED };
	if (asprintf(&file->path, "%s/colink-bench-%d.tmp", directory, (int)getpid()) < 0) {
		file->path = NULL;
		return error_no_memory(err, "a path");
	}
	file->fd = nameless_file_open(directory, file->path);
	if (file->fd < 0)
		ret = error_set(err, -errno, "%s: cannot create: %s", file->path, strerror(errno));
	if (ret == 0) {
		file->map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file->fd, 0);
		if (file->map == MAP_FAILED)
			ret = error_set(err, -errno, "%s: cannot map: %s", file->path,
					strerror(errno));
	}
	if (ret == 0)
		ret = check_file_system(file, err);
	if (ret == 0)
		ret = write_pages(file, bytes, err);
	if (ret < 0)
		extent_file_remove(file);
	return ret;
}

void extent_file_remove(struct extent_file *file)
{
	if (!file->path)
		return;
	if (file->map != MAP_FAILED)
		munmap((void *)file->map, file->bytes);
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	file->path = NULL;
}
