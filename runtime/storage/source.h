/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A source brings byte ranges of one file into memory, asynchronously.
 *
 *   uring   io_uring, O_DIRECT, registered file and buffers, many reads in flight
 *   pread   buffered pread on a thread of its own
 *   mmap    the file mapped; a read is a page fault in whoever computes with it
 *   kernel  the file mapped; the module brings what is read into the page cache, many
 *           reads in one call (Documentation/kernel-module.rst)
 *
 * Features (single issuer, deferred task work, registered buffers, O_DIRECT) are
 * probed one by one, and each has a fallback; source_describe() says what is in
 * use. One thread submits and waits; it must be the thread that opened the source.
 *
 * The file must not be changed while a source is open. One that became shorter
 * is reported as an error by uring and pread; mmap can only notice it when reads
 * are submitted, kernel until they have been waited for; afterwards the kernel sends SIGBUS.
 */
#ifndef COLINK_STORAGE_SOURCE_H
#define COLINK_STORAGE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SOURCE_MAX_LENGTH (1u << 30) /* bytes asked in one read */
#define SOURCE_MAX_QUEUE_DEPTH 4096

/*
 * One read. The caller owns it and keeps it in place until it is done. The
 * source may read a little more on both sides to meet an alignment rule, so
 * `room` is where data may go, and `data` where the asked bytes are afterwards.
 */
struct source_read {
	uint64_t offset; /* of the first asked byte in the file */
	uint32_t length; /* asked bytes, 1 to SOURCE_MAX_LENGTH */
	char *room; /* in: source_room() bytes, anywhere in the arena; unused by mmap and kernel */
	const char *data; /* out: the asked bytes; valid until `room` is used again */
	bool done; /* out, once source_wait() returned */
	struct source_read *next; /* for the source, while in flight */
	uint32_t transferred; /* for the source, while in flight */
};

struct source_counts {
	/*
	 * I/Os and bytes as this process asked the kernel for them: for uring and
	 * pread one per read (or per retry of a short read), alignment included,
	 * but nothing beyond the end of the file.
	 * A mapped file is read by faults that the kernel sizes; there they are
	 * major faults and the kernel's own count of bytes from storage, both for
	 * the whole process since opening. With the source "kernel" it is what the module
	 * has issued, in whole pages, and in addition a page for each major fault.
	 */
	uint64_t reads;
	uint64_t bytes;
	/* Of the source "kernel" alone, in whole pages; 0 with the others. */
	uint64_t gap_bytes; /* of `bytes`, those of gaps that the module has read over */
	uint64_t asked_bytes; /* that reads have asked for */
	uint64_t resident_bytes; /* of these, what the page cache had */
};

/*
 * Told of each I/O that struct source_counts counts, in the order in which the kernel is asked
 * for them: of the range asked for, which may reach beyond the end of the file for the sake
 * of alignment. Called by the thread that asks, which for pread is the source's own; it must
 * not call the source.
 */
struct source_observer {
	void (*started)(void *arg, uint64_t offset, uint32_t length);
	void *arg;
};

struct source;

/*
 * `name` is "uring", "pread", "mmap", "kernel" or "auto" (uring where it can be set up,
 * else pread; storage/source_choice.h chooses among more). The arena is the memory that reads
 * go to, page-aligned, given by the caller and alive until source_close() (mmap and kernel
 * take none: NULL, 0 will do).
 * `queue_depth` is the most reads in flight, 1 to SOURCE_MAX_QUEUE_DEPTH. Regular
 * files only, and not empty ones.
 */
int source_open(const char *name, const char *path, void *arena, size_t arena_bytes,
		uint32_t queue_depth, struct source **source, struct error *err);

/*
 * Have the observer told of what is submitted from now on; NULL: nobody, as after opening. It
 * is the caller's and stays in place until the source is closed. No read may be in flight.
 * Mapped files are read by faults, which nobody is told of.
 */
void source_observe(struct source *source, const struct source_observer *observer);

/* Whether the named source reads to an arena: mmap and kernel do not. */
bool source_uses_arena(const char *name);

/*
 * What the kernel keeps for the named source, about: queues, reads in flight, a list of the
 * arena's pages. It is not in the process's own memory, but counts in its memory cgroup.
 */
uint64_t source_kernel_bytes(const char *name, uint64_t arena_bytes, uint32_t queue_depth);

/*
 * The source of mapped files with a read-ahead of its own: page faults read around themselves
 * up to `read_ahead_kib` of the file, whatever its device has (storage/read_ahead.h says what
 * that needs), or with 0 their own page and nothing else (MADV_RANDOM).
 */
int source_open_mapped(const char *path, uint32_t read_ahead_kib, struct source **source,
		       struct error *err);

/* What becomes of reads in the page cache that are cheap to read again, when they were used. */
enum source_after_use {
	SOURCE_KEEP, /* what the kernel thinks right */
	SOURCE_COLD, /* they are the first to go when memory is short */
	SOURCE_DROP, /* they go at once */
};

struct source_kernel_options {
	uint64_t gap_bytes; /* the module reads over gaps of up to this */
	/*
	 * Of reads that are not shorter than gap_bytes, which cost less than twice what their
	 * bytes cost: three in four, at random, always the same ones.
	 */
	enum source_after_use after_use;
};

/*
 * The source "kernel"; source_open() opens it with all options 0. Without the module, or the
 * right to use it, one line that says so.
 */
int source_open_kernel(const char *path, const struct source_kernel_options *options,
		       struct source **source, struct error *err);

/* Waits for reads in flight, then frees. NULL is allowed. */
void source_close(struct source *source);

/* "uring", "pread", "mmap" or "kernel". */
const char *source_name(const struct source *source);

/* One line on what is in use, e.g. "io_uring, O_DIRECT, registered buffers, depth 64". */
const char *source_describe(const struct source *source);

/* Reads go past the page cache (O_DIRECT): what they take is the device's time. */
bool source_is_direct(const struct source *source);

/* Bytes that `room` must have for a read of `length` bytes (0 for mmap and kernel). */
size_t source_room(const struct source *source, uint32_t length);

/*
 * Memory that a read of `length` bytes takes until it is used: its room or, with kernel, of the
 * page cache. 0 for mmap, which reads nothing before it is touched.
 */
size_t source_footprint(const struct source *source, uint32_t length);

/* Whether nothing is read before it is touched, and whoever touches it waits: mmap. */
bool source_reads_on_touch(const struct source *source);

/*
 * Whether reads are best given as they are wanted, gaps left out: the source reads over those
 * that are worth it, and knows better which.
 */
bool source_collapses(const struct source *source);

/*
 * Start reads; returns without waiting for them. More than the queue depth may
 * be given: the rest starts as others complete (for uring within later calls to
 * submit or wait). A range beyond the end of the file, or room outside the arena,
 * is refused here with -EINVAL; no read has been started then.
 */
int source_submit(struct source *source, struct source_read *reads, uint32_t n_reads,
		  struct error *err);

/*
 * Start reads that wait for their turn, as far as others are done; does not block. For who does
 * something long between source_submit() and source_wait(): else no more than the queue depth
 * is read meanwhile. What fails is said by the next source_wait().
 */
void source_advance(struct source *source);

/*
 * Block until all `n_reads` submitted reads of the array are done. A failed read
 * (EIO, a file that became shorter) fails here with file and offset, whichever
 * read it was; the source can then only be closed.
 */
int source_wait(struct source *source, const struct source_read *reads, uint32_t n_reads,
		struct error *err);

/* The data of these reads, which were waited for, has been used, and will not be any more. */
void source_release(struct source *source, const struct source_read *reads, uint32_t n_reads);

/*
 * Reads that have been finished since opening, as far as the source has seen that, and their
 * bytes, with what was read for alignment. Zeros for a source of mapped files, which does not
 * know. A read that was continued counts once.
 */
void source_get_finished(const struct source *source, uint64_t *reads, uint64_t *bytes);

/* What was read since opening. */
int source_get_counts(const struct source *source, struct source_counts *counts,
		      struct error *err);

#endif
