/* SPDX-License-Identifier: GPL-2.0-only */
/* How much of a file the kernel reads, at most, for one POSIX_FADV_WILLNEED. */
#ifndef COLINK_LIBRARY_READ_LIMIT_H
#define COLINK_LIBRARY_READ_LIMIT_H

#include <stdint.h>
#include <sys/types.h>

/*
 * What is longer is cut without a word, at the readahead window or the largest request of
 * the disk, whichever is more (force_page_cache_ra() in mm/readahead.c). `sys` is where
 * sysfs is mounted, `device` that of the file in stat(2). Where sysfs does not tell, 128 KiB,
 * the kernel's default window. At least a page of 4 KiB.
 */
uint64_t read_limit_bytes(const char *sys, dev_t device);

#endif
