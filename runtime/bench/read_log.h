/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reads of a replay, in the order in which the kernel was asked for them, for somebody else
 * to repeat: as an iolog of fio, version 2 (fio(1), "Trace file format").
 */
#ifndef COLINK_BENCH_READ_LOG_H
#define COLINK_BENCH_READ_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "storage/source.h"

struct read_log_entry {
	uint64_t offset;
	uint32_t length;
};

/* Start from a zeroed struct, end with read_log_free(). */
struct read_log {
	struct read_log_entry *reads; /* (n): ranges as the kernel was asked for them */
	size_t n;
	size_t capacity; /* reads there is memory for */
	bool incomplete; /* there was no memory for one */
};

/* Appends what it is told of. The log stays in place while the observer is in use. */
struct source_observer read_log_observer(struct read_log *log);

/*
 * Write the log as one of reads of `file`, which has to exist; fio is given its full name.
 * The log appears under `path` complete or not at all (output_file_create()). -EINVAL for a
 * name that fio cannot read back, -ENOMEM for an incomplete log.
 */
int read_log_write(const struct read_log *log, const char *file, const char *path,
		   struct error *err);

void read_log_free(struct read_log *log);

#endif
