/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which tensors a model file holds, in which order and shape: the one list that
 * writing, checking and loading all go by. The resident part comes first, the
 * bundles of all layers last, so that a run starts with one sequential read.
 */
#ifndef COLINK_MODEL_MODEL_LAYOUT_H
#define COLINK_MODEL_MODEL_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/gguf.h"

struct model_config {
	uint32_t n_layers;
	uint32_t d_model; /* width of the residual stream */
	uint32_t d_embed; /* width of the token embedding; other than d_model: projections */
	uint32_t n_ffn; /* neurons per layer */
	uint32_t n_heads;
	uint32_t n_vocab; /* rows of the token embedding */
	uint32_t n_context; /* positions */
	float norm_epsilon;
	bool post_norm; /* norms after attention and FFN (opt-350m) instead of before */
	bool final_norm;
	bool tied; /* the output head is the token embedding */
	uint32_t predictor_rank; /* 0: no predictor in the file */
};

/* In the order of the file; the order of MODEL_LAYER_TENSORS repeats per layer. */
enum model_tensor_id {
	MODEL_TOKEN_EMBEDDING,
	MODEL_POSITION_EMBEDDING,
	MODEL_PROJECT_IN,
	MODEL_PROJECT_OUT,
	MODEL_OUTPUT_NORM_WEIGHT,
	MODEL_OUTPUT_NORM_BIAS,
	MODEL_OUTPUT,

	MODEL_ATTN_NORM_WEIGHT,
	MODEL_ATTN_NORM_BIAS,
	MODEL_ATTN_Q_WEIGHT,
	MODEL_ATTN_Q_BIAS,
	MODEL_ATTN_K_WEIGHT,
	MODEL_ATTN_K_BIAS,
	MODEL_ATTN_V_WEIGHT,
	MODEL_ATTN_V_BIAS,
	MODEL_ATTN_OUT_WEIGHT,
	MODEL_ATTN_OUT_BIAS,
	MODEL_FFN_NORM_WEIGHT,
	MODEL_FFN_NORM_BIAS,
	MODEL_FFN_UP_BIAS, /* by slot */
	MODEL_FFN_DOWN_BIAS,
	MODEL_PREDICTOR_DOWN, /* (rank, d_model) */
	MODEL_PREDICTOR_UP, /* (n_ffn, rank), by slot */
	MODEL_PREDICTOR_BIAS, /* (n_ffn), by slot; threshold included */
	MODEL_HINT_NEURON, /* (n_ffn): neuron of each slot */
	MODEL_HINT_LINK, /* (n_ffn): strength of the link to the next slot */
	MODEL_HINT_FREQUENCY, /* (n_ffn): share of tokens for which the slot fires */
	MODEL_BUNDLES, /* (n_ffn, 2 * d_model), by slot: row of fc1, then column of fc2 */
	MODEL_TENSOR_IDS, /* how many there are */
};

/* `layer` of tensors that belong to none. */
#define MODEL_NO_LAYER UINT32_MAX
#define MODEL_NAME_SIZE 64

struct model_tensor {
	enum model_tensor_id id;
	uint32_t layer;
	char name[MODEL_NAME_SIZE];
	enum gguf_tensor_type type;
	uint32_t n_dims;
	uint64_t dims[2]; /* innermost first */
};

struct model_layout {
	struct model_tensor *tensors; /* (n_tensors) */
	size_t n_tensors;
};

/* The list for a configuration; the caller calls model_layout_free(). */
int model_layout_make(const struct model_config *config, struct model_layout *layout,
		      struct error *err);
void model_layout_free(struct model_layout *layout);

uint64_t model_tensor_elements(const struct model_tensor *tensor);
uint64_t model_tensor_bytes(const struct model_tensor *tensor);

/* Bytes of a bundle: 2 * d_model halves. */
uint32_t model_bundle_stride(const struct model_config *config);

#endif
