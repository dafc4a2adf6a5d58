/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory taken away from everything else, so that a small file is to a machine what a
 * large model is to a phone.
 */
#ifndef COLINK_BENCH_MEMORY_HOG_H
#define COLINK_BENCH_MEMORY_HOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct memory_hog {
	void *memory; /* NULL: nothing is taken */
	size_t bytes;
};

/*
 * What the page cache could have: what is free (processors keep some that MemFree is
 * without), and what files and the kernel's caches of them have now, less what the kernel begins to reclaim at in each zone (its low
 * watermark). As it goes on until the high one, files have less than this for a while.
 * MemAvailable also leaves out what zones keep from each other, which the page cache gets
 * all the same.
 */
int memory_available(uint64_t *bytes, struct error *err);

/* Take and lock what is available, but for `leave_bytes`, which the page cache may have. */
int memory_hog_take(struct memory_hog *hog, uint64_t leave_bytes, struct error *err);
void memory_hog_release(struct memory_hog *hog);

#endif
