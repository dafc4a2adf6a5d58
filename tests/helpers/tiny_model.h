/* SPDX-License-Identifier: GPL-2.0-only */
/* A model file of any small shape, without a checkpoint to import. */
#ifndef COLINK_TESTS_HELPERS_TINY_MODEL_H
#define COLINK_TESTS_HELPERS_TINY_MODEL_H

#include <stdint.h>

#include "model/model_layout.h"

/*
 * The parts of the FFN that a test sets; by neuron, layer after layer. All other
 * tensors are zero.
 */
struct tiny_model {
	struct model_config config; /* at most 16 words of vocabulary */
	uint64_t model_id;
	const uint32_t *neuron; /* (n_ffn): of each slot, the same in all layers */
	const uint16_t *up; /* (n_layers, n_ffn, d_model): rows of fc1 */
	const float *up_bias; /* (n_layers, n_ffn) */
	const uint16_t *down; /* (n_layers, n_ffn, d_model): columns of fc2 */
	const float *link; /* (n_layers, n_ffn), by slot: hints; NULL: zero */
	const float *frequency; /* likewise */
	const uint32_t *slot_at; /* (n_positions), with copies: the same in all layers */
};

void tiny_model_write(const struct tiny_model *model, const char *path);

#endif
