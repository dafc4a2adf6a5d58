/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A trained predictor, as a file of its own between `colink train` and `colink
 * pack`. Rows are by neuron here; pack puts them into slot order. What the
 * numbers mean stands in infer/predict.h, how they are found in infer/train.h.
 */
#ifndef COLINK_INFER_PREDICTOR_H
#define COLINK_INFER_PREDICTOR_H

#include <stdint.h>

#include "base/error.h"

struct predictor_layer {
	uint16_t *down; /* (rank, d_model) f16 */
	uint16_t *up; /* (n_neurons, rank) f16 */
	float *bias; /* (n_neurons), threshold included */
};

struct predictor {
	uint32_t n_layers;
	uint32_t d_model;
	uint32_t n_neurons;
	uint32_t rank;
	uint64_t model_id;
	struct predictor_layer *layers; /* (n_layers) */
};

/* All zero. The caller calls predictor_free(). */
int predictor_create(uint32_t n_layers, uint32_t d_model, uint32_t n_neurons, uint32_t rank,
		     uint64_t model_id, struct predictor **predictor, struct error *err);
void predictor_free(struct predictor *predictor);

/* Written whole or not at all; checksummed. Load refuses what is damaged. */
int predictor_save(const struct predictor *predictor, const char *path, struct error *err);
int predictor_load(const char *path, struct predictor **predictor, struct error *err);

#endif
