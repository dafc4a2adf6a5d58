/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flash for time: from an order of neurons (placement/order_best.h) to one in which some are
 * stored again, beside other friends, so that a token reads whichever place is cheapest
 * (model/place_choice.h).
 */
#ifndef COLINK_PLACEMENT_ORDER_COPIES_H
#define COLINK_PLACEMENT_ORDER_COPIES_H

#include <stdint.h>

#include "base/error.h"
#include "base/thread_pool.h"
#include "model/places.h"
#include "placement/activity.h"
#include "placement/order_best.h"

/* What the search did. */
struct order_copies_result {
	uint64_t tokens; /* that it went by */
	uint32_t copies; /* placed ones: fewer than there were to be, when no more would gain */
	double before_bundles; /* cost per token of these, beside wanted bundles: without copies ... */
	double after_bundles; /* ... and with them, each token reading the places it would choose */
};

/* Bytes that order_copies() takes besides `memory`, for so many tokens. */
uint64_t order_copies_bytes(uint32_t n_neurons, uint32_t n_copies, uint64_t n_tokens);

/*
 * `seen` are tokens in the order of the text, slot_to_neuron (n_neurons) is a permutation,
 * options are those it was made with. with_copies, (n_neurons + n_copies), has the neuron at each
 * position: the same order with copies in between; if there are fewer, the last positions have
 * PLACES_NO_NEURON. Greedy: the copy that gains most is placed next; the result is the same
 * for every pool and every CPU, unless stopped. `result` may be NULL. Takes rows for
 * n_neurons + n_copies within options->memory. Fails with -ENOMEM, or -EINVAL for options out
 * of range or more copies than neurons.
 */
int order_copies(const struct activity *seen, const uint32_t *slot_to_neuron,
		 const struct order_best_options *options, uint32_t n_copies,
		 struct thread_pool *pool, uint32_t *with_copies,
		 struct order_copies_result *result, struct error *err);

/*
 * The same by slot: slot_at, (n_positions), is the slot at each position, and the last one where
 * there is no neuron. slot_to_neuron is (n_neurons), as above. Fails with -ENOMEM.
 */
int order_copies_slots(const uint32_t *slot_to_neuron, uint32_t n_neurons,
		       const uint32_t *with_copies, uint32_t n_positions, uint32_t *slot_at,
		       struct error *err);

#endif
