/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading whole ranges, and writing files that appear complete or not at all.
 */
#ifndef COLINK_BASE_FILE_H
#define COLINK_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Open a regular file for reading. Directories, pipes and devices are refused.
 * Returns the descriptor (close-on-exec; the caller closes it) and the size in
 * bytes, or a negative errno with a message.
 */
int file_open_read(const char *path, uint64_t *size, struct error *err);

/*
 * Read exactly `length` bytes at `offset`; retries short reads and EINTR. A
 * file that ends early gives -EIO and a message with the offset. `path` is only
 * for messages.
 */
int file_read_at(int fd, void *buffer, size_t length, uint64_t offset, const char *path,
		 struct error *err);

/*
 * A small file as a NUL-terminated string, at most `limit` bytes long, into
 * *text (the caller frees it) and *length (without the NUL).
 */
int file_read_text(const char *path, size_t limit, char **text, size_t *length, struct error *err);

/*
 * A file being written. It gets its name only by output_file_commit(), which syncs
 * file and directory; whatever happens before, a file already under that name stays
 * untouched. Until then it has no name at all and vanishes with the process; where
 * the file system cannot do that, it is `NAME.tmp-PID` in the same directory, and a
 * process that is killed leaves that.
 */
struct output_file;

/*
 * Refuses a path that is there and not a regular file: it would be replaced.
 * output_file_create() does so too; for what takes long before it comes to that.
 */
int output_file_check(const char *path, struct error *err);

/* Whether output_file_create() can be done, which is undone: before long work for the file. */
int output_file_try(const char *path, struct error *err);

int output_file_create(const char *path, struct output_file **file, struct error *err);

/* Append. Buffered; a full disk may show at any later call. */
int output_file_write(struct output_file *file, const void *data, size_t length,
		      struct error *err);

/* Append zero bytes up to `offset`, which must not be before the end. */
int output_file_pad_to(struct output_file *file, uint64_t offset, struct error *err);

/* Bytes appended so far. */
uint64_t output_file_size(const struct output_file *file);

/*
 * Overwrite bytes that were appended before (a header that counts what came
 * after it). The range must lie within what was appended.
 */
int output_file_rewrite(struct output_file *file, uint64_t offset, const void *data, size_t length,
			struct error *err);

/*
 * Flush, fsync, give the file its name, fsync the directory. Frees `file` in every
 * case; on failure nothing is left of it. Only when it is the directory that cannot
 * be synced is the file there although this fails.
 */
int output_file_commit(struct output_file *file, struct error *err);

/* Give up: nothing is left of the file; frees it. NULL is allowed. */
void output_file_abort(struct output_file *file);

#endif
