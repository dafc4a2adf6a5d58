/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A placement: for every layer the order of its neurons, the strength of each
 * link and how often each neuron fires. `colink place` writes it, `colink pack`
 * applies it. The file is small, checksummed, and refused when it was made for
 * another model.
 */
#ifndef COLINK_PLACEMENT_PLACEMENT_H
#define COLINK_PLACEMENT_PLACEMENT_H

#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "placement/order.h"
#include "placement/order_best.h"
#include "placement/quality.h"
#include "placement/trace.h"

struct placement_layer {
	uint32_t *slot_to_neuron; /* (n_neurons), a permutation */
	float *strength; /* (positions), see order_strengths() */
	float *frequency; /* (n_neurons), by slot: share of tokens for which it fired */
	/*
	 * (positions), with copies: the slot at each, with a primary place for all of them (see
	 * model/places.h). Else NULL: slots are positions.
	 */
	uint32_t *slot_at;
};

struct placement {
	enum order_method method;
	uint32_t n_layers;
	uint32_t n_neurons;
	uint32_t n_positions; /* per layer: more than neurons, with copies; 0: none */
	uint64_t model_id;
	uint64_t n_tokens; /* from which it was made */
	struct placement_layer *layers; /* (n_layers) */
};

static inline uint32_t placement_positions(const struct placement *placement)
{
	return placement->n_positions ? placement->n_positions : placement->n_neurons;
}

/* What a placement does on tokens that it was not made from, per layer and method. */
struct placement_report {
	uint32_t n_layers;
	int n_methods; /* the first ones: all, or those that need no long search */
	uint64_t n_tokens; /* unseen ones */
	uint64_t n_seen; /* from which every method made its order */
	/* (n_layers, ORDER_METHODS): without collapse, and with gaps up to `gap` */
	struct order_quality *plain;
	struct order_quality *collapsed;
	uint32_t gap; /* bundles */
	/* The orders that these are of, for figures that take all layers at once. */
	uint32_t n_neurons; /* per layer */
	uint32_t *slot_to_neuron; /* (ORDER_METHODS, n_layers, n_neurons) */
	float *frequency; /* (n_layers, n_neurons), by neuron: share of the tokens placed on */
};

struct placement_options {
	enum order_method method;
	uint64_t seed; /* of the random order, layer L using seed + L */
	struct order_best_options best; /* for ORDER_BEST */
	/*
	 * Per layer, for ORDER_BEST: so many bundles are stored again, where that gains anything
	 * (placement/order_copies.h). Layers with fewer of these than others have copies of their
	 * last slot at the end instead.
	 */
	uint32_t n_copies;
	const struct trace *unseen; /* to measure on; NULL: the trace's unseen chunks */
	uint32_t gap; /* bundles, for the report */
	struct thread_pool *pool; /* or NULL */
	struct progress *progress; /* or NULL */
};

/*
 * Place every layer of a trace, from its seen chunks. With `report`, all methods up to the one
 * that was asked for, and all that need no long search, are also measured, on tokens that they
 * did not see. Peak memory is what placement_check_memory() finds. The same arguments give the
 * same placement, whatever the pool.
 * The caller frees both results. -EINVAL for more copies than neurons, or with another method.
 */
int placement_make(const struct trace *trace, const struct placement_options *options,
		   struct placement **placement, struct placement_report **report,
		   struct error *err);

/* -EINVAL for a trace to measure on that is of another model than that to place from. */
int placement_check_unseen(const struct trace *trace, const struct trace *unseen,
			   struct error *err);

/*
 * -ENOMEM, with what is needed, when the process would then have more than `memory`
 * bytes: what it has now, the counts of a layer (n_neurons^2 bytes, twice that from 65536
 * tokens on) and a batch of tokens, what a search takes, or the unseen tokens' activity. The
 * number of tokens to place from is in it only in this way. What is left for the search's rows
 * goes to best.memory.
 */
#define PLACEMENT_DEFAULT_MEMORY (UINT64_C(2) << 30)
int placement_check_memory(const struct trace *trace, struct placement_options *options,
			   unsigned int n_threads, uint64_t memory, struct error *err);

/* The neuron at each position, (n_layers, positions), to be free()d; NULL: no memory. */
uint32_t *placement_neurons(const struct placement *placement);

void placement_free(struct placement *placement);
void placement_report_free(struct placement_report *report);

/* The order of all layers by a method: (n_layers, n_neurons). */
uint32_t *placement_report_order(const struct placement_report *report, enum order_method method);

int placement_save(const struct placement *placement, const char *path, struct error *err);
int placement_load(const char *path, struct placement **placement, struct error *err);

#endif
