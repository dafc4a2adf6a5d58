/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * colink bench place: how long it takes to place a model by each method, and what its orders
 * are worth on tokens that they were not made from, by device time (order_replay.h).
 */
#ifndef COLINK_BENCH_PLACE_BENCH_H
#define COLINK_BENCH_PLACE_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "bench/order_replay.h"
#include "placement/order.h"
#include "placement/trace.h"

#define PLACE_BENCH_COPIES 8 /* shares at most */
#define PLACE_BENCH_PROMPTS 2

/* Tokens of the prompts that orders are measured by, too, where there are copies. */
extern const uint32_t place_bench_prompts[PLACE_BENCH_PROMPTS];

struct place_bench_options {
	const struct trace *trace; /* its seen tokens are placed on */
	const struct trace *unseen; /* to measure on all of; NULL: the unseen tokens of `trace` */
	bool methods[ORDER_METHODS]; /* which ones */
	uint64_t seed; /* of the random order, layer L using seed + L */
	uint32_t effort; /* of ORDER_BEST */
	/* Copies as shares of the neurons, 0 to 1: each is placed from ORDER_BEST, which is wanted. */
	double copies[PLACE_BENCH_COPIES];
	uint32_t n_copies; /* such shares */
	struct thread_pool *pool; /* or NULL */
	struct order_replay_options replay;
};

/* What prompts cost that begin with an empty cache, and use none. */
struct prompt_costs {
	struct order_cost costs[PLACE_BENCH_PROMPTS];
};

/* The order of ORDER_BEST with copies. */
struct place_bench_copies {
	uint32_t n_slots; /* per layer */
	uint32_t *order; /* (n_layers, n_slots): slot -> neuron, PLACES_NO_NEURON at the end */
	uint64_t placed; /* copies, of all layers */
	double search_s; /* behind that of ORDER_BEST */
	struct order_cost cost;
	struct prompt_costs prompts;
};

struct place_bench {
	uint64_t placed_tokens, unseen_tokens;
	double read_s; /* reading and decoding the seen tokens that a search goes by */
	double count_s; /* reading them all, and counting who fires together */
	double search_s[ORDER_METHODS]; /* of all layers; 0 for methods that are not wanted */
	double measure_s;
	struct order_cost costs[ORDER_METHODS];
	struct prompt_costs prompts[ORDER_METHODS]; /* all 0 where no copies are placed */
	struct place_bench_copies copies[PLACE_BENCH_COPIES];
	uint32_t *orders[ORDER_METHODS]; /* (n_layers, n_neurons): slot -> neuron; or NULL */
	float *frequency; /* (n_layers, n_neurons), by neuron */
};

/*
 * Read, count and search, layer by layer. -EINVAL for a trace that has no tokens to measure on,
 * or one to measure on of another model, or shares of copies that cannot be. Takes the memory
 * of one layer's pairs of neurons.
 * Progress counts layers. The caller calls place_bench_free() after 0.
 */
int place_bench_search(const struct place_bench_options *options, struct place_bench *bench,
		       struct progress *progress, struct error *err);

/* The costs of what was found. Progress counts tokens. */
int place_bench_measure(const struct place_bench_options *options, struct place_bench *bench,
			struct progress *progress, struct error *err);

void place_bench_free(struct place_bench *bench);

#endif
