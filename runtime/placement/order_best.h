/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The order that costs the least device time, as far as a search finds it: the paper's
 * greedy linking, of what a cache does not have, improved by moving neurons, one or a few
 * neighbours at a time, to where they cost less. What is compared is not how often
 * neighbours fire together but what tokens pay: gaps are read over where that is cheaper
 * than another I/O (placement/arrangement.h).
 */
#ifndef COLINK_PLACEMENT_ORDER_BEST_H
#define COLINK_PLACEMENT_ORDER_BEST_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"
#include "base/thread_pool.h"
#include "placement/activity.h"

#define ORDER_BEST_EFFORTS 4 /* 0 to 3 */
#define ORDER_BEST_DEFAULT_EFFORT 2
/* More do not make a better order, and their counts would take twice the memory. */
#define ORDER_BEST_MOST_TOKENS 65535
#define ORDER_BEST_DEFAULT_MEMORY (UINT64_C(1) << 30)

struct order_best_options {
	double io_bundles; /* what an I/O costs, in bundles: a / (b * stride); above 0 */
	double cache_ratio; /* share of the layer's bundles in DRAM, 0 to 1 */
	uint32_t effort; /* 0: greedy linking only; each more takes about three times as long */
	uint64_t memory; /* bytes for its rows: it goes by half or a quarter ... of the tokens if all do not fit */
	const uint32_t *start; /* (n_neurons): slots' neurons to begin with; NULL: greedy linking */
	const atomic_bool *stop; /* when true: end now, with the best so far; NULL: never */
};

/* What the search did. */
struct order_best_result {
	uint64_t tokens; /* that it went by */
	double greedy_bundles; /* cost per token of these, beside wanted bundles: before ... */
	double best_bundles; /* ... and after */
	uint32_t moves;
	uint32_t sweeps;
};

/* Bytes that order_best() takes besides `memory`, for so many tokens. */
uint64_t order_best_bytes(uint32_t n_neurons, uint64_t n_tokens);

/*
 * `seen` are tokens in the order of the text; slot_to_neuron is (n_neurons). The result is
 * the same for every pool and every CPU, unless stopped. `result` may be NULL. Fails with
 * -ENOMEM, or -EINVAL for options out of range.
 */
int order_best(const struct activity *seen, const struct order_best_options *options,
	       struct thread_pool *pool, uint32_t *slot_to_neuron, struct order_best_result *result,
	       struct error *err);

#endif
