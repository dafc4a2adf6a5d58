/* SPDX-License-Identifier: GPL-2.0-only */
/* What library/page_runs.h is to do, said page by page: the reference of its test and fuzzer. */
#ifndef COLINK_TESTS_HELPERS_PAGE_SET_H
#define COLINK_TESTS_HELPERS_PAGE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/page_runs.h"

#define PAGE_SET_MAX 512
#define PAGE_SET_SHIFT 12

struct page_set {
	size_t n_pages;
	bool wanted[PAGE_SET_MAX];
	bool resident[PAGE_SET_MAX];
	bool asked[PAGE_SET_MAX];
	uint64_t resident_pages; /* of those wanted */
	uint64_t gap_pages;
};

/* What the ranges touch in a file of file_bytes, at most PAGE_SET_MAX pages. */
void page_set_want(struct page_set *set, const struct colink_range *ranges, size_t n,
		   uint64_t file_bytes);

/* What is asked for, where gaps of up to gap_pages are read over. `resident` is set. */
void page_set_ask(struct page_set *set, uint64_t gap_pages);

/* page_runs_resident of a struct page_set. */
uint64_t page_set_resident(void *set, uint64_t begin, uint64_t end);

/* The runs are in order, apart, not empty, and have these pages and no other. */
bool page_set_is(const struct page_runs *runs, const bool *pages, size_t n_pages);

#endif
