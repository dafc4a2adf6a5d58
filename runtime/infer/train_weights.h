/* SPDX-License-Identifier: GPL-2.0-only */
/* One layer's FFN as training needs it: by neuron, whatever the file's placement. */
#ifndef COLINK_INFER_TRAIN_WEIGHTS_H
#define COLINK_INFER_TRAIN_WEIGHTS_H

#include <stdint.h>

#include "base/error.h"
#include "model/model_file.h"

struct train_weights {
	uint16_t *up; /* (n_ffn, d_model): fc1 */
	float *up_bias; /* (n_ffn) */
	float *column_norm; /* (n_ffn): length of each column of fc2 */
};

/* The caller calls train_weights_free(). */
int train_weights_read(const struct model_file *model, uint32_t layer,
		       struct train_weights *weights, struct error *err);
void train_weights_free(struct train_weights *weights);

#endif
