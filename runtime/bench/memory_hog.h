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

/* Take and lock what is available, but for `leave_bytes`, which the page cache may have. */
int memory_hog_take(struct memory_hog *hog, uint64_t leave_bytes, struct error *err);
void memory_hog_release(struct memory_hog *hog);

#endif
