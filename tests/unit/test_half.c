// SPDX-License-Identifier: GPL-2.0-only
/* Every f16 value survives the way to f32 and back; rounding is to nearest even. */
#include "helpers/test.h"

#include <math.h>

#include "base/half.h"

static void every_half_survives(void **state)
{
	(void)state;
	for (uint32_t half = 0; half <= 0xffff; half++) {
		float value = f16_to_f32((uint16_t)half);

		if (isnan(value))
			assert_true((half & 0x7fff) > 0x7c00);
		else
			assert_int_equal(f32_to_f16(value), half);
	}
}

static void halfway_goes_to_even(void **state)
{
	(void)state;
	for (uint32_t half = 0; half < 0x7bff; half++) {
		float low = f16_to_f32((uint16_t)half);
		float high = f16_to_f32((uint16_t)(half + 1));
		float middle = (low + high) / 2;

		assert_int_equal(f32_to_f16(middle), half & 1 ? half + 1 : half);
		assert_int_equal(f32_to_f16(nextafterf(middle, high)), half + 1);
		assert_int_equal(f32_to_f16(nextafterf(middle, low)), half);
		assert_int_equal(f32_to_f16(-middle), 0x8000 | (half & 1 ? half + 1 : half));
	}
	assert_int_equal(f32_to_f16(65519.996f), 0x7bff);
	assert_int_equal(f32_to_f16(65520.0f), 0x7c00);
}

static void bf16_is_the_upper_half(void **state)
{
	(void)state;
	assert_true(bf16_to_f32(0x3f80) == 1.0f);
	assert_true(bf16_to_f32(0xc2f7) == -123.5f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bf16_is_the_upper_half),
		cmocka_unit_test(every_half_survives),
		cmocka_unit_test(halfway_goes_to_even),
	};

	return cmocka_run_group_tests_name("half", tests, NULL, NULL);
}
