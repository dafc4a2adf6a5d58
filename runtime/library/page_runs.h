/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From ranges of bytes to the runs of pages that are asked for: sorted, joined, without what
 * is resident, over gaps that cost less than another I/O. The module does the same for
 * itself (kmod/prefetch.c), page by page; here the kernel is asked once for each run.
 */
#ifndef COLINK_LIBRARY_PAGE_RUNS_H
#define COLINK_LIBRARY_PAGE_RUNS_H

#include <stddef.h>
#include <stdint.h>

#include <colink/prefetch.h>

#include "base/error.h"

/* Pages [begin, end). */
struct page_run {
	uint64_t begin;
	uint64_t end;
};

/* Ascending, disjoint, none empty. Zeroed at first, kept between calls, freed at the end. */
struct page_runs {
	struct page_run *runs; /* (n) */
	size_t n;
	size_t capacity; /* runs there is memory for */
};

/* How many of the pages [begin, end) are in the page cache. */
typedef uint64_t page_runs_resident(void *context, uint64_t begin, uint64_t end);

/*
 * The pages that n ranges touch in a file of file_bytes, neighbours joined. Pages are of
 * 1 << page_shift bytes. -EINVAL when an offset or a length is over INT64_MAX, or -ENOMEM;
 * there are no runs then.
 */
int page_runs_make(struct page_runs *runs, const struct colink_range *ranges, size_t n,
		   uint64_t file_bytes, unsigned int page_shift, struct error *err);

/* `to` becomes a copy of `from`. -ENOMEM: it has no runs then. */
int page_runs_copy(struct page_runs *to, const struct page_runs *from, struct error *err);

/*
 * Drop the runs of which all pages are resident. Returns how many resident pages there are
 * in all, those in runs that stay included.
 */
uint64_t page_runs_drop_resident(struct page_runs *runs, page_runs_resident *resident,
				 void *context);

/*
 * Join runs between which at most gap_pages pages lie, none of them resident (with
 * `resident` NULL: that is not asked). Returns the pages between that came in.
 */
uint64_t page_runs_collapse(struct page_runs *runs, uint64_t gap_pages,
			    page_runs_resident *resident, void *context);

uint64_t page_runs_pages(const struct page_runs *runs);

void page_runs_free(struct page_runs *runs);

#endif
