/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The best orders of small layers, to hold the searches for large ones against. Exact, by
 * dynamic programming over sets of neurons.
 */
#ifndef COLINK_PLACEMENT_ORDER_OPTIMUM_H
#define COLINK_PLACEMENT_ORDER_OPTIMUM_H

#include <stdint.h>

#include "base/error.h"
#include "placement/activity.h"
#include "placement/coactivation.h"

/* Most neurons of a layer: memory and time double with each. */
#define ORDER_OPTIMUM_NEURONS 18

/*
 * The order with the greatest path weight (order_bound.h), which has the fewest reads without
 * collapse. slot_to_neuron is (n_neurons). -EINVAL for a layer that is too large, -ENOMEM.
 */
int order_optimum_path(const struct coactivation *coactivation, uint32_t *slot_to_neuron,
		       uint64_t *weight, struct error *err);

/*
 * The order with the least cost when gaps are read over that are shorter than what an I/O
 * costs, `io_bundles` (1 or more): in bundles, over all tokens, the wanted ones, and for each
 * the gap before it, or io_bundles where that is less or it is the token's first. That is
 * bundles + io_bundles * reads of order_measure() with a gap of io_bundles.
 *
 * Which neurons are in the last io_bundles slots, and in which order, is part of the problem's
 * state, so there are n! / (n - io_bundles)! * 2^(n - io_bundles) states: -E2BIG above 2^24
 * (12 neurons for 4, 10 for any). When no gap can be longer than io_bundles, as it is from
 * n_neurons - 2 on, there are 2^n. -EINVAL for a layer that is too large or no cost, -ENOMEM.
 */
int order_optimum_cost(const struct activity *activity, uint32_t io_bundles,
		       uint32_t *slot_to_neuron, uint64_t *cost, struct error *err);

#endif
