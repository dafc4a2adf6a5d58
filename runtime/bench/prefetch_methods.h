/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ways in which a program can have many extents of a file brought into the page
 * cache: Linux's own, the module's, and libcolink's where the module is not loaded.
 */
#ifndef COLINK_BENCH_PREFETCH_METHODS_H
#define COLINK_BENCH_PREFETCH_METHODS_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include <colink/prefetch.h>

#include "base/error.h"
#include "bench/extent_file.h"

/* Bytes that an extent may have. */
#define PREFETCH_MAX_EXTENT (UINT64_C(64) << 10)

/* What they work with, opened once. */
struct prefetch_tools {
	const struct extent_file *file;
	uint64_t gap_bytes; /* gaps up to this are collapsed by the module and by libcolink */
	int device; /* the module's, or -1 */
	uint32_t region;
	struct io_uring ring;
	bool has_ring;
	uint8_t *buffers; /* what io_uring reads into */
	struct colink_prefetcher *library; /* by posix_fadvise */
};

struct prefetch_method {
	const char *name;
	/* Whether there is what it needs. */
	bool (*available)(const struct prefetch_tools *tools);
	/* Ask for the extents, which rise and do not overlap. */
	int (*ask)(struct prefetch_tools *tools, const struct extent *extents, size_t n,
		   struct error *err);
};

extern const struct prefetch_method prefetch_methods[];
extern const size_t n_prefetch_methods;

/*
 * Opens what there is: without the module, or without io_uring, the methods that need
 * it are not available. *missing says why the module is not, or is empty.
 */
int prefetch_tools_open(struct prefetch_tools *tools, const struct extent_file *file,
			uint64_t gap_bytes, struct error *missing, struct error *err);
void prefetch_tools_close(struct prefetch_tools *tools);

#endif
