// SPDX-License-Identifier: GPL-2.0-only
/* The fit finds the cost that made the samples, through noise and among outliers. */
#include "helpers/test.h"

#include <errno.h>
#include <math.h>

#include "base/random.h"
#include "storage/device_fit.h"

#define ROUNDS 9
#define MAX_POINTS 100

static const double sizes[] = { 4096, 8192, 16384, 32768, 65536, 262144, 1048576 };
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static const struct device_cost costs[] = {
	{ 8.5, 540 }, /* UFS 4.0 */
	{ 12.6, 1003 }, /* a server's disk */
	{ 1, 150 }, /* NVMe */
	{ 650, 11000 }, /* an SD card */
	{ 0.02, 2000 }, /* hardly any cost for an I/O as such */
};
#define N_COSTS (sizeof(costs) / sizeof(costs[0]))

static struct device_point points[MAX_POINTS];

/* Samples of all sizes with noise of that share; every `outlier`th is that much slower. */
static size_t make_points(struct device_cost cost, double noise, size_t outlier, double slower,
			  uint64_t seed)
{
	struct random_state random;
	size_t n = 0;

	random_seed(&random, seed);
	for (size_t round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < N_SIZES; i++, n++) {
			double us = device_time_us(cost, 1, (uint64_t)sizes[i]);

			us *= 1 + noise * random_normal(&random);
			if (outlier && n % outlier == 0)
				us *= slower;
			points[n] = (struct device_point){ .bytes = sizes[i], .us = us };
		}
	}
	return n;
}

static void assert_near(double value, double wanted, double share)
{
	if (!(fabs(value - wanted) <= share * wanted))
		fail_msg("%g is not within %g %% of %g", value, 100 * share, wanted);
}

static struct device_cost fit(size_t n)
{
	struct device_cost cost;
	struct error err;

	assert_ok(device_fit(points, n, &cost, &err), &err);
	return cost;
}

static void without_noise_the_cost_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_COSTS; i++) {
		struct device_cost found = fit(make_points(costs[i], 0, 0, 1, i));

		assert_near(found.a_us, costs[i].a_us, 1e-6);
		assert_near(found.b_us_per_mib, costs[i].b_us_per_mib, 1e-6);
		for (size_t p = 0; p < N_SIZES; p++)
			assert_true(fabs(device_fit_error(found, points[p])) < 1e-6);
	}
}

static void two_sizes_are_enough(void **state)
{
	struct device_cost found;

	(void)state;
	points[0] = (struct device_point){ .bytes = 4096, .us = 3 };
	points[1] = (struct device_point){ .bytes = 1048576, .us = 258 };
	found = fit(2);
	assert_near(found.a_us, 2, 1e-9);
	assert_near(found.b_us_per_mib, 256, 1e-9);
}

static void noise_averages_out(void **state)
{
	(void)state;
	for (size_t i = 0; i + 1 < N_COSTS; i++) {
		struct device_cost found = fit(make_points(costs[i], 0.05, 0, 1, 10 + i));

		assert_near(found.a_us, costs[i].a_us, 0.03);
		assert_near(found.b_us_per_mib, costs[i].b_us_per_mib, 0.03);
	}
}

/* Every fifth sample is 1.5 to 100 times slower, as when somebody else reads. */
static void slow_outliers_hardly_count(void **state)
{
	static const double slower[] = { 1.5, 3, 10, 100 };

	(void)state;
	for (size_t i = 0; i + 1 < N_COSTS; i++)
		for (size_t s = 0; s < sizeof(slower) / sizeof(slower[0]); s++) {
			size_t n = make_points(costs[i], 0.03, 5, slower[s], 20 + i);
			struct device_cost found = fit(n);

			assert_near(found.a_us, costs[i].a_us, 0.06);
			assert_near(found.b_us_per_mib, costs[i].b_us_per_mib, 0.06);
		}
}

static void free_ios_cost_nothing(void **state)
{
	struct device_cost found;

	(void)state;
	/* Twice the bytes take more than twice as long: a would be below 0. */
	for (size_t i = 0; i < N_SIZES; i++)
		points[i] = (struct device_point){ sizes[i], pow(sizes[i] / 4096, 1.1) };
	found = fit(N_SIZES);
	assert_true(found.a_us == 0);
	assert_true(found.b_us_per_mib > 0);
	assert_int_equal(device_break_even_bytes(found), 0);
}

static void assert_refused(size_t n, int code, const char *text)
{
	struct device_cost cost = { 1, 2 };
	struct error err;

	assert_int_equal(device_fit(points, n, &cost, &err), code);
	assert_says(&err, text);
	assert_true(cost.a_us == 1 && cost.b_us_per_mib == 2);
}

static void what_is_no_device_is_refused(void **state)
{
	static const double bad[] = { 0, -1, NAN, INFINITY };

	(void)state;
	assert_refused(0, -EINVAL, "two sizes");
	for (size_t i = 0; i < 4; i++)
		points[i] = (struct device_point){ .bytes = 4096, .us = 10 };
	assert_refused(4, -EINVAL, "two sizes");
	for (size_t i = 0; i < 4; i++) {
		points[3] = (struct device_point){ .bytes = 8192, .us = bad[i] };
		assert_refused(4, -EINVAL, "no sample");
		points[3] = (struct device_point){ .bytes = bad[i], .us = 10 };
		assert_refused(4, -EINVAL, "no sample");
	}
	for (size_t i = 0; i < N_SIZES; i++)
		points[i] = (struct device_point){ sizes[i], 100 };
	assert_refused(N_SIZES, -EDOM, "no longer than small ones");
	for (size_t i = 0; i < N_SIZES; i++)
		points[i] = (struct device_point){ sizes[i], 100 - (double)i };
	assert_refused(N_SIZES, -EDOM, "no longer than small ones");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_noise_the_cost_is_found),
		cmocka_unit_test(two_sizes_are_enough),
		cmocka_unit_test(noise_averages_out),
		cmocka_unit_test(slow_outliers_hardly_count),
		cmocka_unit_test(free_ios_cost_nothing),
		cmocka_unit_test(what_is_no_device_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
