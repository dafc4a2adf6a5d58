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

/*
 * What a model computes. OPT: layer norms, a position table, linear layers with
 * biases, and per layer down . relu(up . x + bias). Llama (and its kin, as Mistral):
 * RMSNorm, rotary positions, no biases, norms before each block, and a gated FFN,
 * down . (activation(gate . x) * (up . x)).
 */
enum model_architecture {
	MODEL_OPT,
	MODEL_LLAMA,
};

/* In each a neuron is active when what it adds is not 0; v is what the gate gives. */
enum model_activation {
	MODEL_RELU, /* v where v > 0 */
	MODEL_FATRELU, /* v where v > threshold (ProSparse); gated models only */
	MODEL_RELU_BOTH, /* relu on what up gives as well (TurboSparse); gated models only */
};

/*
 * What is not there (0) is as in OPT, so that an OPT model need not mention it. In a
 * Llama model d_embed is d_model, final_norm is set and post_norm is not.
 */
struct model_config {
	enum model_architecture architecture;
	uint32_t n_layers;
	uint32_t d_model; /* width of the residual stream */
	uint32_t d_embed; /* width of the token embedding; other than d_model: projections */
	uint32_t n_ffn; /* neurons per layer */
	uint32_t n_positions; /* bundles per layer, if some are stored again; 0: n_ffn */
	uint32_t n_heads;
	uint32_t n_kv_heads; /* of keys and values, each for several of queries; 0: n_heads */
	uint32_t n_vocab; /* rows of the token embedding */
	uint32_t n_context; /* positions */
	float norm_epsilon;
	bool post_norm; /* norms after attention and FFN (opt-350m) instead of before */
	bool final_norm;
	bool tied; /* the output head is the token embedding */
	float rope_theta; /* base of the rotary positions' frequencies; Llama only */
	enum model_activation activation;
	float activation_threshold; /* of MODEL_FATRELU */
	uint32_t predictor_rank; /* 0: no predictor in the file */
};

/* In the order of the file; from MODEL_ATTN_NORM_WEIGHT on they repeat per layer. */
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
	MODEL_HINT_LINK, /* (n_positions): strength of the link to the next bundle */
	MODEL_HINT_FREQUENCY, /* (n_ffn): share of tokens for which the slot fires */
	MODEL_PLACES, /* (n_positions): slot of each bundle; only where some are stored again */
	/*
	 * (n_positions, model_bundle_rows() * d_model), by slot, or as MODEL_PLACES says: of OPT
	 * the row of fc1, then the column of fc2; of gated models rows of gate and up, then the
	 * column of down.
	 */
	MODEL_BUNDLES,
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

/* Whether the FFN has a gate. */
bool model_is_gated(const struct model_config *config);

/* Bundles of a layer: one for each neuron, and copies. */
uint32_t model_positions(const struct model_config *config);
bool model_has_copies(const struct model_config *config);

/* Vectors of d_model halves in a bundle: 2, or 3 of a gated model. The last is the output's. */
uint32_t model_bundle_rows(const struct model_config *config);

/* Bytes of a bundle. */
uint32_t model_bundle_stride(const struct model_config *config);

/* Elements of a head of attention, and of the keys (or values) of all heads of one token. */
uint32_t model_head_width(const struct model_config *config);
uint32_t model_kv_heads(const struct model_config *config);
uint32_t model_kv_width(const struct model_config *config);

#endif
