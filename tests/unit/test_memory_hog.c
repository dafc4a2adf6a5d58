// SPDX-License-Identifier: GPL-2.0-only
/* Memory that is taken away: never more than there is, and given back. */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/memory_hog.h"

#define MIB (UINT64_C(1) << 20)

/* The first number after `before` in a file of /proc. */
static uint64_t number_in(const char *path, const char *before)
{
	uint64_t number = 0;
	char line[128];
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	while (!number && fgets(line, sizeof(line), file))
		if (!strncmp(line, before, strlen(before)))
			number = strtoull(line + strlen(before), NULL, 10);
	fclose(file);
	return number;
}

static void more_than_there_is(void **state)
{
	struct memory_hog hog;
	struct error err = { 0 };
	int ret;

	(void)state;
	ret = memory_hog_take(&hog, UINT64_MAX, &err);
	assert_int_equal(ret, -ENOMEM);
	assert_refused_with(ret, &err, "MiB of memory are available", "17592186044415 MiB");
	assert_null(hog.memory);
	memory_hog_release(&hog); /* does nothing */
}

/* Where the process may not have so much: the limit has room for what the call itself needs. */
static void more_than_is_allowed(void **state)
{
	uint64_t own = number_in("/proc/self/status", "VmSize:") << 10;
	struct rlimit old, limit;
	struct memory_hog hog;
	struct error err = { 0 };
	int ret;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
	limit = old;
	limit.rlim_cur = own + 16 * MIB;
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	ret = memory_hog_take(&hog, 0, &err);
	assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
	assert_int_equal(ret, -ENOMEM);
	assert_refused_with(ret, &err, "cannot lock ", " MiB of memory: Cannot allocate memory");
	assert_null(hog.memory);
	memory_hog_release(&hog);
}

/* A few MiB, which others may have taken, or given back, since they were counted. */
static void taken_and_given_back(void **state)
{
	uint64_t available = 0;
	uint64_t before = number_in("/proc/self/status", "VmSize:");
	struct memory_hog hog;
	struct error err;
	int ret;

	(void)state;
	assert_int_equal(memory_available(&available, &err), 0);
	assert_true(available > number_in("/proc/meminfo", "MemFree:") << 9);
	ret = memory_hog_take(&hog, available - 4 * MIB, &err);
	if (ret < 0)
		skip(); /* RLIMIT_MEMLOCK */
	assert_true(hog.bytes > 0);
#ifndef __SANITIZE_ADDRESS__ /* which makes mlock() do nothing */
	assert_true(number_in("/proc/self/status", "VmLck:") << 10 >= hog.bytes);
#endif
	memory_hog_release(&hog);
	assert_null(hog.memory);
	assert_true(number_in("/proc/self/status", "VmSize:") <= before + 1024);
	memory_hog_release(&hog); /* a second time does nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_than_there_is),
		cmocka_unit_test(more_than_is_allowed),
		cmocka_unit_test(taken_and_given_back),
	};

	return cmocka_run_group_tests_name("memory_hog", tests, NULL, NULL);
}
