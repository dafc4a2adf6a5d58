/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From scores to decisions: theta, the thresholds that follow from it, and how
 * well they do. Scores are computed as in a run (infer/predict.h), on the tokens
 * that the regression did not see. Once per layer each:
 *   train_calibrate_add()     after its regression; then, theta being known,
 *   train_calibrate_fold()    puts the thresholds into the bias,
 *   train_calibrate_measure() counts.
 */
#ifndef COLINK_INFER_TRAIN_CALIBRATE_H
#define COLINK_INFER_TRAIN_CALIBRATE_H

#include "base/error.h"
#include "infer/predictor.h"
#include "infer/threshold.h"
#include "infer/train.h"
#include "infer/train_private.h"

struct calibration {
	struct predictor *predictor;
	float *error_sd; /* (n_layers, n_ffn): of each score */
	float *gain; /* (n_layers, n_ffn): what activations are multiplied by, see train_gain.h */
	struct contribution_histogram *histogram;
	struct contribution_scale *scales; /* (n_ffn) */
	uint64_t n_fired; /* of the tokens and layers added */
	uint16_t *inputs; /* (max_chunk, d_model) */
	uint64_t *fired; /* (max_chunk, bits_words(n_ffn)) */
	float *x; /* a block of tokens' inputs, */
	float *hidden; /* (tokens, rank), */
	float *scores; /* and (tokens, n_ffn) */
};

/* The caller calls calibration_free() also after a failure. */
int calibration_create(const struct training *training, struct predictor *predictor,
		       struct calibration *calibration, struct error *err);
void calibration_free(struct calibration *calibration);

/* Needs the layer's map, error_sd and gain. */
int train_calibrate_add(struct training *training, struct calibration *calibration,
			uint32_t layer, struct error *err);

/* For ratio times as many wanted neurons as fired, over all layers. */
double train_calibrate_theta(const struct calibration *calibration, double ratio);

void train_calibrate_fold(struct calibration *calibration, uint32_t layer, double theta);

int train_calibrate_measure(struct training *training, struct calibration *calibration,
			    uint32_t layer, struct train_layer_report *report, struct error *err);

#endif
