/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The shapes of models that people use, for measuring at their sizes without a checkpoint,
 * and how the neurons of each fire (synth_activity.h): parameters found by calibration
 * (Documentation/synthetic.rst).
 */
#ifndef COLINK_SYNTH_SHAPE_H
#define COLINK_SYNTH_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "synth/synth_activity.h"

struct model_shape {
	const char *name;
	uint32_t d_model;
	uint32_t n_ffn; /* neurons per layer */
	uint32_t n_layers;
	uint32_t n_matrices; /* rows in a bundle: 2, or 3 of a gated FFN */
	uint32_t n_heads;
	uint32_t n_kv_heads;
	uint32_t n_vocab;
	uint32_t d_embed; /* width of the token embedding */
	bool post_norm; /* norms after attention and FFN, and none at the end */
	uint32_t gate_rank; /* of the model's gates (synth_gate.h); of a gated FFN only */
	/* What the shares of active neurons in the first and the last layer are, of the mean. */
	double first_layer_share, last_layer_share;
	struct synth_parameters activity; /* the active share is the mean over layers */
};

/* NULL for a name that is none. */
const struct model_shape *model_shape_find(const char *name);

/* In the order of size; NULL behind the last. */
const struct model_shape *model_shape_at(uint32_t index);

/* How a layer's neurons fire: `activity` with the layer's own share. */
struct synth_parameters model_shape_layer(const struct model_shape *shape, uint32_t layer);

/* Bytes of a bundle of f16 weights. */
uint32_t model_shape_stride(const struct model_shape *shape);

#endif
