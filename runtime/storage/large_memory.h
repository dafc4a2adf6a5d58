/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory for bundles, in huge pages where they are to be had (transparent ones, which most
 * systems give to whom asks). A read of 256 KiB into pages of 4 KiB is a list of 64 pieces
 * for the device, into huge ones it is one or two: on a virtual disk that is twice the
 * bandwidth (Documentation/device-cost.rst). And memory of the cache is not touched for the
 * first time, page by page, while reads are to be planned.
 */
#ifndef COLINK_STORAGE_LARGE_MEMORY_H
#define COLINK_STORAGE_LARGE_MEMORY_H

#include <stddef.h>

/*
 * `bytes` (above 0) of zeros, aligned to pages, and to huge pages if it has one or more. It
 * takes memory as it is touched or registered, a huge page at a time, and no more than
 * `bytes` in all. NULL when there is no memory. The caller calls large_memory_unmap() with the
 * same size.
 */
void *large_memory_map(size_t bytes);
void large_memory_unmap(void *memory, size_t bytes);

#endif
