// SPDX-License-Identifier: GPL-2.0-only
/* Reads and run lengths, against a plain count over booleans. */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "placement/quality.h"

#define MAX_NEURONS 150

struct expected {
	uint32_t wanted;
	uint32_t runs;
	uint32_t reads;
	uint32_t bundles;
	uint32_t run_length_max;
	uint32_t run_bundles[RUN_LENGTH_CLASSES];
};

/* Of runs of `length` bundles, counted from the classes' bounds. */
static uint32_t class_of(uint32_t length)
{
	uint32_t class = 0;

	while (length > run_length_class_max(class))
		class++;
	assert_in_range(length, run_length_class_min(class), run_length_class_max(class));
	return class;
}

/* Reads over gaps by marking them as read, then counts stretches of marks. */
static void count_token(const bool *wanted, uint32_t n, uint32_t gap, struct expected *expected)
{
	bool read[MAX_NEURONS];
	uint32_t length = 0;

	memcpy(read, wanted, n * sizeof(*read));
	for (uint32_t from = 0; from < n; from++)
		for (uint32_t to = from + 1; to < n && to - from - 1 <= gap; to++)
			if (wanted[from] && wanted[to])
				for (uint32_t slot = from; slot < to; slot++)
					read[slot] = true;
	for (uint32_t slot = 0; slot < n; slot++) {
		expected->wanted += wanted[slot];
		expected->bundles += read[slot];
		expected->runs += wanted[slot] && (slot == 0 || !wanted[slot - 1]);
		expected->reads += read[slot] && (slot == 0 || !read[slot - 1]);
		length = wanted[slot] ? length + 1 : 0;
		if (length > expected->run_length_max)
			expected->run_length_max = length;
		if (length && (slot + 1 == n || !wanted[slot + 1]))
			expected->run_bundles[class_of(length)] += length;
	}
}

static bool about(double a, double b)
{
	return fabs(a - b) < 1e-9;
}

static void assert_quality(const struct activity *activity, const uint32_t *order, uint32_t gap)
{
	double n_tokens = activity->n_tokens ? (double)activity->n_tokens : 1;
	struct expected expected = { 0 };
	struct order_quality quality;
	struct error err;

	for (uint64_t t = 0; t < activity->n_tokens; t++) {
		bool wanted[MAX_NEURONS];

		for (uint32_t slot = 0; slot < activity->n_neurons; slot++)
			wanted[slot] = fired_for(activity, t, order[slot]);
		count_token(wanted, activity->n_neurons, gap, &expected);
	}
	assert_ok(order_measure(activity, order, gap, &quality, &err), &err);
	assert_true(about(quality.wanted_per_token, expected.wanted / n_tokens));
	assert_true(about(quality.reads_per_token, expected.reads / n_tokens));
	assert_true(about(quality.bundles_per_token, expected.bundles / n_tokens));
	assert_true(about(quality.run_length_mean,
			  expected.runs ? (double)expected.wanted / expected.runs : 0));
	assert_int_equal(quality.run_length_max, expected.run_length_max);
	for (uint32_t class = 0; class < RUN_LENGTH_CLASSES; class++)
		assert_true(about(quality.run_length_shares[class] * expected.wanted,
				  expected.run_bundles[class]));
}

static void measures_like_brute_force(void **state)
{
	static const uint32_t gaps[] = { 0, 1, 2, 7, 64, 1000, UINT32_MAX };
	struct random_state random;

	(void)state;
	random_seed(&random, 3);
	for (int round = 0; round < 60; round++) {
		uint32_t n = 1 + (uint32_t)random_below(&random, MAX_NEURONS);
		uint32_t order[MAX_NEURONS];
		struct activity activity = make_independent_activity(
			(uint64_t)round, n, random_below(&random, 20), random_unit(&random));

		random_permutation(&random, order, n);
		for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++)
			assert_quality(&activity, order, gaps[g]);
		activity_free(&activity);
	}
}

static void a_token_by_hand(void **state)
{
	/* By slot: 1 1 0 1 0 0 0 1 */
	uint32_t order[] = { 7, 0, 2, 5, 3, 4, 6, 1 };
	uint64_t fired = 1 << 7 | 1 << 0 | 1 << 5 | 1 << 1;
	struct activity activity = { .n_neurons = 8, .n_tokens = 1, .fired = &fired };
	struct order_quality quality;
	struct error err;

	(void)state;
	assert_ok(order_measure(&activity, order, 0, &quality, &err), &err);
	assert_true(about(quality.wanted_per_token, 4));
	assert_true(about(quality.reads_per_token, 3));
	assert_true(about(quality.bundles_per_token, 4));
	assert_true(about(quality.run_length_mean, 4.0 / 3));
	assert_int_equal(quality.run_length_max, 2);
	assert_true(about(quality.run_length_shares[0], 0.5));
	assert_true(about(quality.run_length_shares[1], 0.5));
	assert_ok(order_measure(&activity, order, 2, &quality, &err), &err);
	assert_true(about(quality.reads_per_token, 2));
	assert_true(about(quality.bundles_per_token, 5));
	assert_ok(order_measure(&activity, order, 3, &quality, &err), &err);
	assert_true(about(quality.reads_per_token, 1));
	assert_true(about(quality.bundles_per_token, 8));
	assert_true(about(quality.run_length_mean, 4.0 / 3));
}

static void no_tokens_cost_nothing(void **state)
{
	uint32_t order[] = { 1, 0 };
	struct activity activity = { .n_neurons = 2 };

	(void)state;
	assert_quality(&activity, order, 0);
}

static void classes_follow_on_each_other(void **state)
{
	(void)state;
	assert_int_equal(run_length_class_min(0), 1);
	for (uint32_t class = 1; class < RUN_LENGTH_CLASSES; class++)
		assert_int_equal(run_length_class_min(class), run_length_class_max(class - 1) + 1);
}

/* One run of a whole layer, of every size about a power of two. */
static void long_runs_have_a_class(void **state)
{
	static const uint32_t sizes[] = { 63, 64, 65, 127, 128, 129, 1 << 18 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct activity activity = make_independent_activity(1, sizes[i], 1, 1);
		uint32_t *order = malloc(sizes[i] * sizeof(*order));
		struct order_quality quality;
		struct error err;

		for (uint32_t slot = 0; slot < sizes[i]; slot++)
			order[slot] = slot;
		assert_ok(order_measure(&activity, order, 0, &quality, &err), &err);
		assert_true(quality.run_length_shares[class_of(sizes[i])] == 1);
		free(order);
		activity_free(&activity);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_by_hand),
		cmocka_unit_test(classes_follow_on_each_other),
		cmocka_unit_test(long_runs_have_a_class),
		cmocka_unit_test(measures_like_brute_force),
		cmocka_unit_test(no_tokens_cost_nothing),
	};

	return cmocka_run_group_tests_name("quality", tests, NULL, NULL);
}
