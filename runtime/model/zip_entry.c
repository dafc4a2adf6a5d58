// SPDX-License-Identifier: GPL-2.0-only
/*
 * libzip verifies an entry's CRC when a read meets the end of the entry, not when
 * the last byte has been delivered; so after the last byte one more is asked for.
 */
#include "model/zip_entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define SKIP_SIZE (16 * 1024)

/*
 * libzip's word for what happened to `what`, as an errno and a message. Where it
 * runs out of memory it may say "not a zip archive" or the like, but errno tells;
 * so errno is set to 0 before each call that may fail for want of memory.
 */
static int fail(const char *path, const char *what, zip_error_t *why, struct error *err)
{
	if (zip_error_code_zip(why) == ZIP_ER_MEMORY || errno == ENOMEM)
		return error_no_memory(err, path);
	if (zip_error_code_zip(why) == ZIP_ER_CRC)
		return error_set(err, -EIO,
				 "%s: %s: wrong checksum; the file is damaged, fetch it again",
				 path, what);
	return error_set(err, -EIO, "%s: %s: %s; is the file cut short or damaged?", path, what,
			 zip_error_strerror(why));
}

/* The descriptor becomes part of the archive, or is closed. */
static zip_t *open_archive(int fd, zip_error_t *why)
{
	zip_source_t *source;
	zip_t *archive;
	FILE *stream;

	stream = fdopen(fd, "rb");
	if (!stream) {
		zip_error_set(why, ZIP_ER_OPEN, errno);
		close(fd);
		return NULL;
	}
	source = zip_source_filep_create(stream, 0, -1, why);
	if (!source) {
		fclose(stream);
		return NULL;
	}
	archive = zip_open_from_source(source, ZIP_RDONLY, why);
	if (!archive)
		zip_source_free(source);
	return archive;
}

int zip_reader_open(struct zip_reader *reader, const char *path, struct error *err)
{
	zip_error_t why;
	uint64_t size;
	int fd, ret = 0;

	memset(reader, 0, sizeof(*reader));
	fd = file_open_read(path, &size, err);
	if (fd < 0)
		return fd;
	reader->path = strdup(path);
	if (!reader->path) {
		close(fd);
		return error_no_memory(err, path);
	}
	zip_error_init(&why);
	errno = 0;
	reader->archive = open_archive(fd, &why);
	if (!reader->archive) {
		ret = fail(path, "zip archive", &why, err);
		free(reader->path);
	}
	zip_error_fini(&why);
	return ret;
}

static void close_stream(struct zip_reader *reader)
{
	if (reader->stream)
		zip_fclose(reader->stream);
	reader->stream = NULL;
}

void zip_reader_close(struct zip_reader *reader)
{
	close_stream(reader);
	zip_discard(reader->archive);
	free(reader->path);
}

int zip_reader_size(struct zip_reader *reader, uint64_t entry, uint64_t *size, struct error *err)
{
	zip_stat_t st;

	errno = 0;
	if (zip_stat_index(reader->archive, entry, 0, &st) < 0)
		return fail(reader->path, "zip archive", zip_get_error(reader->archive), err);
	if (!(st.valid & ZIP_STAT_SIZE))
		return error_set(err, -EINVAL, "%s: zip entry %llu has no size", reader->path,
				 (unsigned long long)entry);
	*size = st.size;
	return 0;
}

static int open_stream(struct zip_reader *reader, uint64_t entry, const char *what,
		       struct error *err)
{
	int ret;

	close_stream(reader);
	ret = zip_reader_size(reader, entry, &reader->size, err);
	if (ret < 0)
		return ret;
	errno = 0;
	reader->stream = zip_fopen_index(reader->archive, entry, 0);
	if (!reader->stream)
		return fail(reader->path, what, zip_get_error(reader->archive), err);
	reader->entry = entry;
	reader->position = 0;
	return 0;
}

static int next_bytes(struct zip_reader *reader, void *buffer, size_t length, const char *what,
		      struct error *err)
{
	char *to = buffer;

	while (length) {
		zip_int64_t got;

		errno = 0;
		got = zip_fread(reader->stream, to, length);
		if (got < 0)
			return fail(reader->path, what, zip_file_get_error(reader->stream), err);
		if (!got)
			return error_set(err, -EIO,
					 "%s: %s: ends at byte %llu of %llu; the file is damaged",
					 reader->path, what, (unsigned long long)reader->position,
					 (unsigned long long)reader->size);
		to += got;
		length -= (size_t)got;
		reader->position += (uint64_t)got;
	}
	return 0;
}

static int skip_to(struct zip_reader *reader, uint64_t offset, const char *what, struct error *err)
{
	char skipped[SKIP_SIZE];

	while (reader->position < offset) {
		uint64_t left = offset - reader->position;
		size_t part = left < sizeof(skipped) ? left : sizeof(skipped);
		int ret = next_bytes(reader, skipped, part, what, err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* At the last byte, meet the end: only then is the checksum verified. */
static int check_end(struct zip_reader *reader, const char *what, struct error *err)
{
	char beyond;
	zip_int64_t got;

	if (reader->position != reader->size)
		return 0;
	errno = 0;
	got = zip_fread(reader->stream, &beyond, 1);
	if (got < 0)
		return fail(reader->path, what, zip_file_get_error(reader->stream), err);
	if (got)
		return error_set(err, -EIO, "%s: %s: longer than the %llu bytes it should have",
				 reader->path, what, (unsigned long long)reader->size);
	return 0;
}

int zip_reader_read(struct zip_reader *reader, uint64_t entry, uint64_t offset, void *buffer,
		    size_t length, const char *what, struct error *err)
{
	int ret = 0;

	if (!reader->stream || reader->entry != entry || offset < reader->position)
		ret = open_stream(reader, entry, what, err);
	if (ret == 0)
		ret = skip_to(reader, offset, what, err);
	if (ret == 0)
		ret = next_bytes(reader, buffer, length, what, err);
	if (ret == 0)
		ret = check_end(reader, what, err);
	if (ret < 0) /* where the stream stands is not known any more */
		close_stream(reader);
	return ret;
}
