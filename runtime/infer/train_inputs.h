/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Means and covariances of a layer's FFN input y and of the vector x that it is
 * foretold from (predict_source()), over the chunks that are for the regression.
 * Layer by layer in ascending order: what was y is x for the next.
 */
#ifndef COLINK_INFER_TRAIN_INPUTS_H
#define COLINK_INFER_TRAIN_INPUTS_H

#include "base/error.h"
#include "infer/covariance.h"
#include "infer/train_private.h"

struct train_inputs {
	double *mean_x; /* (d_model) */
	double *mean_y;
	double *xx; /* (d_model, d_model) */
	double *xy; /* rows by x */
	double *yy;
	uint16_t *x; /* (max_chunk, d_model): a chunk's inputs */
	uint16_t *y;
	struct vector_block *x_block;
	struct vector_block *y_block;
};

/* The caller calls train_inputs_free() also after a failure. */
int train_inputs_create(const struct training *training, struct train_inputs *inputs,
			struct error *err);
void train_inputs_free(struct train_inputs *inputs);

/*
 * Layer 0, or the one after the layer of the last call, between which xx and xy
 * may be overwritten, but not yy and mean_y.
 */
int train_inputs_read(struct training *training, uint32_t layer, struct train_inputs *inputs,
		      struct error *err);

#endif
