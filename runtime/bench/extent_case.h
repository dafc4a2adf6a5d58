/* SPDX-License-Identifier: GPL-2.0-only */
/* How many extents a benchmark asks for at once, of what size, and where they lie. */
#ifndef COLINK_BENCH_EXTENT_CASE_H
#define COLINK_BENCH_EXTENT_CASE_H

#include <stdint.h>

#include "base/random.h"
#include "bench/extent_file.h"

enum extent_layout {
	EXTENTS_SCATTERED, /* one in each of equal parts of the file, anywhere in it */
	EXTENTS_NEAR, /* one after the other, with gaps of one to four pages */
};

struct extent_case {
	enum extent_layout layout;
	uint32_t extents; /* at least 1 */
	uint32_t extent_bytes; /* of each, in whole pages */
};

/* "scattered" or "near". */
const char *extent_layout_name(enum extent_layout layout);

/* The least size of a file for it, in which scattered extents have as much between them. */
uint64_t extent_case_file_bytes(const struct extent_case *one);

/* Draw the extents (one->extents), rising and apart; the file is large enough. */
void extent_case_draw(const struct extent_case *one, uint64_t file_bytes,
		      struct random_state *random, struct extent *extents);

#endif
