// SPDX-License-Identifier: GPL-2.0-only
/* CPU time that was burnt is counted, whichever thread burnt it; nothing impossible is. */
#include "helpers/test.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu_time.h"

#define MS UINT64_C(1000000)
#define BURN_NS (60 * MS)

/* A clock may be behind by a tick, at either end. */
#define SLACK_NS (20 * MS)

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static void *burn(void *unused)
{
	uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin < BURN_NS)
		;
	return unused;
}

/* Of this process around `work`, held against the kernel's clock of the same. */
static void assert_counts(void (*work)(void))
{
	uint64_t outer = clock_ns(CLOCK_PROCESS_CPUTIME_ID), inner, own, kernel;
	struct cpu_time *time;
	struct error err;
	bool known;

	assert_ok(cpu_time_begin(&time, &err), &err);
	inner = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	work();
	inner = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - inner;
	assert_ok(cpu_time_end(time, &own, &kernel, &known, &err), &err);
	outer = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - outer;
	cpu_time_free(time);
	assert_true(own + SLACK_NS >= inner);
	assert_true(own <= outer + SLACK_NS);
}

static void burn_here(void)
{
	burn(NULL);
}

static void burn_in_a_thread(void)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, burn, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void sleep_a_little(void)
{
	usleep(BURN_NS / 1000);
}

static void what_is_burnt_is_counted(void **state)
{
	(void)state;
	assert_counts(burn_here);
	assert_counts(burn_in_a_thread);
}

static void sleep_costs_nothing(void **state)
{
	(void)state;
	assert_counts(sleep_a_little);
}

/* Whether /proc shows the kernel's threads (not in a container) and what they take. */
static bool kernel_threads_are_shown(void)
{
	char name[32] = "";
	FILE *file = fopen("/proc/2/comm", "re");

	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = '\0';
	fclose(file);
	return !strcmp(name, "kthreadd\n") && access("/proc/2/schedstat", R_OK) == 0;
}

static void kernel_threads_are_plausible(void **state)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC), own, kernel;
	struct cpu_time *time;
	struct error err;
	bool known;

	(void)state;
	assert_ok(cpu_time_begin(&time, &err), &err);
	sleep_a_little();
	assert_ok(cpu_time_end(time, &own, &kernel, &known, &err), &err);
	cpu_time_free(time);
	assert_int_equal(known, kernel_threads_are_shown());
	if (known)
		assert_true(kernel <= (clock_ns(CLOCK_MONOTONIC) - begin + SLACK_NS) *
					      sysconf(_SC_NPROCESSORS_CONF));
	else
		assert_int_equal(kernel, 0);
}

static void nothing_to_free(void **state)
{
	(void)state;
	cpu_time_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_burnt_is_counted),
		cmocka_unit_test(sleep_costs_nothing),
		cmocka_unit_test(kernel_threads_are_plausible),
		cmocka_unit_test(nothing_to_free),
	};

	return cmocka_run_group_tests_name("cpu_time", tests, NULL, NULL);
}
