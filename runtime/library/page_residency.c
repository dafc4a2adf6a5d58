// SPDX-License-Identifier: GPL-2.0-only
#include "library/page_residency.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Younger than the headers of Debian 12; the number is the same on all but Alpha. */
#define CACHESTAT_NUMBER 451

struct cachestat_range {
	uint64_t offset;
	uint64_t bytes;
};

struct cachestat_pages {
	uint64_t cached;
	uint64_t dirty;
	uint64_t written_back;
	uint64_t evicted;
	uint64_t recently_evicted;
};

static int count(const struct page_residency *residency, uint64_t begin, uint64_t end,
		 uint64_t *pages)
{
	struct cachestat_range range = {
		.offset = begin << residency->page_shift,
		.bytes = (end - begin) << residency->page_shift,
	};
	struct cachestat_pages told = { 0 };

	if (syscall(CACHESTAT_NUMBER, residency->fd, &range, &told, 0))
		return -errno;
	*pages = told.cached;
	return 0;
}

bool page_residency_told(const struct page_residency *residency, int *why)
{
	uint64_t pages;

	*why = -count(residency, 0, 1, &pages);
	return *why == 0;
}

/* What is not told counts as missing: asking for a page that is there does no harm. */
uint64_t page_residency_count(void *residency, uint64_t begin, uint64_t end)
{
	uint64_t pages = 0;

	return count(residency, begin, end, &pages) == 0 ? pages : 0;
}
