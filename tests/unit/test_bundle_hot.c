// SPDX-License-Identifier: GPL-2.0-only
/* Which bundles are hot: the most frequent, the first of equal ones, none that never fire. */
#include "helpers/test.h"

#include <math.h>
#include <string.h>

#include "base/bits.h"
#include "storage/bundle_hot.h"

#define LAYERS 2
#define SLOTS 70 /* two words */
#define WORDS 2

static void hottest_first(void **state)
{
	float frequency[LAYERS * SLOTS] = { 0 };
	struct error err;

	(void)state;
	frequency[3] = 0.2f;
	frequency[69] = 0.9f;
	frequency[SLOTS] = 0.2f;
	frequency[SLOTS + 65] = 0.5f;
	frequency[SLOTS + 66] = -1;
	frequency[SLOTS + 67] = NAN;
	assert_int_equal(bundle_hot_count(frequency, LAYERS * SLOTS, 100), 4);
	for (uint32_t n = 0; n <= 4; n++) {
		uint64_t sets[LAYERS * WORDS] = { 0 };

		assert_int_equal(bundle_hot_count(frequency, LAYERS * SLOTS, n), n);
		assert_ok(bundle_hot_find(frequency, LAYERS, SLOTS, n, sets, &err), &err);
		assert_int_equal(bits_count(sets, LAYERS * WORDS), n);
		assert_int_equal(bits_test(sets, 69), n >= 1);
		assert_int_equal(bits_test(sets + WORDS, 65), n >= 2);
		assert_int_equal(bits_test(sets, 3), n >= 3);
		assert_int_equal(bits_test(sets + WORDS, 0), n >= 4);
	}
}

static void nothing_is_hot_where_nothing_is_known(void **state)
{
	(void)state;
	assert_int_equal(bundle_hot_count(NULL, 5, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hottest_first),
		cmocka_unit_test(nothing_is_hot_where_nothing_is_known),
	};

	return cmocka_run_group_tests_name("bundle_hot", tests, NULL, NULL);
}
