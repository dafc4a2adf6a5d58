/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Huge pages for large memory: who reads gigabytes of weights for every token otherwise pays
 * for finding each page of 4 KiB, and once for a fault in it.
 */
#ifndef COLINK_BASE_HUGE_PAGES_H
#define COLINK_BASE_HUGE_PAGES_H

#include <stddef.h>

/* Of x86-64, and of arm64 with pages of 4 KiB. Elsewhere the alignment does no harm. */
#define HUGE_PAGE ((size_t)2 << 20)

/*
 * Ask for transparent huge pages, which most systems give to whom asks, in the whole ones that
 * lie in [memory, memory + bytes). To be called before the memory is touched. Where there are
 * none nothing happens.
 */
void huge_pages_ask(void *memory, size_t bytes);

#endif
