/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How often each neuron, and each pair of neurons, fired for the same token.
 * Exact counts; the distance of two neurons in the paper's sense (arXiv
 * 2410.19274 section 4.1) falls as their pair count rises.
 */
#ifndef COLINK_PLACEMENT_COACTIVATION_H
#define COLINK_PLACEMENT_COACTIVATION_H

#include <stdint.h>

#include "base/error.h"
#include "base/thread_pool.h"
#include "placement/activity.h"

struct coactivation {
	uint32_t n_neurons;
	uint64_t n_tokens;
	uint32_t *frequency; /* (n_neurons): tokens for which it fired */
	uint32_t *pairs; /* (n_neurons, n_neurons), symmetric, diagonal 0: both fired */
};

/* The caller calls coactivation_free(). The result does not depend on the pool. */
int coactivation_count(const struct activity *activity, struct thread_pool *pool,
		       struct coactivation *coactivation, struct error *err);
void coactivation_free(struct coactivation *coactivation);
#define COACTIVATION_NO_FRIEND UINT32_MAX
void coactivation_friends(const struct coactivation *coactivation, uint32_t n_friends,
			  struct thread_pool *pool, uint32_t *friends);

#endif
