// SPDX-License-Identifier: GPL-2.0-only
/* The estimate follows a device that changes, and nothing moves it far or at once. */
#include "helpers/test.h"

#include <math.h>

#include "base/random.h"
#include "storage/device_estimator.h"

static const struct device_cost first = DEVICE_COST_UFS4;

/* What one layer's plan may read: some tens or hundreds of I/Os of some size. */
struct load {
	uint64_t ios;
	uint64_t bytes;
};

static struct load draw_load(struct random_state *random)
{
	uint64_t ios = 32 + random_below(random, 300);

	return (struct load){ ios, ios * (4096 << random_below(random, 7)) };
}

static void observe_some(struct device_estimator *estimator, struct device_cost device,
			 double noise, int n, struct random_state *random)
{
	for (int i = 0; i < n; i++) {
		struct load load = draw_load(random);
		double us = device_time_us(device, load.ios, load.bytes);

		us *= 1 + noise * random_normal(random);
		device_estimator_observe(estimator, load.ios, load.bytes, us);
	}
}

static void assert_near(double value, double wanted, double share)
{
	if (!(fabs(value - wanted) <= share * wanted))
		fail_msg("%g is not within %g %% of %g", value, 100 * share, wanted);
}

static void assert_cost(struct device_cost cost, struct device_cost wanted, double share)
{
	assert_near(cost.a_us, wanted.a_us, share);
	assert_near(cost.b_us_per_mib, wanted.b_us_per_mib, share);
}

static void a_device_as_known_stays_as_known(void **state)
{
	struct device_estimator estimator;
	struct random_state random;

	(void)state;
	random_seed(&random, 1);
	device_estimator_init(&estimator, first);
	assert_cost(estimator.cost, first, 0);
	observe_some(&estimator, first, 0, 500, &random);
	assert_cost(estimator.cost, first, 1e-6);
	observe_some(&estimator, first, 0.1, 500, &random);
	assert_cost(estimator.cost, first, 0.1);
	assert_int_equal(estimator.observations, 1000);
}

/* Somebody else takes half of the bandwidth, then half of the I/Os, then goes away. */
static void a_device_that_changes_is_followed(void **state)
{
	static const struct device_cost devices[] = {
		{ 8.5, 1080 }, { 17, 540 }, { 8.5, 540 }, { 2, 130 }, { 60, 4000 },
	};
	struct device_estimator estimator;
	struct random_state random;

	(void)state;
	random_seed(&random, 2);
	device_estimator_init(&estimator, first);
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		observe_some(&estimator, devices[i], 0.05, 400, &random);
		assert_cost(estimator.cost, devices[i], 0.1);
	}
}

/* All loads alike: it shows that the device is slower, but not by what. */
static void what_is_not_told_apart_grows_alike(void **state)
{
	const uint64_t gap = device_break_even_bytes(first);
	struct device_estimator estimator;

	(void)state;
	device_estimator_init(&estimator, first);
	for (int i = 0; i < 300; i++)
		device_estimator_observe(&estimator, 100, 100 * gap,
					 3 * device_time_us(first, 100, 100 * gap));
	assert_near(device_time_us(estimator.cost, 100, 100 * gap),
		    3 * device_time_us(first, 100, 100 * gap), 0.02);
	assert_near((double)device_break_even_bytes(estimator.cost), (double)gap, 0.02);
}

/* Of a device that is limited by I/Os or by bytes, whichever takes longer. */
static double limited_us(struct load load)
{
	return fmax(4 * (double)load.ios, 2000 * (double)load.bytes / 1048576);
}

static void where_bytes_bind_the_gap_shrinks(void **state)
{
	struct device_estimator estimator;
	struct random_state random;

	(void)state;
	random_seed(&random, 3);
	device_estimator_init(&estimator, first);
	for (int i = 0; i < 300; i++) {
		struct load load = draw_load(&random);

		device_estimator_observe(&estimator, load.ios, load.bytes, limited_us(load));
	}
	assert_in_range(device_break_even_bytes(estimator.cost), 0,
			device_break_even_bytes(first) / 8);
}

static void one_observation_moves_it_by_a_tenth(void **state)
{
	static const double slower[] = { 1e-9, 0.01, 100, 1e9 };
	const struct load load = { 100, 100 << 14 };

	(void)state;
	for (size_t i = 0; i < sizeof(slower) / sizeof(slower[0]); i++) {
		struct device_estimator estimator;
		double us = slower[i] * device_time_us(first, load.ios, load.bytes);

		device_estimator_init(&estimator, first);
		device_estimator_observe(&estimator, load.ios, load.bytes, us);
		assert_cost(estimator.cost, first, 0.1 + 1e-9);
	}
}

/* One time in ten somebody holds the processor, and the wait is fifty times as long. */
static void hiccups_hardly_count(void **state)
{
	struct device_estimator estimator;
	struct random_state random;

	(void)state;
	random_seed(&random, 4);
	device_estimator_init(&estimator, first);
	for (int i = 0; i < 100; i++) {
		observe_some(&estimator, first, 0.05, 9, &random);
		observe_some(&estimator, (struct device_cost){ 50 * 8.5, 50 * 540 }, 0.05, 1,
			     &random);
		assert_cost(estimator.cost, first, 0.25);
	}
}

static void nothing_leads_out_of_the_range(void **state)
{
	struct device_estimator estimator;
	struct random_state random;

	(void)state;
	random_seed(&random, 5);
	device_estimator_init(&estimator, first);
	for (int i = 0; i < 20000; i++) {
		uint64_t ios = random_below(&random, 4) ? random_below(&random, 1000) : 0;
		uint64_t bytes = random_next(&random) >> random_below(&random, 64);
		double us = exp(100 * random_normal(&random));

		if (i / 1000 % 2)
			us = 1e-3;
		device_estimator_observe(&estimator, ios, bytes,
					 random_below(&random, 50) ? us : NAN);
		assert_true(estimator.cost.a_us >= 0.999 * first.a_us / DEVICE_ESTIMATOR_RANGE &&
			    estimator.cost.a_us <= 1.001 * first.a_us * DEVICE_ESTIMATOR_RANGE);
		assert_true(estimator.cost.b_us_per_mib >=
				    0.999 * first.b_us_per_mib / DEVICE_ESTIMATOR_RANGE &&
			    estimator.cost.b_us_per_mib <=
				    1.001 * first.b_us_per_mib * DEVICE_ESTIMATOR_RANGE);
	}
}

static void zeros_are_ignored(void **state)
{
	struct device_estimator estimator;

	(void)state;
	device_estimator_init(&estimator, (struct device_cost){ 0, 540 });
	device_estimator_observe(&estimator, 0, 4096, 10);
	device_estimator_observe(&estimator, 1, 0, 10);
	device_estimator_observe(&estimator, 1, 4096, 0);
	device_estimator_observe(&estimator, 1, 4096, INFINITY);
	assert_int_equal(estimator.observations, 0);
	assert_true(estimator.cost.a_us == 0 && estimator.cost.b_us_per_mib == 540);
	device_estimator_observe(&estimator, 1, 4096, 10);
	assert_true(isfinite(estimator.cost.a_us) && isfinite(estimator.cost.b_us_per_mib));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_as_known_stays_as_known),
		cmocka_unit_test(a_device_that_changes_is_followed),
		cmocka_unit_test(what_is_not_told_apart_grows_alike),
		cmocka_unit_test(where_bytes_bind_the_gap_shrinks),
		cmocka_unit_test(one_observation_moves_it_by_a_tenth),
		cmocka_unit_test(hiccups_hardly_count),
		cmocka_unit_test(nothing_leads_out_of_the_range),
		cmocka_unit_test(zeros_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
