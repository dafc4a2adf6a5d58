// SPDX-License-Identifier: GPL-2.0-only
#include "bench/extent_case.h"

/* Longest gap of EXTENTS_NEAR. */
#define NEAR_PAGES 4

const char *extent_layout_name(enum extent_layout layout)
{
	return layout == EXTENTS_NEAR ? "near" : "scattered";
}

uint64_t extent_case_file_bytes(const struct extent_case *one)
{
	uint64_t gap = one->layout == EXTENTS_NEAR ? NEAR_PAGES * EXTENT_PAGE : one->extent_bytes;

	return one->extents * (one->extent_bytes + gap);
}

static void scatter(const struct extent_case *one, uint64_t file_bytes,
		    struct random_state *random, struct extent *extents)
{
	uint64_t part = file_bytes / one->extents / EXTENT_PAGE * EXTENT_PAGE;
	uint64_t room = (part - one->extent_bytes) / EXTENT_PAGE + 1;

	for (uint32_t i = 0; i < one->extents; i++) {
		extents[i].offset = i * part + random_below(random, room) * EXTENT_PAGE;
		extents[i].bytes = one->extent_bytes;
	}
}

static void put_near(const struct extent_case *one, struct random_state *random,
		     struct extent *extents)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < one->extents; i++) {
		extents[i] = (struct extent){ at, one->extent_bytes };
		at += one->extent_bytes + (1 + random_below(random, NEAR_PAGES)) * EXTENT_PAGE;
	}
}

void extent_case_draw(const struct extent_case *one, uint64_t file_bytes,
		      struct random_state *random, struct extent *extents)
{
	if (one->layout == EXTENTS_NEAR)
		put_near(one, random, extents);
	else
		scatter(one, file_bytes, random, extents);
}
