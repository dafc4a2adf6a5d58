/* SPDX-License-Identifier: GPL-2.0-only */
/* Activities and traces with known properties, for the tests of placement. */
#ifndef COLINK_TESTS_HELPERS_ACTIVITY_H
#define COLINK_TESTS_HELPERS_ACTIVITY_H

#include <stdbool.h>
#include <stdint.h>

#include "placement/activity.h"
#include "placement/order.h"
#include "placement/order_best.h"

/* Every neuron fires for every token with probability `share`, independently. */
struct activity make_independent_activity(uint64_t seed, uint32_t n_neurons, uint64_t n_tokens,
					  double share);

/*
 * Neurons belong to clusters of `cluster_size`, scattered over the layer; a
 * cluster fires as a whole, with probability `share`.
 */
struct activity make_clustered_activity(uint64_t seed, uint32_t n_neurons, uint64_t n_tokens,
					uint32_t cluster_size, double share);

bool fired_for(const struct activity *activity, uint64_t token, uint32_t neuron);

/* A trace without inputs; layers[l] is layer l, cut into chunks of `chunk_tokens`. */
void write_activities(const char *path, uint64_t model_id, const struct activity *layers,
		      uint32_t n_layers, uint32_t chunk_tokens);

/* "folder/trace", of four chunks in which neurons fire independently; the caller frees the path. */
char *independent_trace(const char *folder, uint64_t model_id, uint32_t n_layers,
			uint32_t n_neurons);

/* To search for a device whose I/Os cost 16 bundles, with as much in DRAM as by default. */
extern const struct order_best_options best_of_16_bundles;

/* order_make() that has to succeed; `seen` is for ORDER_BEST, with the options above. */
void make_order(enum order_method method, const struct coactivation *counts,
		const struct activity *seen, uint64_t seed, uint32_t *order);

/* (n) is a permutation of 0 .. n-1. */
void assert_permutation(const uint32_t *order, uint32_t n);

#endif
