/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which slots of a layer are worth reading, foretold from an earlier vector:
 *   wanted(s) = up[s] . (down . x) + bias[s] > 0
 * where x is the FFN input of the layer before (of the layer itself for layer 0,
 * which has none before it). Thresholds are part of the bias. infer/train.h says
 * how the weights come about.
 */
#ifndef COLINK_INFER_PREDICT_H
#define COLINK_INFER_PREDICT_H

#include <stdint.h>

#include "infer/linear.h"
#include "infer/model.h"

/* The layer whose FFN input foretells `layer`. */
static inline uint32_t predict_source(uint32_t layer)
{
	return layer ? layer - 1 : 0;
}

/* Floats of scratch memory that predict() needs for a batch. */
size_t predict_scratch_size(const struct model_config *config, size_t n_tokens);

/*
 * Overwrites wanted (n_tokens, bits_words(n_ffn)), by slot. x is (n_tokens,
 * d_model): the FFN input of layer predict_source(layer).
 */
void predict(const struct compute *compute, const struct model *model, uint32_t layer,
	     const float *x, size_t n_tokens, uint64_t *wanted, float *scratch);

#endif
