/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads whose memory is known beforehand. */
#ifndef COLINK_BASE_THREAD_H
#define COLINK_BASE_THREAD_H

#include <pthread.h>

/*
 * Smaller than a huge page: of a default stack of 8 MiB the kernel may make one at the first
 * touch (where transparent huge pages are always on), and a thread takes 2 MiB then.
 */
#define THREAD_STACK_BYTES ((size_t)1 << 20)

/*
 * What a thread takes, in a process that has been told how much it may: the part of its
 * stack that is used, and what the kernel keeps of it. An allowance, not a measurement.
 */
#define THREAD_BYTES ((size_t)64 << 10)

/* As pthread_create(), with that stack. Returns 0 or a negative errno. */
int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

#endif
