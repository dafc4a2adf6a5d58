// SPDX-License-Identifier: GPL-2.0-only
/* Which waits are observations of the device, and of what. */
#include "helpers/test.h"

#include "storage/device_watch.h"

static const struct device_cost known = DEVICE_COST_UFS4;

/* In units in which the device takes 1 us for a read of 4 KiB. */
static struct device_mark at(uint64_t us, uint64_t reads)
{
	return (struct device_mark){ us * 1000, reads, reads * 4096 };
}

struct wait {
	struct device_mark submitted;
	uint64_t begin_us;
	struct device_mark end;
};

static void wait_for(struct device_watch *watch, struct wait wait)
{
	device_watch_waited(watch, &wait.submitted, wait.begin_us * 1000, &wait.end);
}

/* An estimator that was told of so many reads in that time, and nothing else. */
static void assert_observed(const struct device_watch *watch, uint64_t reads, double us)
{
	struct device_estimator expected;

	device_estimator_init(&expected, known);
	device_estimator_observe(&expected, reads, reads * 4096, us);
	assert_int_equal(watch->estimator.observations, 1);
	assert_true(watch->estimator.cost.a_us == expected.cost.a_us &&
		    watch->estimator.cost.b_us_per_mib == expected.cost.b_us_per_mib);
}

static void from_submission_to_the_end(void **state)
{
	struct device_watch watch;

	(void)state;
	device_watch_init(&watch, known);
	wait_for(&watch, (struct wait){ at(1000, 50), 1010, at(1500, 250) });
	assert_observed(&watch, 200, 500);
}

/* Reads of two layers are in flight: the device works on both, and was busy all the time. */
static void from_the_last_wait_if_that_ended_later(void **state)
{
	struct device_watch watch;

	(void)state;
	device_watch_init(&watch, known);
	/* Was not waited for: no observation, but what was finished by then is. */
	wait_for(&watch, (struct wait){ at(100, 0), 2000, at(2001, 300) });
	assert_int_equal(watch.estimator.observations, 0);
	wait_for(&watch, (struct wait){ at(1000, 50), 2010, at(2501, 700) });
	assert_observed(&watch, 400, 500);
}

static void computing_most_of_the_time_is_no_observation(void **state)
{
	struct device_watch watch;

	(void)state;
	device_watch_init(&watch, known);
	wait_for(&watch, (struct wait){ at(1000, 0), 1501, at(2000, 500) });
	assert_int_equal(watch.estimator.observations, 0);
	wait_for(&watch, (struct wait){ at(3000, 500), 3500, at(4000, 1000) });
	assert_observed(&watch, 500, 1000);
}

static void few_reads_are_no_observation(void **state)
{
	struct device_watch watch;

	(void)state;
	device_watch_init(&watch, known);
	wait_for(&watch, (struct wait){ at(1000, 0), 1000, at(2000, WATCH_LEAST_READS - 1) });
	assert_int_equal(watch.estimator.observations, 0);
	wait_for(&watch, (struct wait){ at(2000, WATCH_LEAST_READS - 1), 2000,
					at(3000, 2 * WATCH_LEAST_READS - 1) });
	assert_observed(&watch, WATCH_LEAST_READS, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_submission_to_the_end),
		cmocka_unit_test(from_the_last_wait_if_that_ended_later),
		cmocka_unit_test(computing_most_of_the_time_is_no_observation),
		cmocka_unit_test(few_reads_are_no_observation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
