/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fixed set of threads that share loops. Waiting threads block in the kernel
 * (futexes under pthread), they never spin: spinning barriers cost more than 3x
 * as soon as one other program wants a CPU.
 */
#ifndef COLINK_BASE_THREAD_POOL_H
#define COLINK_BASE_THREAD_POOL_H

#include <stddef.h>

#include "base/error.h"

struct thread_pool;

#define THREAD_POOL_MAX 1024

/*
 * `threads` counts the caller: 1 starts none. 0 means one per CPU of this process.
 * More than THREAD_POOL_MAX are refused.
 */
int thread_pool_create(unsigned int threads, struct thread_pool **pool, struct error *err);

/* How many that are: `threads`, or one per CPU of this process for 0. */
unsigned int thread_pool_count(unsigned int threads);

/* Wait for the threads to end, then free. NULL is allowed. */
void thread_pool_destroy(struct thread_pool *pool);

/* Threads that take part in a loop, the caller included. */
unsigned int thread_pool_size(const struct thread_pool *pool);

/*
 * Call work(arg, begin, end) for disjoint ranges that together cover [0, n),
 * each but the last at least `grain` long (grain >= 1), on the caller and the
 * pool's threads; return when all are done. Ranges run in any order and at the
 * same time, so a result must not depend on how [0, n) was cut. Not reentrant:
 * one loop at a time per pool. A `pool` of NULL runs everything on the caller.
 */
void thread_pool_run(struct thread_pool *pool, size_t n, size_t grain,
		     void (*work)(void *arg, size_t begin, size_t end), void *arg);

#endif
