// SPDX-License-Identifier: GPL-2.0-only
#include "infer/train.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "infer/regression.h"
#include "infer/train_calibrate.h"
#include "infer/train_gain.h"
#include "infer/train_inputs.h"
#include "infer/train_private.h"
#include "infer/train_weights.h"

static int check_trace(const struct model_file *model, const struct trace *trace, struct error *err)
{
	const struct trace_shape *shape = trace_get_shape(trace);
	const struct model_config *config = &model->config;

	if (shape->model_id != model->origin.model_id)
		return error_set(err, -EINVAL,
				 "the trace is of model %016" PRIx64 ", but %s is model %016" PRIx64
				 ": record a trace of this one",
				 shape->model_id, gguf_path(model->gguf), model->origin.model_id);
	if (!shape->n_inputs)
		return error_set(err, -EINVAL,
				 "the trace has no inputs to train from: record it "
				 "with 'colink trace --inputs'");
	if (shape->n_layers != config->n_layers || shape->n_neurons != config->n_ffn ||
	    shape->n_inputs != config->d_model)
		return error_set(
			err, -EINVAL,
			"the trace has %" PRIu32 " layers of %" PRIu32 " neurons and %" PRIu32
			" inputs, but %s has %" PRIu32 " of %" PRIu32 " and %" PRIu32,
			shape->n_layers, shape->n_neurons, shape->n_inputs, gguf_path(model->gguf),
			config->n_layers, config->n_ffn, config->d_model);
	return 0;
}

static int check_options(const struct training *training, struct error *err)
{
	uint32_t d = training->model->config.d_model;

	if (training->rank > d)
		return error_set(err, -EINVAL,
				 "a predictor of rank %" PRIu32 " was asked for: at "
				 "most the model's width, %" PRIu32 ", is possible",
				 training->rank, d);
	if (!isfinite(training->ratio) || training->ratio <= 0)
		return error_set(err, -EINVAL,
				 "a ratio of %g wanted neurons per fired one was asked "
				 "for: it has to be positive",
				 training->ratio);
	return 0;
}

static void count_tokens(struct training *training)
{
	for (uint32_t chunk = 0; chunk < trace_chunks(training->trace); chunk++) {
		uint32_t n = trace_chunk_tokens(training->trace, chunk);

		if (trace_chunk_unseen(training->trace, chunk))
			training->n_unseen += n;
		else
			training->n_tokens += n;
		if (n > training->max_chunk)
			training->max_chunk = n;
	}
}

/* Operations of a regression: see regression.h. LAPACK's are slower than ours. */
static double regression_operations(const struct model_config *config)
{
	double d = config->d_model;

	/* A gated model's gains need the variance of what `up` gives. */
	return 24 * d * d * d + (model_is_gated(config) ? 5.0 : 3.0) * config->n_ffn * d * d;
}

static double all_operations(const struct training *training)
{
	const struct model_config *config = &training->model->config;
	uint64_t scored = training->n_unseen ? training->n_unseen : training->n_tokens;
	double d = config->d_model;
	double sums = (double)training->n_tokens * d * d;
	double scores = (double)scored * training->rank * (d + config->n_ffn);

	/* Layer 0 is foretold from its own input: one sum instead of three's worth. */
	return sums * (3.0 * config->n_layers - 2) +
	       config->n_layers * (regression_operations(config) + 2 * scores);
}

static int begin(struct training *training, struct error *err)
{
	uint32_t d = training->model->config.d_model;
	int ret = check_trace(training->model, training->trace, err);

	if (ret == 0)
		ret = check_options(training, err);
	if (ret < 0)
		return ret;
	count_tokens(training);
	if (training->n_tokens < d)
		return error_set(err, -EINVAL,
				 "the trace has %" PRIu64 " tokens to train from, a "
				 "model of width %" PRIu32
				 " needs at least that many, better %" PRIu64
				 ": record a longer text",
				 training->n_tokens, d, 20 * (uint64_t)d);
	training->total = all_operations(training);
	training_advance(training, 0);
	return 0;
}

/* The layer's map, without thresholds, and what the thresholds will depend on. */
static int fit_layer(struct training *training, uint32_t layer, struct train_inputs *inputs,
		     struct calibration *calibration, struct error *err)
{
	const struct model_config *config = &training->model->config;
	struct regression regression = {
		.width = config->d_model,
		.n_neurons = config->n_ffn,
		.rank = training->rank,
	};
	size_t first = (size_t)layer * config->n_ffn;
	struct train_weights weights;
	int ret;

	ret = train_inputs_read(training, layer, inputs, err);
	if (ret == 0)
		ret = train_weights_read(training->model, layer, &weights, err);
	if (ret < 0)
		return ret;
	ret = train_gain(training, inputs, &weights, calibration->gain + first, err);
	if (ret < 0)
		goto out;
	regression.xx = inputs->xx;
	regression.xy = inputs->xy;
	regression.yy = inputs->yy;
	regression.mean_x = inputs->mean_x;
	regression.mean_y = inputs->mean_y;
	regression.weights = weights.rows;
	regression.bias = weights.bias;
	ret = regression_fit(&training->compute, &regression,
			     &calibration->predictor->layers[layer], calibration->error_sd + first,
			     err);
	training_advance(training, regression_operations(config));
out:
	train_weights_free(&weights);
	return ret;
}

static int fit_layers(struct training *training, struct calibration *calibration, struct error *err)
{
	struct train_inputs inputs;
	int ret = train_inputs_create(training, &inputs, err);

	for (uint32_t layer = 0; layer < training->model->config.n_layers && ret == 0; layer++) {
		ret = fit_layer(training, layer, &inputs, calibration, err);
		if (ret == 0)
			ret = train_calibrate_add(training, calibration, layer, err);
	}
	train_inputs_free(&inputs);
	return ret;
}

static int set_thresholds(struct training *training, struct calibration *calibration,
			  struct train_report *report, struct error *err)
{
	double theta = train_calibrate_theta(calibration, training->ratio);
	int ret = 0;

	for (uint32_t layer = 0; layer < report->n_layers && ret == 0; layer++) {
		train_calibrate_fold(calibration, layer, theta);
		ret = train_calibrate_measure(training, calibration, layer, &report->layers[layer],
					      err);
	}
	return ret;
}

static int report_create(const struct training *training, struct train_report **result,
			 struct error *err)
{
	const struct model_config *config = &training->model->config;
	struct train_report *report = malloc(sizeof(*report));
	uint64_t halves = (uint64_t)training->rank * ((uint64_t)config->d_model + config->n_ffn);

	if (!report)
		return error_no_memory(err, "a report");
	*report = (struct train_report){
		.n_layers = config->n_layers,
		.rank = training->rank,
		.n_tokens = training->n_tokens,
		.n_unseen = training->n_unseen,
		.predictor_bytes = config->n_layers *
				   (halves * sizeof(uint16_t) + config->n_ffn * sizeof(float)),
		.layers = calloc(config->n_layers, sizeof(struct train_layer_report)),
	};
	if (!report->layers) {
		free(report);
		return error_no_memory(err, "a report");
	}
	*result = report;
	return 0;
}

void train_report_free(struct train_report *report)
{
	if (!report)
		return;
	free(report->layers);
	free(report);
}

static int train(struct training *training, struct predictor *predictor,
		 struct train_report *report, struct error *err)
{
	struct calibration calibration;
	int ret = calibration_create(training, predictor, &calibration, err);

	if (ret == 0)
		ret = fit_layers(training, &calibration, err);
	if (ret == 0)
		ret = set_thresholds(training, &calibration, report, err);
	calibration_free(&calibration);
	return ret;
}

int train_predictor(const struct model_file *model, const struct trace *trace,
		    const struct train_options *options, struct thread_pool *pool,
		    struct progress *progress, struct predictor **predictor_result,
		    struct train_report **report_result, struct error *err)
{
	const struct model_config *config = &model->config;
	struct training training = {
		.model = model,
		.trace = trace,
		.compute = { .kernels = kernels_best(), .pool = pool },
		.rank = options->rank ? options->rank : (config->d_model + 3) / 4,
		.ratio = options->ratio != 0 ? options->ratio : TRAIN_DEFAULT_RATIO,
		.progress = progress,
	};
	struct predictor *predictor = NULL;
	struct train_report *report = NULL;
	int ret;

	ret = begin(&training, err);
	if (ret == 0)
		ret = predictor_create(config->n_layers, config->d_model, config->n_ffn,
				       training.rank, model->origin.model_id, &predictor, err);
	if (ret == 0)
		ret = report_create(&training, &report, err);
	if (ret == 0)
		ret = train(&training, predictor, report, err);
	if (ret < 0) {
		train_report_free(report);
		predictor_free(predictor);
		return ret;
	}
	*predictor_result = predictor;
	*report_result = report;
	return 0;
}
