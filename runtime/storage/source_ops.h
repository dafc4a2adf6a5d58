/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to the sources: what they share, and the table that each fills in.
 * source.c opens the file, checks every request and dispatches; what a source
 * needs for itself hangs off `state`.
 */
#ifndef COLINK_STORAGE_SOURCE_OPS_H
#define COLINK_STORAGE_SOURCE_OPS_H

#include "storage/source.h"

struct source {
	const struct source_ops *ops;
	void *state; /* from ops->start() to ops->stop() */
	char *path;
	int fd;
	uint64_t file_bytes; /* when it was opened */
	char *arena;
	size_t arena_bytes;
	uint32_t queue_depth;
	bool own_read_ahead; /* of a mapped file; else its device's */
	uint32_t read_ahead_kib; /* 0: none */
	struct source_kernel_options kernel; /* of the source "kernel" */
	uint32_t alignment; /* of offset, length and memory of an I/O; power of two, 1: none */
	const struct source_observer *observer; /* NULL: nobody */
	struct error failure; /* the first read that failed; code 0: none did */
	char description[256];
};

struct source_ops {
	const char *name;
	bool zero_copy; /* data is where the kernel has it: no room is needed */
	bool prefetches; /* what it reads goes to the page cache, by runs: it collapses itself */

	/* Set up: state, alignment, description. On failure nothing is left behind. */
	int (*start)(struct source *source, struct error *err);
	/* Wait for what is in flight and free the state. */
	void (*stop)(struct source *source);

	/* As source_submit() and source_wait(); every range and room is already checked. */
	int (*submit)(struct source *source, struct source_read *reads, uint32_t n_reads,
		      struct error *err);
	int (*wait)(struct source *source, const struct source_read *reads, uint32_t n_reads,
		    struct error *err);
	/* NULL: there is nothing to be done. */
	void (*release)(struct source *source, const struct source_read *reads, uint32_t n_reads);
	/* NULL: reads start by themselves. */
	void (*advance)(struct source *source);
	/* NULL: it is not known when a read is finished. */
	void (*get_finished)(const struct source *source, uint64_t *reads, uint64_t *bytes);
	int (*get_counts)(const struct source *source, struct source_counts *counts,
			  struct error *err);
};

extern const struct source_ops source_uring_ops;
extern const struct source_ops source_pread_ops;
extern const struct source_ops source_mmap_ops;
extern const struct source_ops source_kernel_ops;

/* To be called when the kernel is asked for an I/O. */
static inline void source_started(const struct source *source, uint64_t offset, uint32_t length)
{
	if (source->observer)
		source->observer->started(source->observer->arg, offset, length);
}

/* Remember why a read failed, unless one failed before. `code` is a negative errno. */
void source_fail(struct source *source, const struct source_read *read, int code);

/* The same for a file that now ends at `end`, within the read. */
void source_fail_early_end(struct source *source, const struct source_read *read, uint64_t end);

/* 0, or the remembered failure, copied to *err. */
int source_failure(const struct source *source, struct error *err);

#endif
