/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two ways to count pairs; private to coactivation*.c. Both take a batch of
 * tokens and add to the upper triangle of `pairs` (row < column), each row
 * written by one thread, so that the result does not depend on the pool.
 */
#ifndef COLINK_PLACEMENT_COACTIVATION_COUNT_H
#define COLINK_PLACEMENT_COACTIVATION_COUNT_H

#include <stdint.h>

#include "base/error.h"
#include "base/thread_pool.h"

/* A neuron's bits of a batch are 64 words: 512 bytes, 64 neurons fill an L1 cache. */
#define COACTIVATION_BATCH_TOKENS 4096
#define COACTIVATION_BATCH_WORDS (COACTIVATION_BATCH_TOKENS / 64)

struct coactivation_batch {
	uint32_t n_neurons;
	uint32_t n_tokens;	   /* 1 to COACTIVATION_BATCH_TOKENS */
	const uint64_t *fired;	   /* (n_tokens, bits_words(n_neurons)) */
	const uint32_t *frequency; /* (n_neurons), of this batch */
	uint32_t *pairs;	   /* (n_neurons, n_neurons) */
	struct thread_pool *pool;
};

/*
 * ANDs and population counts of whole neurons: takes the same time whatever
 * fired, and is better when much did.
 */
int coactivation_count_dense(const struct coactivation_batch *batch, struct error *err);

/* What an increment of the sparse way costs on this machine, in words of the dense one. */
double coactivation_words_per_increment(void);

/* One increment per pair that fired: better when little did. */
int coactivation_count_sparse(const struct coactivation_batch *batch, struct error *err);

/*
 * Row i of the upper triangle has n-1-i pairs; with its counterpart from the
 * other end the pairs of a step are the same for every step, so that threads
 * which share steps evenly share work evenly. Number of steps for n rows, and
 * the counterpart of row `step`; the middle row of an odd n is its own.
 */
static inline uint32_t triangle_steps(uint32_t n)
{
	return (n + 1) / 2;
}

static inline uint32_t triangle_counterpart(uint32_t n, uint32_t step)
{
	return n - 1 - step;
}

#endif
