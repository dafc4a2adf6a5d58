/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How often each neuron, and each pair of neurons, fired for the same token.
 * Exact counts; the distance of two neurons in the paper's sense (arXiv
 * 2410.19274 section 4.1) falls as their pair count rises.
 *
 * Each pair is kept once, in 16 bits where the number of tokens allows: for
 * 16384 neurons and up to 65535 tokens that is 256 MiB.
 */
#ifndef COLINK_PLACEMENT_COACTIVATION_H
#define COLINK_PLACEMENT_COACTIVATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/thread_pool.h"
#include "placement/activity.h"

struct coactivation {
	uint32_t n_neurons;
	uint64_t n_tokens;
	uint32_t *frequency; /* (n_neurons): tokens for which it fired */
	/*
	 * For each neuron, ascending, its counts with all higher ones. One of the two
	 * is NULL: counts of at most 65535 tokens are the narrow ones.
	 */
	uint16_t *narrow;
	uint32_t *wide;
};

/*
 * Count a layer's activity. The caller calls coactivation_free(). The result does
 * not depend on the pool.
 */
int coactivation_count(const struct activity *activity, struct thread_pool *pool,
		       struct coactivation *coactivation, struct error *err);

/* The same of one layer of a trace, of which only a batch is in memory at a time. */
int coactivation_count_trace(const struct trace *trace, uint32_t layer, enum activity_part part,
			     struct thread_pool *pool, struct coactivation *coactivation,
			     struct error *err);

void coactivation_free(struct coactivation *coactivation);

/* Bytes that a coactivation has, and that counting a trace needs at most besides. */
uint64_t coactivation_bytes(uint32_t n_neurons, uint64_t n_tokens);
uint64_t coactivation_count_bytes(const struct trace *trace, unsigned int n_threads);

/* Where the counts of `neuron` with neuron + 1 and all after it begin. */
static inline size_t coactivation_at(const struct coactivation *coactivation, uint32_t neuron)
{
	size_t n = coactivation->n_neurons;

	return neuron * (2 * n - neuron - 1) / 2;
}

/* For how many tokens both fired; 0 for a neuron with itself. */
static inline uint32_t coactivation_pair(const struct coactivation *coactivation, uint32_t a,
					 uint32_t b)
{
	uint32_t low = a < b ? a : b;
	size_t at = coactivation_at(coactivation, low) + (a < b ? b : a) - low - 1;

	if (a == b)
		return 0;
	return coactivation->narrow ? coactivation->narrow[at] : coactivation->wide[at];
}

/* One neuron's counts with all, itself included (0). (n_neurons) */
void coactivation_row(const struct coactivation *coactivation, uint32_t neuron, uint32_t *row);

/*
 * The `n_friends` neurons (1 to COACTIVATION_MOST_FRIENDS) that fired most often
 * together with each neuron, most often first, ties by lower index; behind the
 * last that ever did, COACTIVATION_NO_FRIEND. `friends` is (n_neurons, n_friends).
 * The result does not depend on the pool.
 */
#define COACTIVATION_MOST_FRIENDS 32
#define COACTIVATION_NO_FRIEND UINT32_MAX
void coactivation_friends(const struct coactivation *coactivation, uint32_t n_friends,
			  struct thread_pool *pool, uint32_t *friends);

#endif
