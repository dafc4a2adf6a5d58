// SPDX-License-Identifier: GPL-2.0-only
/* From ranges to what is asked for: against a reference page by page, and at the limits. */
#include "helpers/test.h"

#include <errno.h>

#include "base/random.h"
#include "helpers/page_set.h"
#include "library/page_runs.h"

#define MAX_RANGES 60
#define PAGE ((uint64_t)1 << PAGE_SET_SHIFT)

static size_t random_ranges(struct random_state *random, struct colink_range *ranges)
{
	uint64_t longest = random_below(random, 2) ? 3 * PAGE : 40 * PAGE;
	size_t n = random_below(random, MAX_RANGES + 1);

	for (size_t i = 0; i < n; i++)
		ranges[i] = (struct colink_range){
			.offset = random_below(random, PAGE_SET_MAX * PAGE),
			.bytes = random_below(random, longest),
		};
	return n;
}

static void random_residency(struct random_state *random, struct page_set *set)
{
	double share = random_unit(random) * random_unit(random);

	for (size_t page = 0; page < PAGE_SET_MAX; page++)
		set->resident[page] = random_unit(random) < share;
}

static void random_ranges_match_the_reference(void **state)
{
	struct colink_range ranges[MAX_RANGES];
	struct page_runs runs = { 0 };
	struct random_state random;
	struct page_set set;
	struct error err;

	(void)state;
	random_seed(&random, 1);
	for (int round = 0; round < 3000; round++) {
		uint64_t file_bytes = random_below(&random, PAGE_SET_MAX * PAGE + 1);
		uint64_t gap_pages = random_below(&random, 8), gaps;
		size_t n = random_ranges(&random, ranges);

		random_residency(&random, &set);
		page_set_want(&set, ranges, n, file_bytes);
		page_set_ask(&set, gap_pages);
		assert_ok(page_runs_make(&runs, ranges, n, file_bytes, PAGE_SET_SHIFT, &err), &err);
		assert_true(page_set_is(&runs, set.wanted, PAGE_SET_MAX));
		assert_int_equal(page_runs_drop_resident(&runs, page_set_resident, &set),
				 set.resident_pages);
		gaps = page_runs_collapse(&runs, gap_pages, page_set_resident, &set);
		assert_int_equal(gaps, set.gap_pages);
		assert_true(page_set_is(&runs, set.asked, PAGE_SET_MAX));
	}
	page_runs_free(&runs);
}

/* Where nothing is known, everything counts as missing. */
static void without_residency(void **state)
{
	static const struct colink_range ranges[] = { { 9 * PAGE, 1 }, { 0, 1 }, { 4 * PAGE, PAGE } };
	struct page_runs runs = { 0 };
	struct error err;

	(void)state;
	assert_ok(page_runs_make(&runs, ranges, 3, 10 * PAGE, PAGE_SET_SHIFT, &err), &err);
	assert_int_equal(page_runs_pages(&runs), 3);
	assert_int_equal(page_runs_collapse(&runs, 2, NULL, NULL), 0);
	assert_int_equal(runs.n, 3);
	assert_int_equal(page_runs_collapse(&runs, 3, NULL, NULL), 3);
	assert_int_equal(runs.n, 2);
	assert_int_equal(runs.runs[0].begin, 0);
	assert_int_equal(runs.runs[0].end, 5);
	assert_int_equal(page_runs_collapse(&runs, UINT64_MAX, NULL, NULL), 4);
	assert_int_equal(page_runs_pages(&runs), 10);
	page_runs_free(&runs);
}

static void the_largest_numbers(void **state)
{
	const uint64_t last = INT64_MAX >> PAGE_SET_SHIFT;
	const struct colink_range ranges[] = {
		{ INT64_MAX - 1, INT64_MAX },
		{ INT64_MAX, 1 }, /* beyond the largest file there can be */
		{ 0, 0 },
		{ INT64_MAX, INT64_MAX },
	};
	struct page_runs runs = { 0 };
	struct error err;

	(void)state;
	assert_ok(page_runs_make(&runs, ranges, 4, INT64_MAX, PAGE_SET_SHIFT, &err), &err);
	assert_int_equal(runs.n, 1);
	assert_int_equal(runs.runs[0].begin, last);
	assert_int_equal(runs.runs[0].end, last + 1);
	page_runs_free(&runs);
}

static void negative_ones_are_refused(void **state)
{
	static const struct colink_range offset[] = { { 0, 1 }, { (uint64_t)-1, 1 } };
	static const struct colink_range length[] = { { 0, (uint64_t)INT64_MAX + 1 } };
	struct page_runs runs = { 0 };
	struct error err = { 0 };
	int ret;

	(void)state;
	ret = page_runs_make(&runs, offset, 2, PAGE, PAGE_SET_SHIFT, &err);
	assert_int_equal(ret, -EINVAL);
	assert_refused_with(ret, &err, "range 1 of 2", "offset");
	assert_int_equal(runs.n, 0);
	ret = page_runs_make(&runs, length, 1, PAGE, PAGE_SET_SHIFT, &err);
	assert_int_equal(ret, -EINVAL);
	assert_refused_with(ret, &err, "range 0 of 1", "length");
	assert_int_equal(runs.n, 0);
	page_runs_free(&runs);
}

static void more_than_memory(void **state)
{
	struct page_runs runs = { 0 };
	struct error err = { 0 };
	int ret;

	(void)state;
	ret = page_runs_make(&runs, NULL, SIZE_MAX, PAGE, PAGE_SET_SHIFT, &err);
	assert_int_equal(ret, -ENOMEM);
	assert_refused_with(ret, &err, "out of memory", "ranges");
	assert_null(runs.runs);
	assert_int_equal(runs.n, 0);
}

static void nothing(void **state)
{
	struct page_runs runs = { 0 }, copy = { 0 };
	struct error err;

	(void)state;
	assert_ok(page_runs_make(&runs, NULL, 0, PAGE, PAGE_SET_SHIFT, &err), &err);
	assert_int_equal(runs.n, 0);
	assert_ok(page_runs_copy(&copy, &runs, &err), &err);
	assert_int_equal(page_runs_collapse(&runs, 5, NULL, NULL), 0);
	assert_int_equal(page_runs_pages(&copy), 0);
	page_runs_free(&runs);
	page_runs_free(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_ranges_match_the_reference),
		cmocka_unit_test(without_residency),
		cmocka_unit_test(the_largest_numbers),
		cmocka_unit_test(negative_ones_are_refused),
		cmocka_unit_test(more_than_memory),
		cmocka_unit_test(nothing),
	};

	return cmocka_run_group_tests_name("page_runs", tests, NULL, NULL);
}
