// SPDX-License-Identifier: GPL-2.0-only
#include "infer/train_gain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "infer/covariance.h"
#include "infer/threshold.h"

/* Keeps a deviation above 0 where up has no weights. */
#define LEAST_VARIANCE 1e-12

/* up . mean(y) */
static int up_means(const struct training *training, const struct train_inputs *inputs,
		    const struct train_weights *weights, float *means, struct error *err)
{
	size_t d = training->model->config.d_model;
	float *mean = malloc(d * sizeof(*mean));

	if (!mean)
		return error_no_memory(err, "means of a layer's inputs");
	for (size_t i = 0; i < d; i++)
		mean[i] = (float)inputs->mean_y[i];
	linear(&training->compute, means, weights->up, NULL, mean, 1,
	       training->model->config.n_ffn, d);
	free(mean);
	return 0;
}

static double expected_up(double mean, double sd, bool relu)
{
	return expected_relu(mean, sd) + (relu ? 0 : expected_relu(-mean, sd));
}

static int multiply_by_up(const struct training *training, const struct train_inputs *inputs,
			  const struct train_weights *weights, float *gain, struct error *err)
{
	const struct model_config *config = &training->model->config;
	double *variances = malloc(config->n_ffn * sizeof(*variances));
	float *means = malloc(config->n_ffn * sizeof(*means));
	int ret;

	if (!variances || !means) {
		ret = error_no_memory(err, "variances of a layer's products");
		goto out;
	}
	ret = covariance_of_rows(&training->compute, weights->up, config->n_ffn, config->d_model,
				 inputs->yy, variances, err);
	if (ret == 0)
		ret = up_means(training, inputs, weights, means, err);
	for (size_t j = 0; j < config->n_ffn && ret == 0; j++) {
		double sd = sqrt(fmax(variances[j], 0) + LEAST_VARIANCE);

		gain[j] *= (float)expected_up(means[j], sd, config->activation == MODEL_RELU_BOTH);
	}
out:
	free(means);
	free(variances);
	return ret;
}

int train_gain(const struct training *training, const struct train_inputs *inputs,
	       const struct train_weights *weights, float *gain, struct error *err)
{
	memcpy(gain, weights->column_norm, training->model->config.n_ffn * sizeof(*gain));
	return weights->up ? multiply_by_up(training, inputs, weights, gain, err) : 0;
}
