/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an order of neurons costs a device, by the device cost, without a disk: tokens pass
 * through the engine's own cache and planner (storage/cache.h, storage/plan.h), all layers in
 * turn, as they do when a model generates. Nothing is read: it is counted what would be.
 *
 * This is the measure by which orders are compared. Runs and gaps are in it as the planner
 * collapses them, and so is what the cache has anyway.
 *
 * Neurons may have several places (model/places.h): what the cache does not have is read
 * from those that are chosen (model/place_choice.h), and is cached once, whichever place it
 * came from.
 */
#ifndef COLINK_BENCH_ORDER_REPLAY_H
#define COLINK_BENCH_ORDER_REPLAY_H

#include <stdint.h>

#include "base/error.h"
#include "storage/device.h"

/* Run lengths 1, 2 to 3, 4 to 7 and so on; the last is for all that are longer. */
#define ORDER_REPLAY_LENGTHS 16

struct order_replay_options {
	struct device_cost cost;
	uint32_t bundle_bytes;
	double cache_ratio; /* share of all bundles that is cached, 0 to 1 */
	uint32_t warm_up; /* first tokens, which fill the cache and do not count */
	uint32_t max_tokens; /* that there may be, the first ones included */
	/*
	 * Above 1: so many tokens are a prompt, and what any of them wants is read at once.
	 * Figures are per prompt, and a last one that is not whole does not count.
	 */
	uint32_t prompt_tokens;
};

/* Figures per token, of all layers together, over the tokens that count. */
struct order_cost {
	uint32_t tokens; /* that count, or prompts; with 0 all others are 0 */
	double device_us; /* mean */
	double device_us_median;
	double device_us_p99;
	double reads;
	double bundles; /* read ones, gaps included */
	double wanted; /* bundles */
	double missed; /* of these: not in the cache */
	double missed_run_length; /* bundles per run of missed ones, before collapse; a mean */
	double cache_hit_share; /* of the wanted ones */
	/* Of all that is wanted, as if there were no cache: what the order does by itself. */
	double runs;
	double run_length; /* bundles per run; a mean */
	double runs_by_length[ORDER_REPLAY_LENGTHS]; /* [i]: runs of 2^i to 2^(i+1) - 1 bundles */
	double choice_us; /* time that choosing places took here; 0 without copies */
};

/* The model whose neurons are in some order. */
struct order_replay_model {
	uint32_t n_layers;
	uint32_t n_neurons; /* per layer */
	uint32_t n_slots; /* per layer: as many, or more */
	const float *frequency; /* (n_layers, n_neurons): share of tokens each fires for, or NULL */
};

struct order_replay;

/* -EINVAL, with a line on it, for a cost or a cache ratio that cannot be. */
int order_replay_check(const struct order_replay_options *options, struct error *err);

/* What an I/O costs, in bundles; a little also where it costs nothing, and no order is better. */
double order_replay_io_bundles(const struct order_replay_options *options);

/*
 * Begin with an empty cache. slot_to_neuron is (n_layers, n_slots): a permutation in each
 * layer, or with copies, and PLACES_NO_NEURON at the end. Nothing of the arguments is needed
 * after the call. Options have been checked. Fails with -ENOMEM, -EINVAL if a neuron has no
 * place, or -EOVERFLOW for more bundles than a cache can number. The caller calls
 * order_replay_free(), which takes NULL. Several replays may go on at once, each on one thread.
 */
int order_replay_create(const struct order_replay_options *options,
			const struct order_replay_model *model, const uint32_t *slot_to_neuron,
			struct order_replay **replay, struct error *err);
void order_replay_free(struct order_replay *replay);

/*
 * The next token: `fired` is (n_layers, bits_words(n_neurons)), sets of neurons. Those beyond
 * max_tokens are refused with -EINVAL. Otherwise fails with -ENOMEM only.
 */
int order_replay_token(struct order_replay *replay, const uint64_t *fired, struct error *err);

/* What the tokens have cost. Only order_replay_free() may follow. */
void order_replay_finish(struct order_replay *replay, struct order_cost *cost);

#endif
