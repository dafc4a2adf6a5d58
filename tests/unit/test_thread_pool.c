// SPDX-License-Identifier: GPL-2.0-only
/* A loop is covered exactly once, whatever its length, grain and number of threads. */
#include "helpers/test.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/thread_pool.h"

#define MAX_N 1000

struct loop {
	atomic_int visits[MAX_N];
	size_t n;
	size_t grain;
};

static void visit(void *arg, size_t begin, size_t end)
{
	struct loop *loop = arg;

	assert_true(begin < end && end <= loop->n);
	if (end != loop->n)
		assert_true(end - begin >= loop->grain);
	for (size_t i = begin; i < end; i++)
		atomic_fetch_add(&loop->visits[i], 1);
}

static void every_index_once(void **state)
{
	(void)state;
	for (unsigned int threads = 1; threads <= 5; threads += 2) {
		struct thread_pool *pool;
		struct error err;

		assert_ok(thread_pool_create(threads, &pool, &err), &err);
		assert_int_equal(thread_pool_size(pool), threads);
		for (int round = 0; round < 300; round++) {
			struct loop *loop = calloc(1, sizeof(*loop));

			loop->n = (size_t)(round * 37 % MAX_N);
			loop->grain = (size_t)(round % 11 + 1);
			thread_pool_run(pool, loop->n, loop->grain, visit, loop);
			for (size_t i = 0; i < MAX_N; i++)
				assert_int_equal(loop->visits[i], i < loop->n);
			free(loop);
		}
		thread_pool_destroy(pool);
	}
}

static void without_a_pool_the_caller_does_it(void **state)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	(void)state;
	loop->n = 17;
	loop->grain = 1;
	thread_pool_run(NULL, loop->n, loop->grain, visit, loop);
	for (size_t i = 0; i < loop->n; i++)
		assert_int_equal(loop->visits[i], 1);
	free(loop);
	assert_int_equal(thread_pool_size(NULL), 1);
	thread_pool_destroy(NULL);
}

/* Threads that wait must not use the CPU. */
static void idle_threads_sleep(void **state)
{
	struct timespec pause = { .tv_nsec = 300 * 1000 * 1000 };
	struct rusage before, after;
	struct thread_pool *pool;
	struct error err;
	long used_us;

	(void)state;
	assert_ok(thread_pool_create(8, &pool, &err), &err);
	getrusage(RUSAGE_SELF, &before);
	nanosleep(&pause, NULL);
	getrusage(RUSAGE_SELF, &after);
	thread_pool_destroy(pool);
	used_us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
		  after.ru_utime.tv_usec - before.ru_utime.tv_usec;
	/* One spinning thread alone would use 300 ms. */
	assert_true(used_us < 100 * 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_index_once),
		cmocka_unit_test(idle_threads_sleep),
		cmocka_unit_test(without_a_pool_the_caller_does_it),
	};

	return cmocka_run_group_tests_name("thread_pool", tests, NULL, NULL);
}
