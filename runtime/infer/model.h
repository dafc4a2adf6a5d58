/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model ready to compute: the resident weights in memory, checked against
 * their checksums, and where the bundles lie on flash. Immutable once loaded;
 * any number of threads and sessions may share it.
 */
#ifndef COLINK_INFER_MODEL_H
#define COLINK_INFER_MODEL_H

#include <stdint.h>

#include "base/error.h"
#include "model/model_file.h"
#include "model/tokenizer.h"

/*
 * Shapes are (rows, columns), row-major; halves are f16. "By slot": as on flash.
 * What the model's architecture does not have is NULL: all biases of Llama.
 */
struct layer_weights {
	const float *attn_norm_weight; /* (d_model) */
	const float *attn_norm_bias;
	const uint16_t *attn_q; /* (d_model, d_model), likewise out */
	const uint16_t *attn_k; /* (model_kv_width(), d_model), likewise v */
	const uint16_t *attn_v;
	const uint16_t *attn_out;
	const float *attn_q_bias; /* as many as rows, likewise k, v, out */
	const float *attn_k_bias;
	const float *attn_v_bias;
	const float *attn_out_bias;
	const float *ffn_norm_weight; /* (d_model) */
	const float *ffn_norm_bias;
	const float *ffn_up_bias; /* (n_ffn), by slot */
	const float *ffn_down_bias; /* (d_model) */
	const uint32_t *neuron; /* (n_ffn): neuron of each slot */
	const uint16_t *predictor_down; /* (rank, d_model); NULL without a predictor */
	const uint16_t *predictor_up; /* (n_ffn, rank), by slot */
	const float *predictor_bias; /* (n_ffn), by slot */
};

struct model {
	struct model_file *file;
	struct model_config config;
	struct tokenizer *tokenizer;
	const uint16_t *token_embedding; /* (n_vocab, d_embed) */
	const uint16_t *position_embedding; /* (n_context, d_model), or NULL */
	const uint16_t *project_in; /* (d_model, d_embed), or NULL */
	const uint16_t *project_out; /* (d_embed, d_model), or NULL */
	const float *output_norm_weight; /* (d_model), or NULL */
	const float *output_norm_bias;
	const uint16_t *output; /* (n_vocab, d_embed); the token embedding when tied */
	struct layer_weights *layers; /* (n_layers) */
	uint64_t resident_bytes; /* model_weights_bytes() */
	uint64_t predictor_bytes; /* of these, for predictors */
	void *memory; /* behind all of the above */
};

/* The caller calls model_unload(). */
int model_load(const char *path, struct model **model, struct error *err);
void model_unload(struct model *model);

/*
 * The same in two steps: model_open() reads header and vocabulary, and checks them, so that
 * file, config and tokenizer can be used; model_load_weights() does the rest. In between it
 * can be seen whether the weights fit.
 */
int model_open(const char *path, struct model **model, struct error *err);
int model_load_weights(struct model *model, struct error *err);

/* Bytes of DRAM for the weights of a file. */
uint64_t model_weights_bytes(const struct model_file *file);

#endif
