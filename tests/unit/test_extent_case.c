// SPDX-License-Identifier: GPL-2.0-only
/* Where the extents of a benchmark lie: apart, rising, in the file, the same by the same seed. */
#include "helpers/test.h"

#include <stdlib.h>

#include "bench/extent_case.h"

#define MOST 64

static const struct extent_case cases[] = {
	{ EXTENTS_SCATTERED, 1, EXTENT_PAGE },
	{ EXTENTS_SCATTERED, 3, 16 * EXTENT_PAGE },
	{ EXTENTS_SCATTERED, MOST, 4 * EXTENT_PAGE },
	{ EXTENTS_NEAR, 1, EXTENT_PAGE },
	{ EXTENTS_NEAR, 3, 16 * EXTENT_PAGE },
	{ EXTENTS_NEAR, MOST, EXTENT_PAGE },
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static void draw(const struct extent_case *one, uint64_t file_bytes, uint64_t seed,
		 struct extent *extents)
{
	struct random_state random;

	random_seed(&random, seed);
	extent_case_draw(one, file_bytes, &random, extents);
}

static void assert_sound(const struct extent_case *one, uint64_t file_bytes,
			 const struct extent *extents)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < one->extents; i++) {
		assert_int_equal(extents[i].bytes, one->extent_bytes);
		assert_int_equal(extents[i].offset % EXTENT_PAGE, 0);
		assert_true(extents[i].offset >= end);
		if (one->layout == EXTENTS_NEAR && i)
			assert_in_range(extents[i].offset - end, EXTENT_PAGE, 4 * EXTENT_PAGE);
		end = extents[i].offset + extents[i].bytes;
	}
	assert_true(end <= file_bytes);
}

/* In the smallest file, one a page larger, and one much larger. */
static void apart_and_in_the_file(void **state)
{
	struct extent extents[MOST];

	(void)state;
	for (size_t i = 0; i < CASES; i++) {
		const uint64_t least = extent_case_file_bytes(&cases[i]);
		const uint64_t sizes[] = { least, least + EXTENT_PAGE, 1000 * least };

		for (size_t size = 0; size < 3; size++) {
			for (uint64_t seed = 0; seed < 200; seed++) {
				draw(&cases[i], sizes[size], seed, extents);
				assert_sound(&cases[i], sizes[size], extents);
			}
		}
	}
}

static void scattered_over_all_of_it(void **state)
{
	static const struct extent_case one = { EXTENTS_SCATTERED, MOST, EXTENT_PAGE };
	const uint64_t part = 16 * EXTENT_PAGE;
	struct extent extents[MOST];
	uint32_t places = 0; /* of the 16 in a part, those that were drawn */

	(void)state;
	draw(&one, MOST * part, 1, extents);
	for (uint64_t i = 0; i < MOST; i++) {
		assert_in_range(extents[i].offset, i * part, (i + 1) * part - EXTENT_PAGE);
		places |= 1u << (extents[i].offset % part / EXTENT_PAGE);
	}
	assert_true(__builtin_popcount(places) > 8);
}

static void same_seed_same_extents(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES; i++) {
		const uint64_t bytes = 100 * extent_case_file_bytes(&cases[i]);
		const size_t size = cases[i].extents * sizeof(struct extent);
		struct extent first[MOST], again[MOST], other[MOST];

		draw(&cases[i], bytes, 5, first);
		draw(&cases[i], bytes, 5, again);
		draw(&cases[i], bytes, 6, other);
		assert_memory_equal(first, again, size);
		if (cases[i].extents > 1)
			assert_memory_not_equal(first, other, size);
	}
}

/* One drawing after the other: those of the next repeat are new. */
static void next_drawing_is_another(void **state)
{
	struct extent first[MOST], second[MOST];
	struct random_state random;

	(void)state;
	random_seed(&random, 1);
	extent_case_draw(&cases[2], 1 << 24, &random, first);
	extent_case_draw(&cases[2], 1 << 24, &random, second);
	assert_memory_not_equal(first, second, sizeof(first));
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(extent_layout_name(EXTENTS_SCATTERED), "scattered");
	assert_string_equal(extent_layout_name(EXTENTS_NEAR), "near");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(apart_and_in_the_file),
		cmocka_unit_test(scattered_over_all_of_it),
		cmocka_unit_test(same_seed_same_extents),
		cmocka_unit_test(next_drawing_is_another),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("extent_case", tests, NULL, NULL);
}
