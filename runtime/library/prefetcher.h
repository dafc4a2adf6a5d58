/* SPDX-License-Identifier: GPL-2.0-only */
/* What a prefetcher is made of, and what a backend has to do: for runtime/library only. */
#ifndef COLINK_LIBRARY_PREFETCHER_H
#define COLINK_LIBRARY_PREFETCHER_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include <colink/prefetch.h>

#include "base/error.h"
#include "library/page_runs.h"
#include "library/page_residency.h"

#define PREFETCHER_NAME_SIZE 32
/* The reasons of all backends. */
#define PREFETCHER_DESCRIBE_SIZE (4 * ERROR_MESSAGE_SIZE)

struct colink_prefetcher {
	int fd; /* the caller's */
	char name[PREFETCHER_NAME_SIZE]; /* of the file, in messages */
	const struct prefetch_backend *backend;
	uint64_t gap_bytes;
	unsigned int page_shift;
	struct page_residency residency;
	bool residency_told;
	uint64_t limit_pages; /* of one piece of advice */
	struct page_runs wanted;
	struct page_runs asked; /* without what is resident, over gaps */
	struct error error;
	char describe[PREFETCHER_DESCRIBE_SIZE];

	/* The module's. */
	int device; /* /dev/colink */
	uint32_t region;

	/* io_uring's. */
	struct io_uring ring;
	unsigned int in_flight;
};

struct prefetch_backend {
	enum colink_backend id;
	const char *name; /* as people call it */
	/* Get ready, or say why not; nothing is left open then. */
	int (*open)(struct colink_prefetcher *prefetcher, struct error *err);
	void (*close)(struct colink_prefetcher *prefetcher);
	/* Ask for prefetcher->wanted, and with COLINK_PREFETCH_WAIT wait for all of it. */
	int (*ask)(struct colink_prefetcher *prefetcher, unsigned int flags,
		   struct colink_prefetch_counts *counts);
};

extern const struct prefetch_backend prefetch_backend_module;
extern const struct prefetch_backend prefetch_backend_uring;
extern const struct prefetch_backend prefetch_backend_fadvise;

/* --- advice.c: what the two backends that give advice share --- */

/* From `wanted` to `asked`; counts what was resident, what is asked for, and gaps. */
int advice_plan(struct colink_prefetcher *prefetcher, struct colink_prefetch_counts *counts);

/* The next piece of `asked`, short enough to be read whole. False: there is none. */
struct advice_cursor {
	size_t run;
	uint64_t page; /* of that run, from its begin */
};
bool advice_next(const struct colink_prefetcher *prefetcher, struct advice_cursor *cursor,
		 uint64_t *offset, uint64_t *bytes);

/* Wait until all of `wanted` has been read. */
int advice_wait(struct colink_prefetcher *prefetcher);

#endif
