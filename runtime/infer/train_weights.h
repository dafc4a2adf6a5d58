/* SPDX-License-Identifier: GPL-2.0-only */
/* One layer's FFN as training needs it: by neuron, whatever the file's placement. */
#ifndef COLINK_INFER_TRAIN_WEIGHTS_H
#define COLINK_INFER_TRAIN_WEIGHTS_H

#include <stdint.h>

#include "base/error.h"
#include "model/model_file.h"

struct train_weights {
	/* What decides whether a neuron fires: it does when rows . x + bias > 0. */
	uint16_t *rows; /* (n_ffn, d_model): fc1, or the gate */
	float *bias; /* (n_ffn): of fc1; of a gate, what its threshold is below 0 */
	uint16_t *up; /* (n_ffn, d_model): what the gate's is multiplied by; NULL without a gate */
	float *column_norm; /* (n_ffn): length of each column of fc2, or down */
};

/* The caller calls train_weights_free(). */
int train_weights_read(const struct model_file *model, uint32_t layer,
		       struct train_weights *weights, struct error *err);
void train_weights_free(struct train_weights *weights);

#endif
