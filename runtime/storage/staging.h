/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that reads go to, in huge pages where they are to be had (transparent ones, which
 * most systems give to whom asks). A read of 256 KiB into pages of 4 KiB is a list of 64
 * pieces for the device, into huge ones it is one or two: on a virtual disk that is twice the
 * bandwidth (Documentation/device-cost.rst).
 */
#ifndef COLINK_STORAGE_STAGING_H
#define COLINK_STORAGE_STAGING_H

#include <stddef.h>

/*
 * `bytes` (above 0) of zeros, aligned to pages, and to huge pages if it has one or more. It
 * takes memory as it is touched or registered, a huge page at a time, and no more than
 * `bytes` in all. NULL when there is no memory. The caller calls staging_unmap() with the
 * same size.
 */
void *staging_map(size_t bytes);
void staging_unmap(void *memory, size_t bytes);

#endif
