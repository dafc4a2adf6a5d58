// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "library/prefetcher.h"

int advice_plan(struct colink_prefetcher *prefetcher, struct colink_prefetch_counts *counts)
{
	page_runs_resident *resident = prefetcher->residency_told ? page_residency_count : NULL;
	struct page_runs *asked = &prefetcher->asked;
	unsigned int shift = prefetcher->page_shift;
	uint64_t resident_in_asked = 0, before, gap_pages;
	int ret = page_runs_copy(asked, &prefetcher->wanted, &prefetcher->error);

	if (ret < 0)
		return ret;
	before = page_runs_pages(asked);
	if (resident) {
		uint64_t found = page_runs_drop_resident(asked, resident, &prefetcher->residency);

		counts->resident_bytes = found << shift;
		resident_in_asked = found - (before - page_runs_pages(asked));
	}
	gap_pages = page_runs_collapse(asked, prefetcher->gap_bytes >> shift, resident,
				       &prefetcher->residency);
	counts->gap_bytes = gap_pages << shift;
	counts->asked_bytes = (page_runs_pages(asked) - resident_in_asked) << shift;
	return 0;
}

bool advice_next(const struct colink_prefetcher *prefetcher, struct advice_cursor *cursor,
		 uint64_t *offset, uint64_t *bytes)
{
	const struct page_run *run;
	uint64_t begin, pages;

	if (cursor->run == prefetcher->asked.n)
		return false;
	run = &prefetcher->asked.runs[cursor->run];
	begin = run->begin + cursor->page;
	pages = run->end - begin;
	if (pages > prefetcher->limit_pages) {
		pages = prefetcher->limit_pages;
		cursor->page += pages;
	} else {
		cursor->run++;
		cursor->page = 0;
	}
	*offset = begin << prefetcher->page_shift;
	*bytes = pages << prefetcher->page_shift;
	return true;
}

/*
 * A byte of a page is there when the page has been read. A page that did not come, because
 * memory was short, is read then; one that is no longer in the file need not come.
 */
int advice_wait(struct colink_prefetcher *prefetcher)
{
	const struct page_runs *wanted = &prefetcher->wanted;

	for (size_t i = 0; i < wanted->n; i++) {
		for (uint64_t page = wanted->runs[i].begin; page < wanted->runs[i].end; page++) {
			uint64_t offset = page << prefetcher->page_shift;
			char byte;
			ssize_t n;

			do {
				n = pread(prefetcher->fd, &byte, 1, (off_t)offset);
			} while (n < 0 && errno == EINTR);
			if (n < 0)
				return error_set(&prefetcher->error, -errno, "%s: cannot be read "
						 "at byte %" PRIu64 ": %s", prefetcher->name,
						 offset, strerror(errno));
		}
	}
	return 0;
}
