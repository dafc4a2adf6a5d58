// SPDX-License-Identifier: GPL-2.0-only
#include "infer/train_calibrate.h"

#include <math.h>
#include <stdlib.h>

#include "base/bits.h"
#include "infer/predict.h"

/* Tokens scored at a time; a multiple of the histogram's 16 sets. */
#define TOKEN_BLOCK 64
/* In the bias of a neuron that is never wanted; finite, so that no sum becomes NaN. */
#define NEVER (-1e30)

int calibration_create(const struct training *training, struct predictor *predictor,
		       struct calibration *calibration, struct error *err)
{
	size_t d = training->model->config.d_model, n = training->model->config.n_ffn;
	size_t n_layers = training->model->config.n_layers, chunk = training->max_chunk;

	*calibration = (struct calibration){
		.predictor = predictor,
		.error_sd = malloc(n_layers * n * sizeof(float)),
		.gain = malloc(n_layers * n * sizeof(float)),
		.scales = malloc(n * sizeof(struct contribution_scale)),
		.inputs = malloc(chunk * d * sizeof(uint16_t)),
		.fired = malloc(chunk * bits_words(n) * sizeof(uint64_t)),
		.x = malloc(TOKEN_BLOCK * d * sizeof(float)),
		.hidden = malloc((size_t)TOKEN_BLOCK * training->rank * sizeof(float)),
		.scores = malloc(TOKEN_BLOCK * n * sizeof(float)),
	};
	if (!calibration->error_sd || !calibration->gain || !calibration->scales ||
	    !calibration->inputs || !calibration->fired || !calibration->x ||
	    !calibration->hidden || !calibration->scores)
		return error_no_memory(err, "scores of a predictor");
	return contribution_histogram_create(&calibration->histogram, err);
}

void calibration_free(struct calibration *calibration)
{
	free(calibration->error_sd);
	free(calibration->gain);
	free(calibration->scales);
	free(calibration->inputs);
	free(calibration->fired);
	free(calibration->x);
	free(calibration->hidden);
	free(calibration->scores);
	contribution_histogram_free(calibration->histogram);
}

/* Whatever looks at scores; `fired` are the bits of the same tokens. */
struct visitor {
	void (*visit)(struct visitor *visitor, const float *scores, const uint64_t *fired,
		      size_t n_tokens);
};

static void score_chunk(struct training *training, struct calibration *calibration, uint32_t layer,
			size_t n_tokens, struct visitor *visitor)
{
	const struct predictor *predictor = calibration->predictor;
	const struct predictor_layer *map = &predictor->layers[layer];
	size_t d = predictor->d_model, n = predictor->n_neurons, rank = predictor->rank;

	for (size_t first = 0; first < n_tokens; first += TOKEN_BLOCK) {
		size_t count = n_tokens - first < TOKEN_BLOCK ? n_tokens - first : TOKEN_BLOCK;

		training->compute.kernels->widen(calibration->x, calibration->inputs + first * d,
						 count * d);
		linear(&training->compute, calibration->hidden, map->down, NULL, calibration->x,
		       count, rank, d);
		linear(&training->compute, calibration->scores, map->up, map->bias,
		       calibration->hidden, count, n, rank);
		visitor->visit(visitor, calibration->scores,
			       calibration->fired + first * bits_words(n), count);
	}
	training_advance(training, (double)n_tokens * (double)rank * (double)(d + n));
}

static int score_chunks(struct training *training, struct calibration *calibration, uint32_t layer,
			struct visitor *visitor, struct error *err)
{
	const struct trace *trace = training->trace;
	uint32_t source = predict_source(layer);
	int ret = 0;

	for (uint32_t chunk = 0; chunk < trace_chunks(trace) && ret == 0; chunk++) {
		if (!training_calibrates(training, chunk))
			continue;
		ret = trace_read_layer(trace, chunk, layer, calibration->fired, NULL, err);
		if (ret == 0)
			ret = trace_read_layer(trace, chunk, source, NULL, calibration->inputs,
					       err);
		if (ret == 0)
			score_chunk(training, calibration, layer, trace_chunk_tokens(trace, chunk),
				    visitor);
	}
	return ret;
}

struct histogram_visitor {
	struct visitor visitor; /* first: it is cast back to this */
	struct calibration *calibration;
	struct thread_pool *pool;
};

static void visit_for_histogram(struct visitor *visitor, const float *scores, const uint64_t *fired,
				size_t n_tokens)
{
	struct histogram_visitor *self = (struct histogram_visitor *)visitor;
	struct calibration *calibration = self->calibration;
	size_t n = calibration->predictor->n_neurons;

	contribution_histogram_add(calibration->histogram, self->pool, scores, n_tokens,
				   calibration->scales, n);
	calibration->n_fired += bits_count(fired, n_tokens * bits_words(n));
}

int train_calibrate_add(struct training *training, struct calibration *calibration, uint32_t layer,
			struct error *err)
{
	struct histogram_visitor visitor = {
		.visitor.visit = visit_for_histogram,
		.calibration = calibration,
		.pool = training->compute.pool,
	};
	size_t n = calibration->predictor->n_neurons;

	for (size_t j = 0; j < n; j++)
		calibration->scales[j] = contribution_scale(calibration->gain[layer * n + j],
							    calibration->error_sd[layer * n + j]);
	return score_chunks(training, calibration, layer, &visitor.visitor, err);
}

double train_calibrate_theta(const struct calibration *calibration, double ratio)
{
	return contribution_histogram_theta(calibration->histogram,
					    ratio * (double)calibration->n_fired);
}

void train_calibrate_fold(struct calibration *calibration, uint32_t layer, double theta)
{
	size_t n = calibration->predictor->n_neurons;
	float *bias = calibration->predictor->layers[layer].bias;

	for (size_t j = 0; j < n; j++) {
		double value = theta / calibration->gain[layer * n + j];
		double threshold = score_expecting(value, calibration->error_sd[layer * n + j]);

		bias[j] = (float)fmax(bias[j] - threshold, NEVER);
	}
}

struct measure_visitor {
	struct visitor visitor; /* first: it is cast back to this */
	size_t n_neurons;
	uint64_t n_fired;
	uint64_t n_wanted;
	uint64_t n_hits; /* both */
};

static void visit_for_measure(struct visitor *visitor, const float *scores, const uint64_t *fired,
			      size_t n_tokens)
{
	struct measure_visitor *self = (struct measure_visitor *)visitor;
	size_t n = self->n_neurons, words = bits_words(n);

	self->n_fired += bits_count(fired, n_tokens * words);
	for (size_t t = 0; t < n_tokens; t++) {
		for (size_t j = 0; j < n; j++) {
			bool wanted = scores[t * n + j] > 0;

			self->n_wanted += wanted;
			self->n_hits += wanted && bits_test(fired + t * words, j);
		}
	}
}

static double share(uint64_t part, double whole)
{
	return whole > 0 ? (double)part / whole : 1;
}

int train_calibrate_measure(struct training *training, struct calibration *calibration,
			    uint32_t layer, struct train_layer_report *report, struct error *err)
{
	struct measure_visitor visitor = {
		.visitor.visit = visit_for_measure,
		.n_neurons = calibration->predictor->n_neurons,
	};
	uint64_t n_tokens = training->n_unseen ? training->n_unseen : training->n_tokens;
	double all = (double)n_tokens * calibration->predictor->n_neurons;
	int ret = score_chunks(training, calibration, layer, &visitor.visitor, err);

	if (ret < 0)
		return ret;
	*report = (struct train_layer_report){
		.active_share = share(visitor.n_fired, all),
		.wanted_share = share(visitor.n_wanted, all),
		.recall = share(visitor.n_hits, (double)visitor.n_fired),
		.precision = share(visitor.n_hits, (double)visitor.n_wanted),
	};
	return 0;
}
