// SPDX-License-Identifier: GPL-2.0-only
/* Sizes that do not wrap, at the limits of 64 bits. */
#include "helpers/test.h"

#include "base/amount.h"

static void sums(void **state)
{
	(void)state;
	assert_int_equal(amount_sum(2, 3), 5);
	assert_true(amount_sum(AMOUNT_MOST - 1, 1) == AMOUNT_MOST);
	assert_true(amount_sum(AMOUNT_MOST, 1) == AMOUNT_MOST);
	assert_true(amount_sum(AMOUNT_MOST, AMOUNT_MOST) == AMOUNT_MOST);
}

static void products(void **state)
{
	const uint64_t half = UINT64_C(1) << 32;

	(void)state;
	assert_int_equal(amount_product(6, 7), 42);
	assert_int_equal(amount_product(0, AMOUNT_MOST), 0);
	assert_true(amount_product(half, half - 1) == UINT64_C(0xffffffff00000000));
	assert_true(amount_product(half, half) == AMOUNT_MOST);
	assert_true(amount_product(AMOUNT_MOST, 2) == AMOUNT_MOST);
}

static void multiples(void **state)
{
	(void)state;
	assert_int_equal(amount_round_up(0, 4096), 0);
	assert_int_equal(amount_round_up(1, 4096), 4096);
	assert_int_equal(amount_round_up(4096, 4096), 4096);
	assert_int_equal(amount_round_up(4097, 4096), 8192);
	assert_true(amount_round_up(AMOUNT_MOST - 4095, 4096) == AMOUNT_MOST - 4095);
	assert_true(amount_round_up(AMOUNT_MOST - 4094, 4096) == AMOUNT_MOST);
	assert_true(amount_round_up(AMOUNT_MOST, 4096) == AMOUNT_MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums),
		cmocka_unit_test(products),
		cmocka_unit_test(multiples),
	};

	return cmocka_run_group_tests_name("amount", tests, NULL, NULL);
}
