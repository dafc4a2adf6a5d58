// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "base/thread_pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

/*
 * One loop at a time. `generation` tells sleeping threads that a new loop is
 * there; every thread takes ranges under the lock until none is left, and the
 * caller sleeps until the last busy thread is done. Ranges are coarse (a few
 * per thread), so the lock is taken rarely.
 */
struct thread_pool {
	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t work_ready;
	pthread_cond_t work_done;
	uint64_t generation;
	bool stop;
	size_t n;
	size_t next; /* first index nobody took yet */
	size_t step;
	unsigned int busy; /* threads inside work() */
	void (*work)(void *arg, size_t begin, size_t end);
	void *arg;
	unsigned int n_threads; /* started ones; the caller comes on top */
	pthread_t threads[];
};

/* Ranges per thread: some slack evens out threads of unequal speed. */
#define RANGES_PER_THREAD 4

/* Called with the lock held; drops it around work(). */
static void take_ranges(struct thread_pool *pool)
{
	pool->busy++;
	while (pool->next < pool->n) {
		size_t begin = pool->next;
		size_t end = pool->n - begin > pool->step ? begin + pool->step : pool->n;

		pool->next = end;
		pthread_mutex_unlock(&pool->lock);
		pool->work(pool->arg, begin, end);
		pthread_mutex_lock(&pool->lock);
	}
	if (!--pool->busy)
		pthread_cond_signal(&pool->work_done);
}

static void *pool_thread(void *arg)
{
	struct thread_pool *pool = arg;
	uint64_t seen = 0;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (!pool->stop && pool->generation == seen)
			pthread_cond_wait(&pool->work_ready, &pool->lock);
		if (pool->stop)
			break;
		seen = pool->generation;
		take_ranges(pool);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

unsigned int thread_pool_count(unsigned int threads)
{
	cpu_set_t set;

	if (threads)
		return threads;
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned int)CPU_COUNT(&set);
}

int thread_pool_create(unsigned int threads, struct thread_pool **result, struct error *err)
{
	struct thread_pool *pool;

	threads = thread_pool_count(threads);
	if (threads > THREAD_POOL_MAX)
		return error_set(err, -EINVAL, "%u threads: at most %d are possible", threads,
				 THREAD_POOL_MAX);
	pool = calloc(1, sizeof(*pool) + (threads - 1) * sizeof(pool->threads[0]));
	if (!pool)
		return error_no_memory(err, "threads");
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work_ready, NULL);
	pthread_cond_init(&pool->work_done, NULL);
	while (pool->n_threads < threads - 1) {
		int ret = thread_start(&pool->threads[pool->n_threads], pool_thread, pool);

		if (ret < 0) {
			thread_pool_destroy(pool);
			return error_set(err, ret, "cannot start %u threads: %s", threads,
					 strerror(-ret));
		}
		pool->n_threads++;
	}
	*result = pool;
	return 0;
}

void thread_pool_destroy(struct thread_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work_ready);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work_done);
	pthread_cond_destroy(&pool->work_ready);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

unsigned int thread_pool_size(const struct thread_pool *pool)
{
	return pool ? pool->n_threads + 1 : 1;
}

void thread_pool_run(struct thread_pool *pool, size_t n, size_t grain,
		     void (*work)(void *arg, size_t begin, size_t end), void *arg)
{
	size_t step;

	if (n == 0)
		return;
	if (!pool || pool->n_threads == 0 || n <= grain) {
		work(arg, 0, n);
		return;
	}
	step = n / ((size_t)thread_pool_size(pool) * RANGES_PER_THREAD);
	pthread_mutex_lock(&pool->lock);
	pool->n = n;
	pool->next = 0;
	pool->step = step > grain ? step : grain;
	pool->work = work;
	pool->arg = arg;
	pool->generation++;
	pthread_cond_broadcast(&pool->work_ready);
	take_ranges(pool);
	while (pool->busy)
		pthread_cond_wait(&pool->work_done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}
