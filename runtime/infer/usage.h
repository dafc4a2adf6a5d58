/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts which neurons a session computes: an observer that adds up, per layer,
 * what fired, what the predictor wanted, and what was both.
 *
 * What fired is known only of the neurons that were read. In SESSION_DENSE and
 * SESSION_MEASURE that is all of them; in SESSION_SPARSE a neuron that would have
 * fired but was not asked for is not counted.
 */
#ifndef COLINK_INFER_USAGE_H
#define COLINK_INFER_USAGE_H

#include <stdint.h>

#include "base/error.h"
#include "infer/session.h"

struct usage_layer {
	uint64_t fired;
	uint64_t wanted;
	uint64_t both;
};

struct usage {
	struct session_observer observer; /* give this to session_observe() */
	uint32_t n_layers;
	uint32_t n_neurons;
	uint64_t n_tokens;
	struct usage_layer total;
	struct usage_layer *layers; /* (n_layers) */
};

int usage_create(const struct model_config *config, struct usage **usage, struct error *err);
void usage_free(struct usage *usage);

/* Shares of n_tokens tokens in n_layers layers; 0 where nothing was counted. */
double usage_active_share(const struct usage *usage);
double usage_wanted_share(const struct usage *usage);
double usage_recall(const struct usage_layer *counts);
double usage_precision(const struct usage_layer *counts);

#endif
