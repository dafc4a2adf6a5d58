/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A gated model of random weights that f16 holds exactly: in memory as a checkpoint
 * of Hugging Face has it (modeling_llama.py), and as a model file.
 */
#ifndef COLINK_TESTS_HELPERS_GATED_MODEL_H
#define COLINK_TESTS_HELPERS_GATED_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "model/model_layout.h"

/* Rows of linear layers are outputs. d: d_model, kv: model_kv_width(), n: n_ffn. */
struct gated_layer {
	float *input_norm; /* (d) */
	float *q; /* (d, d), elements of a head in halves that are turned together */
	float *k; /* (kv, d), likewise */
	float *v; /* (kv, d) */
	float *o; /* (d, d) */
	float *post_attention_norm; /* (d) */
	float *gate; /* (n, d) */
	float *up; /* (n, d) */
	float *down; /* (d, n) */
};

struct gated_model {
	struct model_config config;
	float *embedding; /* (n_vocab, d) */
	float *head; /* (n_vocab, d); the embedding when tied */
	float *norm; /* (d) */
	struct gated_layer *layers;
	uint32_t *neuron; /* (n): of each slot, the same in all layers */
	/* (n), by neuron: what the predictor, if there is one, asks for whatever its input. */
	bool *wanted;
};

/* 2 layers, width 16, 4 heads, 24 neurons, 16 positions, a token per byte; relu, untied. */
struct model_config gated_small(void);

/* The same configuration has the same weights. The caller calls gated_model_free(). */
struct gated_model *gated_model_make(const struct model_config *config);
void gated_model_free(struct gated_model *model);

void gated_model_write(const struct gated_model *model, const char *path);

#endif
