// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Large enough that a write is one big I/O, small enough to stay in the L2 cache. */
#define OUTPUT_BUFFER_SIZE (256 * 1024)

/* A signal may interrupt these two on network and FUSE file systems. */
static int open_retrying(const char *path, int flags, mode_t mode)
{
	int fd;

	do
		fd = open(path, flags, mode);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static int fsync_retrying(int fd)
{
	int ret;

	do
		ret = fsync(fd);
	while (ret < 0 && errno == EINTR);
	return ret;
}

int file_open_read(const char *path, uint64_t *size, struct error *err)
{
	struct stat st;
	int fd, ret;

	/* O_NONBLOCK: a FIFO must be refused, not waited for. */
	fd = open_retrying(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, -errno, "%s: cannot open: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0)
		ret = error_set(err, -errno, "%s: cannot stat: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		ret = error_set(err, -EINVAL, "%s: not a regular file", path);
	else {
		*size = (uint64_t)st.st_size;
		return fd;
	}
	close(fd);
	return ret;
}

int file_read_at(int fd, void *buffer, size_t length, uint64_t offset, const char *path,
		 struct error *err)
{
	char *to = buffer;

	while (length) {
		ssize_t got = pread(fd, to, length, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(err, -errno, "%s: read at offset %llu: %s", path,
					 (unsigned long long)offset, strerror(errno));
		if (got == 0)
			return error_set(err, -EIO, "%s: ends at offset %llu, %zu bytes too early",
					 path, (unsigned long long)offset, length);
		to += got;
		offset += (uint64_t)got;
		length -= (size_t)got;
	}
	return 0;
}

int file_read_text(const char *path, size_t limit, char **text, size_t *length, struct error *err)
{
	uint64_t size;
	char *buffer;
	int fd, ret;

	fd = file_open_read(path, &size, err);
	if (fd < 0)
		return fd;
	if (size > limit) {
		ret = error_set(err, -EFBIG, "%s: %llu bytes, at most %zu are expected", path,
				(unsigned long long)size, limit);
		goto close;
	}
	buffer = malloc(size + 1);
	if (!buffer) {
		ret = error_no_memory(err, path);
		goto close;
	}
	ret = file_read_at(fd, buffer, size, 0, path, err);
	if (ret < 0) {
		free(buffer);
		goto close;
	}
	buffer[size] = '\0';
	*text = buffer;
	*length = size;
close:
	close(fd);
	return ret;
}

struct output_file {
	int fd;
	char *path;
	char *temporary; /* name that it has until it gets the final one */
	bool named; /* there is a file under the temporary name */
	uint64_t written; /* bytes that left the buffer */
	size_t buffered;
	char buffer[OUTPUT_BUFFER_SIZE];
};

static void output_file_free(struct output_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->named)
		unlink(file->temporary);
	free(file->temporary);
	free(file->path);
	free(file);
}

/* The rename would put a file in the place of a device, and fail on a directory, too late. */
int output_file_check(const char *path, struct error *err)
{
	struct stat st;

	if (!*path)
		return error_set(err, -EINVAL, "the name of the file to write is empty");
	if (stat(path, &st) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return error_set(err, -EISDIR, "%s: is a directory, name a file in it", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "%s: not a regular file, will not replace it", path);
	return 0;
}

/* The directory that a path names a file in; the caller frees it. NULL: no memory. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
}

/* How a file without a name is reached when it is to get one. */
#define DESCRIPTOR_PATH_SIZE 40

static void descriptor_path(int fd, char path[DESCRIPTOR_PATH_SIZE])
{
	snprintf(path, DESCRIPTOR_PATH_SIZE, "/proc/self/fd/%d", fd);
}

/*
 * A file without a name vanishes with the process, however that ends. Not every file
 * system has them (O_TMPFILE), and without /proc they cannot get a name: -1 then.
 */
static int open_nameless(const char *directory)
{
	int fd = open_retrying(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	char path[DESCRIPTOR_PATH_SIZE];

	if (fd < 0)
		return -1;
	descriptor_path(fd, path);
	if (access(path, F_OK) == 0)
		return fd;
	close(fd);
	return -1;
}

static int create_temporary(struct output_file *file, struct error *err)
{
	const char *temporary = file->temporary;
	char *directory;
	struct stat st;

	if (lstat(temporary, &st) == 0)
		return error_set(err, -EEXIST,
				 "%s: there already, left by a process that was killed: remove it",
				 temporary);
	directory = directory_of(file->path);
	if (!directory)
		return error_no_memory(err, file->path);
	file->fd = open_nameless(directory);
	free(directory);
	if (file->fd >= 0)
		return 0;
	file->fd = open_retrying(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (file->fd < 0)
		return error_set(err, -errno, "%s: cannot create: %s", temporary, strerror(errno));
	file->named = true;
	return 0;
}

int output_file_create(const char *path, struct output_file **result, struct error *err)
{
	struct output_file *file;
	int ret;

	ret = output_file_check(path, err);
	if (ret < 0)
		return ret;
	file = malloc(sizeof(*file));
	if (!file)
		return error_no_memory(err, path);
	file->fd = -1;
	file->written = 0;
	file->buffered = 0;
	file->named = false;
	file->path = strdup(path);
	if (asprintf(&file->temporary, "%s.tmp-%ld", path, (long)getpid()) < 0)
		file->temporary = NULL;
	if (!file->path || !file->temporary)
		ret = error_no_memory(err, path);
	else
		ret = create_temporary(file, err);
	if (ret < 0) {
		output_file_free(file);
		return ret;
	}
	*result = file;
	return 0;
}

int output_file_try(const char *path, struct error *err)
{
	struct output_file *file;
	int ret = output_file_create(path, &file, err);

	if (ret == 0)
		output_file_abort(file);
	return ret;
}

static int write_all(struct output_file *file, const char *data, size_t length, uint64_t offset,
		     struct error *err)
{
	while (length) {
		ssize_t put = pwrite(file->fd, data, length, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_set(err, -errno, "%s: write at offset %llu: %s", file->path,
					 (unsigned long long)offset, strerror(errno));
		data += put;
		offset += (uint64_t)put;
		length -= (size_t)put;
	}
	return 0;
}

static int flush(struct output_file *file, struct error *err)
{
	int ret = write_all(file, file->buffer, file->buffered, file->written, err);

	if (ret < 0)
		return ret;
	file->written += file->buffered;
	file->buffered = 0;
	return 0;
}

int output_file_write(struct output_file *file, const void *data, size_t length,
		      struct error *err)
{
	const char *from = data;

	while (length) {
		size_t room = OUTPUT_BUFFER_SIZE - file->buffered;
		size_t part = length < room ? length : room;

		memcpy(file->buffer + file->buffered, from, part);
		file->buffered += part;
		from += part;
		length -= part;
		if (file->buffered == OUTPUT_BUFFER_SIZE) {
			int ret = flush(file, err);

			if (ret < 0)
				return ret;
		}
	}
	return 0;
}

int output_file_pad_to(struct output_file *file, uint64_t offset, struct error *err)
{
	static const char zeros[4096];

	while (output_file_size(file) < offset) {
		uint64_t missing = offset - output_file_size(file);
		size_t part = missing < sizeof(zeros) ? missing : sizeof(zeros);
		int ret = output_file_write(file, zeros, part, err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

uint64_t output_file_size(const struct output_file *file)
{
	return file->written + file->buffered;
}

int output_file_rewrite(struct output_file *file, uint64_t offset, const void *data, size_t length,
			struct error *err)
{
	int ret = flush(file, err);

	if (ret < 0)
		return ret;
	return write_all(file, data, length, offset, err);
}

/* Opened before the rename, so that after it nothing is left that needs memory. */
static int open_directory_of(const char *path, struct error *err)
{
	char *directory = directory_of(path);
	int fd;

	if (!directory)
		return error_no_memory(err, path);
	fd = open_retrying(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		fd = error_set(err, -errno, "%s: cannot open its directory: %s", path,
			       strerror(errno));
	free(directory);
	return fd;
}

/* linkat() cannot replace a file, rename() can: so by way of the temporary name. */
static int give_name(struct output_file *file, struct error *err)
{
	char path[DESCRIPTOR_PATH_SIZE];

	if (file->named)
		return 0;
	descriptor_path(file->fd, path);
	if (linkat(AT_FDCWD, path, AT_FDCWD, file->temporary, AT_SYMLINK_FOLLOW) < 0)
		return error_set(err, -errno, "%s: cannot create: %s", file->temporary,
				 strerror(errno));
	file->named = true;
	return 0;
}

static int publish(struct output_file *file, int directory, struct error *err)
{
	int ret = give_name(file, err);

	if (ret < 0)
		return ret;
	if (rename(file->temporary, file->path) < 0)
		return error_set(err, -errno, "%s: cannot rename %s to it: %s", file->path,
				 file->temporary, strerror(errno));
	file->named = false;
	/* Some file systems cannot sync a directory; the rename is in order even so. */
	if (fsync_retrying(directory) < 0 && errno != EINVAL)
		return error_set(err, -errno, "%s: written, but its directory cannot be synced: %s",
				 file->path, strerror(errno));
	return 0;
}

int output_file_commit(struct output_file *file, struct error *err)
{
	int directory, ret;

	directory = open_directory_of(file->path, err);
	ret = directory < 0 ? directory : flush(file, err);
	if (ret == 0 && fsync_retrying(file->fd) < 0)
		ret = error_set(err, -errno, "%s: cannot sync: %s", file->path, strerror(errno));
	if (ret == 0)
		ret = publish(file, directory, err);
	if (directory >= 0)
		close(directory);
	output_file_free(file);
	return ret;
}

void output_file_abort(struct output_file *file)
{
	if (file)
		output_file_free(file);
}
