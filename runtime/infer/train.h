/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Training the predictor, in closed form.
 *
 * Before relu, the FFN of layer L is linear in its input y_L: a = W y_L + b, and
 * y_L is in turn foretold well by a linear map of the FFN input one layer
 * earlier, x = y_{L-1} (layer 0: x = y_0 itself). So the predictor is the
 * reduced-rank ridge regression of a on x (Izenman 1975): of all maps of rank r
 * the one with the least mean squared error of a. It needs covariances of the
 * traced inputs and the layer's weights, no gradient steps and no random start.
 *
 * Of a gated model, a is what the gate gives, less the activation's threshold: so what
 * a neuron adds at once when it crosses the threshold is left out, which matters little
 * as long as the threshold is small.
 *
 * A neuron is wanted when what it is expected to add, given the score s and the
 * error sd of its regression, exceeds a threshold that all layers share:
 *   gain * E[relu(N(s, sd))] > theta
 * where gain is the length of its column of fc2 (infer/train_gain.h for gated models).
 * E is monotone in s, so this is one threshold on s per neuron, kept in the bias.
 * theta is set on tokens that the regression did not see, such that `ratio` times
 * as many neurons are wanted as fire; fewer only when no more have any chance to.
 */
#ifndef COLINK_INFER_TRAIN_H
#define COLINK_INFER_TRAIN_H

#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "infer/predictor.h"
#include "model/model_file.h"
#include "placement/trace.h"

struct train_options {
	uint32_t rank; /* 0: a quarter of d_model */
	double ratio; /* wanted / fired; 0: the default, TRAIN_DEFAULT_RATIO */
};

#define TRAIN_DEFAULT_RATIO 1.5

/*
 * On the tokens kept away from the regression, by layer. Shares are of all neurons;
 * recall and precision count neurons, and are 1 where nothing fired or was wanted.
 */
struct train_layer_report {
	double active_share;
	double wanted_share;
	double recall;
	double precision;
};

struct train_report {
	uint32_t n_layers;
	uint32_t rank;
	uint64_t n_tokens; /* for the regression */
	/*
	 * For the thresholds and the figures below. 0: the trace is too short to keep a
	 * chunk away, and both come from the tokens of the regression.
	 */
	uint64_t n_unseen;
	uint64_t predictor_bytes; /* DRAM that it takes in a run */
	struct train_layer_report *layers; /* (n_layers) */
};

/*
 * `trace` must come from the model, with inputs and at least d_model tokens for the
 * regression, or it is refused (-EINVAL). Peak memory is eight d_model^2 matrices of
 * doubles, two layers' worth of FFN weights, and the predictor. A layer takes about
 * 3 N d_model^2 operations for the covariances of N tokens, and a regression
 * (regression.h). The same arguments give the same predictor, whatever the pool.
 * Progress counts operations, about; it stands still during a regression. The
 * caller frees both results.
 */
int train_predictor(const struct model_file *model, const struct trace *trace,
		    const struct train_options *options, struct thread_pool *pool,
		    struct progress *progress, struct predictor **predictor,
		    struct train_report **report, struct error *err);
void train_report_free(struct train_report *report);

#endif
