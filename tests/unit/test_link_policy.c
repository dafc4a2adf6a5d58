// SPDX-License-Identifier: GPL-2.0-only
/* What is left open in a policy is chosen by the file and the disk; the rest stays. */
#include "helpers/test.h"

#include "kernel/link_policy.h"

#define STRIDE 6144

static struct link_policy chosen(struct link_policy policy, uint64_t gap_bytes)
{
	struct link_layer layers[] = { { .stride = STRIDE }, { .stride = STRIDE } };
	const struct link_hints hints = { .layers = layers, .n_layers = 2 };

	return link_policy_defaults(&policy, &hints, gap_bytes);
}

static const struct link_policy all_open = {
	.threshold = LINK_POLICY_DEFAULT,
	.max_run = LINK_POLICY_DEFAULT,
	.max_hot = LINK_POLICY_DEFAULT,
	.read_around = LINK_POLICY_DEFAULT,
};

/* Links are followed as far as they pay, four in five where a gap is a quarter; 3/4 at least. */
static void threshold_is_least_chance(void **state)
{
	(void)state;
	assert_int_equal(chosen(all_open, STRIDE / 4).threshold,
			 link_break_even(STRIDE, STRIDE / 4));
	assert_in_range(chosen(all_open, STRIDE / 4).threshold, LINK_ONE / 100 * 79,
			LINK_ONE / 100 * 81);
	assert_int_equal(chosen(all_open, 3 * STRIDE).threshold, LINK_ONE / 4 * 3);
	assert_int_equal(chosen(all_open, STRIDE).threshold, LINK_ONE / 4 * 3);
	assert_int_equal(chosen(all_open, 0).threshold, LINK_ONE); /* never */
}

static void the_rest_is_as_documented(void **state)
{
	const struct link_policy policy = chosen(all_open, STRIDE);

	(void)state;
	assert_int_equal(policy.max_run, 64);
	assert_int_equal(policy.max_hot, 4);
	assert_int_equal(policy.read_around, LINK_AROUND_ROOM);
}

static void what_is_set_stays(void **state)
{
	const struct link_policy zero = { 0 };
	const struct link_policy set = {
		.threshold = 5,
		.max_run = 6,
		.max_hot = 7,
		.read_around = LINK_AROUND_ALWAYS,
	};
	struct link_policy policy;

	(void)state;
	policy = chosen(zero, STRIDE);
	assert_memory_equal(&policy, &zero, sizeof(policy));
	policy = chosen(set, STRIDE);
	assert_memory_equal(&policy, &set, sizeof(policy));
}

static void each_by_itself(void **state)
{
	struct link_policy policy = { .threshold = 5,
				      .max_run = LINK_POLICY_DEFAULT,
				      .max_hot = 7 };

	(void)state;
	policy = chosen(policy, STRIDE);
	assert_int_equal(policy.threshold, 5);
	assert_int_equal(policy.max_run, 64);
	assert_int_equal(policy.max_hot, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threshold_is_least_chance),
		cmocka_unit_test(the_rest_is_as_documented),
		cmocka_unit_test(what_is_set_stays),
		cmocka_unit_test(each_by_itself),
	};

	return cmocka_run_group_tests_name("link_policy", tests, NULL, NULL);
}
