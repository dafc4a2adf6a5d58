// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench/read_log.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define FIRST_CAPACITY 4096
/* fio reads a file's name by %256s. */
#define MOST_NAME_BYTES 256

static void append(void *arg, uint64_t offset, uint32_t length)
{
	struct read_log *log = arg;

	if (log->n == log->capacity) {
		size_t capacity = log->capacity ? log->capacity * 2 : FIRST_CAPACITY;
		struct read_log_entry *reads = reallocarray(log->reads, capacity, sizeof(*reads));

		if (!reads) {
			log->incomplete = true;
			return;
		}
		log->reads = reads;
		log->capacity = capacity;
	}
	log->reads[log->n++] = (struct read_log_entry){ offset, length };
}

struct source_observer read_log_observer(struct read_log *log)
{
	return (struct source_observer){ .started = append, .arg = log };
}

static int check_name(const char *name, struct error *err)
{
	if (strlen(name) > MOST_NAME_BYTES)
		return error_set(err, -EINVAL, "%s: a name of more than %d bytes, which fio does not "
				 "read", name, MOST_NAME_BYTES);
	for (const char *at = name; *at; at++)
		if (isspace((unsigned char)*at))
			return error_set(err, -EINVAL,
					 "%s: a name with a space in it, which fio does not read",
					 name);
	return 0;
}

static int write_line(struct output_file *out, const char *name, const char *rest,
		      struct error *err)
{
	int ret = output_file_write(out, name, strlen(name), err);

	return ret < 0 ? ret : output_file_write(out, rest, strlen(rest), err);
}

static int write_lines(const struct read_log *log, const char *name, struct output_file *out,
		       struct error *err)
{
	int ret = write_line(out, "fio version 2 iolog\n", "", err);

	if (ret == 0)
		ret = write_line(out, name, " add\n", err);
	if (ret == 0)
		ret = write_line(out, name, " open\n", err);
	for (size_t i = 0; ret == 0 && i < log->n; i++) {
		char rest[64];

		snprintf(rest, sizeof(rest), " read %" PRIu64 " %" PRIu32 "\n",
			 log->reads[i].offset, log->reads[i].length);
		ret = write_line(out, name, rest, err);
	}
	return ret < 0 ? ret : write_line(out, name, " close\n", err);
}

int read_log_write(const struct read_log *log, const char *file, const char *path,
		   struct error *err)
{
	struct output_file *out;
	char *name;
	int ret;

	if (log->incomplete)
		return error_no_memory(err, "the log of reads");
	name = realpath(file, NULL);
	if (!name)
		return error_set(err, -errno, "%s: cannot find its full name: %s", file,
				 strerror(errno));
	ret = check_name(name, err);
	if (ret == 0)
		ret = output_file_create(path, &out, err);
	if (ret < 0)
		goto free_name;
	ret = write_lines(log, name, out, err);
	if (ret == 0)
		ret = output_file_commit(out, err);
	else
		output_file_abort(out);
free_name:
	free(name);
	return ret;
}

void read_log_free(struct read_log *log)
{
	free(log->reads);
	*log = (struct read_log){ 0 };
}
