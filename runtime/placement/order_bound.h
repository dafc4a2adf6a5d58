/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How good an order could be at best. Without collapse and cache a token's reads are its wanted
 * neurons less the pairs of neighbours that are both wanted, so over all tokens
 *
 *	reads = fires - path weight
 *
 * exactly, and what no path's weight exceeds is what no order's reads fall below. Both are about
 * the tokens that were counted: an order that is as good on others has to generalise as well.
 */
#ifndef COLINK_PLACEMENT_ORDER_BOUND_H
#define COLINK_PLACEMENT_ORDER_BOUND_H

#include <stdint.h>

#include "base/error.h"
#include "base/thread_pool.h"
#include "placement/coactivation.h"

/* Sum of the pair counts of neighbours; slot_to_neuron is (n_neurons). */
uint64_t order_path_weight(const struct coactivation *coactivation, const uint32_t *slot_to_neuron);

/*
 * What no order's path weight exceeds: the 1-tree bound of Held and Karp after at most `rounds`
 * rounds of subgradient steps (a few hundred are enough). `known` is the weight of some order,
 * by which the length of steps goes; the better it is the sooner the bound is tight, and rounds
 * end when the two meet: that order is an optimum then. The bound is computed in integers, it
 * holds without regard to rounding. It does not depend on the pool.
 *
 * Memory is 1840 bytes per neuron. -EINVAL for counts of 2^27 and above, -ENOMEM.
 */
int order_path_bound(const struct coactivation *coactivation, uint64_t known, uint32_t rounds,
		     struct thread_pool *pool, uint64_t *bound, struct error *err);

#endif
