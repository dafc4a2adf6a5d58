// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/page_set.h"

#include <string.h>

static bool touches(const struct colink_range *range, uint64_t file_bytes, size_t page)
{
	uint64_t begin = (uint64_t)page << PAGE_SET_SHIFT;
	uint64_t end = (uint64_t)(page + 1) << PAGE_SET_SHIFT;

	if (end > file_bytes)
		end = file_bytes;
	return range->bytes && begin < end && range->offset < end &&
	       range->offset + range->bytes > begin;
}

void page_set_want(struct page_set *set, const struct colink_range *ranges, size_t n,
		   uint64_t file_bytes)
{
	set->n_pages = PAGE_SET_MAX;
	memset(set->wanted, 0, sizeof(set->wanted));
	for (size_t page = 0; page < PAGE_SET_MAX; page++)
		for (size_t i = 0; i < n; i++)
			set->wanted[page] |= touches(&ranges[i], file_bytes, page);
}

/* The first page from `page` on that is in the set, or not; n_pages: none. */
static size_t next(const struct page_set *set, const bool *pages, size_t page, bool in)
{
	while (page < set->n_pages && pages[page] != in)
		page++;
	return page;
}

static void ask_what_is_missing(struct page_set *set)
{
	size_t end;

	for (size_t begin = next(set, set->wanted, 0, true); begin < set->n_pages;
	     begin = next(set, set->wanted, end, true)) {
		end = next(set, set->wanted, begin, false);
		if (page_set_resident(set, begin, end) < end - begin)
			memset(&set->asked[begin], true, end - begin);
	}
}

static void ask_gaps(struct page_set *set, uint64_t gap_pages)
{
	size_t begin = next(set, set->asked, next(set, set->asked, 0, true), false);
	size_t end;

	for (; (end = next(set, set->asked, begin, true)) < set->n_pages;
	     begin = next(set, set->asked, end, false)) {
		if (end - begin > gap_pages || page_set_resident(set, begin, end))
			continue;
		memset(&set->asked[begin], true, end - begin);
		set->gap_pages += end - begin;
	}
}

void page_set_ask(struct page_set *set, uint64_t gap_pages)
{
	memset(set->asked, 0, sizeof(set->asked));
	set->resident_pages = 0;
	set->gap_pages = 0;
	for (size_t page = 0; page < set->n_pages; page++)
		set->resident_pages += set->wanted[page] && set->resident[page];
	ask_what_is_missing(set);
	ask_gaps(set, gap_pages);
}

uint64_t page_set_resident(void *context, uint64_t begin, uint64_t end)
{
	const struct page_set *set = context;
	uint64_t pages = 0;

	for (uint64_t page = begin; page < end; page++)
		pages += set->resident[page];
	return pages;
}

bool page_set_is(const struct page_runs *runs, const bool *pages, size_t n_pages)
{
	bool in_runs[PAGE_SET_MAX] = { false };

	for (size_t i = 0; i < runs->n; i++) {
		const struct page_run *run = &runs->runs[i];

		if (run->begin >= run->end || run->end > n_pages ||
		    (i && run->begin <= run[-1].end))
			return false;
		memset(&in_runs[run->begin], true, run->end - run->begin);
	}
	return !memcmp(in_runs, pages, n_pages * sizeof(*pages));
}
