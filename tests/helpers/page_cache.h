/* SPDX-License-Identifier: GPL-2.0-only */
/* What of a file is in the page cache, by mincore(2), for tests of whoever fills it. */
#ifndef COLINK_TESTS_HELPERS_PAGE_CACHE_H
#define COLINK_TESTS_HELPERS_PAGE_CACHE_H

#include <stdbool.h>
#include <stddef.h>

/* Take all of a file out of it; the test is skipped where a page stays (tmpfs). */
void page_cache_drop(int fd);

/* present[i]: page i is there, for the first n pages. */
void page_cache_look(int fd, bool *present, size_t n);

/* How many of the first n pages are there. */
size_t page_cache_count(int fd, size_t n);

#endif
