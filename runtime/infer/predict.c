// SPDX-License-Identifier: GPL-2.0-only
#include "infer/predict.h"

#include <string.h>

#include "base/bits.h"

/* Tokens scored at a time: their scores, one per slot, should stay in the L2 cache. */
#define TOKEN_BLOCK 16

size_t predict_scratch_size(const struct model_config *config, size_t n_tokens)
{
	size_t block = n_tokens < TOKEN_BLOCK ? n_tokens : TOKEN_BLOCK;

	return n_tokens * config->predictor_rank + block * config->n_ffn;
}

static void mark_positive(const float *scores, size_t n, uint64_t *wanted)
{
	for (size_t word = 0; word < bits_words(n); word++) {
		size_t first = word * 64;
		size_t count = n - first < 64 ? n - first : 64;
		uint64_t bits = 0;

		for (size_t i = 0; i < count; i++)
			bits |= (uint64_t)(scores[first + i] > 0) << i;
		wanted[word] = bits;
	}
}

void predict(const struct compute *compute, const struct model *model, uint32_t layer,
	     const float *x, size_t n_tokens, uint64_t *wanted, float *scratch)
{
	const struct layer_weights *weights = &model->layers[layer];
	size_t rank = model->config.predictor_rank, n = model->config.n_ffn;
	float *hidden = scratch, *scores = scratch + n_tokens * rank;

	linear(compute, hidden, weights->predictor_down, NULL, x, n_tokens, rank,
	       model->config.d_model);
	for (size_t first = 0; first < n_tokens; first += TOKEN_BLOCK) {
		size_t count = n_tokens - first < TOKEN_BLOCK ? n_tokens - first : TOKEN_BLOCK;

		linear(compute, scores, weights->predictor_up, weights->predictor_bias,
		       hidden + first * rank, count, n, rank);
		for (size_t t = 0; t < count; t++)
			mark_positive(scores + t * n, n, wanted + (first + t) * bits_words(n));
	}
}
