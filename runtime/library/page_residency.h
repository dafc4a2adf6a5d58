/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What of a file is in the page cache, by cachestat(2) (Linux 6.5): some 0.2 us for a run,
 * where asking for a run that is missing costs 10 us and more, and one that is there as much
 * as the question. mincore(2) takes three times as long, wants a mapping, and tells whoever
 * neither owns a file nor may write it that all is resident.
 */
#ifndef COLINK_LIBRARY_PAGE_RESIDENCY_H
#define COLINK_LIBRARY_PAGE_RESIDENCY_H

#include <stdbool.h>
#include <stdint.h>

struct page_residency {
	int fd;
	unsigned int page_shift;
};

/* Whether the kernel tells of this file. If not, *why is its errno. */
bool page_residency_told(const struct page_residency *residency, int *why);

/* Pages of [begin, end) in the page cache: page_runs_resident of a struct page_residency. */
uint64_t page_residency_count(void *residency, uint64_t begin, uint64_t end);

#endif
