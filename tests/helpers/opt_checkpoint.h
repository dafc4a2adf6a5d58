/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tiny OPT checkpoints made of random weights: as tables of tensors, which a test
 * may spoil, and as directories. Every value is one that bf16 and f16 hold exactly,
 * so that no conversion changes it.
 */
#ifndef COLINK_TESTS_HELPERS_OPT_CHECKPOINT_H
#define COLINK_TESTS_HELPERS_OPT_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "helpers/checkpoint_writer.h"

/* Tokens of the vocabulary; a shape's n_vocab must be at least that. */
#define OPT_TOKENS 262

struct opt_shape {
	uint32_t n_layers;
	uint32_t d_model;
	uint32_t d_embed; /* word_embed_proj_dim */
	uint32_t n_ffn;
	uint32_t n_heads;
	uint32_t n_vocab;
	uint32_t n_context;
	bool post_norm;
	bool no_final_norm; /* _remove_final_layer_norm */
	bool untied;
	bool no_biases;
};

/* 2 layers, width 16, 24 neurons, 2 heads, 2 rows without a token, 16 positions. */
struct opt_shape opt_small(void);

struct opt_checkpoint {
	struct opt_shape shape;
	char *prefix;
	struct test_tensor *tensors; /* (n_tensors); names and values belong to it */
	size_t n_tensors;
};

/*
 * `prefix` goes before the decoder's names ("model.decoder."). The same shape has
 * the same values, whatever prefix and dtype. The caller calls opt_checkpoint_free().
 */
struct opt_checkpoint *opt_checkpoint_make(const struct opt_shape *shape, const char *prefix,
					   enum checkpoint_dtype dtype);
void opt_checkpoint_free(struct opt_checkpoint *checkpoint);

/* By the name within the decoder ("layers.0.fc1.weight"); fails if there is none. */
struct test_tensor *opt_find(const struct opt_checkpoint *checkpoint, const char *name);

/* The values of a tensor, to be changed. */
float *opt_values(const struct opt_checkpoint *checkpoint, const char *name);

/* config.json, vocab.json, merges.txt and the weights into a folder that is there. */
void opt_checkpoint_write(const struct opt_checkpoint *checkpoint, const char *folder,
			  enum test_form form);

#endif
