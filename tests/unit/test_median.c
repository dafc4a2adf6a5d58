// SPDX-License-Identifier: GPL-2.0-only
/* Medians of few values, in any order. */
#include "helpers/test.h"

#include <math.h>

#include "base/median.h"
#include "base/random.h"

static void one_value(void **state)
{
	double values[] = { -7.5 };

	(void)state;
	assert_true(median(values, 1) == -7.5);
}

static void odd_numbers(void **state)
{
	double three[] = { 3, 1, 2 }, five[] = { 5, 5, -1, 100, 4 };

	(void)state;
	assert_true(median(three, 3) == 2);
	assert_true(median(five, 5) == 5);
}

static void even_numbers(void **state)
{
	double two[] = { 10, 1 }, four[] = { 9, 1, 3, 2 };

	(void)state;
	assert_true(median(two, 2) == 5.5);
	assert_true(median(four, 4) == 2.5);
}

static void one_outlier_does_not_count(void **state)
{
	double values[] = { 1, INFINITY, 2, 3, 2 };

	(void)state;
	assert_true(median(values, 5) == 2);
}

/* Fractions: what compares them must not round. */
static void every_order_of_close_values(void **state)
{
	double values[9];
	uint32_t order[9];
	struct random_state random;

	(void)state;
	random_seed(&random, 3);
	for (int round = 0; round < 200; round++) {
		random_permutation(&random, order, 9);
		for (int i = 0; i < 9; i++)
			values[i] = order[i] / 1024.0;
		assert_true(median(values, 9) == 4 / 1024.0);
		for (int i = 0; i < 9; i++)
			assert_true(values[i] == i / 1024.0); /* sorted */
	}
}

static void tails(void **state)
{
	static const double sorted[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };

	(void)state;
	assert_true(percentile(sorted, 10, 0.99) == 10);
	assert_true(percentile(sorted, 10, 0.9) == 9);
	assert_true(percentile(sorted, 10, 0.91) == 10);
	assert_true(percentile(sorted, 10, 0.5) == 5);
	assert_true(percentile(sorted, 10, 0) == 1);
	assert_true(percentile(sorted, 1, 0.99) == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_value),
		cmocka_unit_test(odd_numbers),
		cmocka_unit_test(even_numbers),
		cmocka_unit_test(one_outlier_does_not_count),
		cmocka_unit_test(every_order_of_close_values),
		cmocka_unit_test(tails),
	};

	return cmocka_run_group_tests_name("median", tests, NULL, NULL);
}
