/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Activations of a layer as real ones are distributed, for sizes of which no checkpoint is
 * at hand. The model, and what it is calibrated to, is in Documentation/synthetic.rst:
 *
 *   - Neurons belong to clusters, in an order drawn at random: the checkpoint's order says
 *     nothing of who fires together.
 *   - A cluster is on for a token with the chance sigmoid(level + spread * z + mood), where z
 *     is drawn per cluster (frequencies are heavy-tailed), the mood per token (some tokens
 *     use more neurons than others), and the level makes the mean share of the layer.
 *   - From one token to the next, a cluster stays as it is with the chance `persistence`,
 *     and is drawn anew otherwise: consecutive tokens share neurons.
 *   - A neuron of a cluster that is on fires with the chance `member`.
 *
 * With `independent`, the control, each neuron is a cluster of its own, with the frequency
 * that it has otherwise.
 */
#ifndef COLINK_SYNTH_SYNTH_ACTIVITY_H
#define COLINK_SYNTH_SYNTH_ACTIVITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/random.h"

struct synth_parameters {
	double active_share; /* of a layer's neurons, mean over tokens; 0 to 1 */
	double frequency_spread; /* deviation of z's share of the logit */
	double mood_spread; /* deviation of the mood */
	double cluster_neurons; /* mean size, >= 1 */
	double member; /* chance of a neuron of a cluster that is on */
	double persistence; /* 0: tokens are independent */
};

struct synth_layer;

/* Draw a layer. The caller calls synth_layer_free(). */
int synth_layer_create(uint32_t n_neurons, const struct synth_parameters *parameters,
		       bool independent, uint64_t seed, struct synth_layer **layer,
		       struct error *err);
void synth_layer_free(struct synth_layer *layer);

/* The neurons that fire for the next token: a set over n_neurons (base/bits.h), overwritten. */
void synth_layer_next(struct synth_layer *layer, uint64_t *fired);

#endif
