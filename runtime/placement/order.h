/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The order of a layer's neurons on disk (slot -> neuron): the paper's greedy
 * linking, what is better, and the controls that both have to beat.
 */
#ifndef COLINK_PLACEMENT_ORDER_H
#define COLINK_PLACEMENT_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "placement/coactivation.h"

enum order_method {
	ORDER_IDENTITY, /* as in the checkpoint */
	ORDER_RANDOM, /* control: a seeded shuffle */
	ORDER_FREQUENCY, /* most frequent first; ties by index */
	ORDER_LINKED, /* the paper's greedy search */
	ORDER_BEST, /* what costs a device the least, as far as it is found (order_best.h) */
	ORDER_METHODS, /* how many there are */
};

/* "identity", "random", "frequency", "linked", "best"; -1 for an unknown name. */
const char *order_method_name(enum order_method method);
int order_method_parse(const char *name);

/*
 * The greedy search of arXiv 2410.19274 section 4.2: all pairs from the most
 * often co-activated down (ties by the lower, then the higher index); a pair is
 * linked when both neurons have fewer than two links and are not yet on the same
 * path. The paths that remain are joined end to end, in the order of their most
 * frequent neuron (ties: lowest index), each from its more frequent end (ties:
 * lower index); neurons that never fired come last, by index.
 */
int order_linked(const struct coactivation *coactivation, uint32_t *slot_to_neuron,
		 struct error *err);

struct order_best_options;

/* What methods go by. */
struct order_input {
	const struct coactivation *coactivation;
	uint64_t seed; /* ORDER_RANDOM alone */
	/* ORDER_BEST alone: tokens in the order of the text, and what to search for. */
	const struct activity *seen;
	const struct order_best_options *best;
	struct thread_pool *pool; /* or NULL */
};

/* Any method. slot_to_neuron is (n_neurons). */
int order_make(enum order_method method, const struct order_input *input,
	       uint32_t *slot_to_neuron, struct error *err);

/*
 * strength[i] = P(neuron at i + 1 fires | neuron at i fires), 0 for the last position, for a
 * neuron that never fired, and where the next is the same. Both are (n_positions): slots, or
 * more where neurons are stored again.
 */
void order_strengths(const struct coactivation *coactivation, const uint32_t *neuron_at,
		     size_t n_positions, float *strength);

#endif
