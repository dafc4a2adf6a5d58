// SPDX-License-Identifier: GPL-2.0-only
#include "infer/train_inputs.h"

#include <stdlib.h>
#include <string.h>

#include "infer/predict.h"

int train_inputs_create(const struct training *training, struct train_inputs *inputs,
			struct error *err)
{
	size_t d = training->model->config.d_model;
	size_t chunk = training->max_chunk * d * sizeof(uint16_t);
	int ret;

	*inputs = (struct train_inputs){
		.mean_x = malloc(d * sizeof(double)),
		.mean_y = malloc(d * sizeof(double)),
		.xx = malloc(d * d * sizeof(double)),
		.xy = malloc(d * d * sizeof(double)),
		.yy = malloc(d * d * sizeof(double)),
		.x = malloc(chunk),
		.y = malloc(chunk),
	};
	if (!inputs->mean_x || !inputs->mean_y || !inputs->xx || !inputs->xy || !inputs->yy ||
	    !inputs->x || !inputs->y)
		return error_no_memory(err, "covariances of a layer's inputs");
	ret = vector_block_create(d, &inputs->x_block, err);
	if (ret == 0)
		ret = vector_block_create(d, &inputs->y_block, err);
	return ret;
}

void train_inputs_free(struct train_inputs *inputs)
{
	free(inputs->mean_x);
	free(inputs->mean_y);
	free(inputs->xx);
	free(inputs->xy);
	free(inputs->yy);
	free(inputs->x);
	free(inputs->y);
	vector_block_free(inputs->x_block);
	vector_block_free(inputs->y_block);
}

static void swap(double **a, double **b)
{
	double *c = *a;

	*a = *b;
	*b = c;
}

/* Add the chunk in inputs->y and, when x is another layer's input, inputs->x. */
static void add_chunk(struct training *training, struct train_inputs *inputs, bool own,
		      uint32_t n_tokens)
{
	const struct compute *compute = &training->compute;
	double d = training->model->config.d_model;
	size_t width = training->model->config.d_model;

	for (size_t first = 0; first < n_tokens; first += COVARIANCE_BLOCK) {
		size_t n =
			n_tokens - first < COVARIANCE_BLOCK ? n_tokens - first : COVARIANCE_BLOCK;

		vector_block_fill(compute, inputs->y_block, inputs->y + first * width, n);
		vector_block_sum(inputs->y_block, inputs->mean_y);
		covariance_add(compute, inputs->yy, inputs->y_block, inputs->y_block);
		if (!own) {
			vector_block_fill(compute, inputs->x_block, inputs->x + first * width, n);
			covariance_add(compute, inputs->xy, inputs->x_block, inputs->y_block);
		}
		training_advance(training, (double)n * d * d * (own ? 1 : 3));
	}
}

static int add_chunks(struct training *training, uint32_t layer, struct train_inputs *inputs,
		      struct error *err)
{
	const struct trace *trace = training->trace;
	uint32_t source = predict_source(layer);
	int ret = 0;

	for (uint32_t chunk = 0; chunk < trace_chunks(trace) && ret == 0; chunk++) {
		if (trace_chunk_unseen(trace, chunk))
			continue;
		ret = trace_read_layer(trace, chunk, layer, NULL, inputs->y, err);
		if (ret == 0 && source != layer)
			ret = trace_read_layer(trace, chunk, source, NULL, inputs->x, err);
		if (ret == 0)
			add_chunk(training, inputs, source == layer,
				  trace_chunk_tokens(trace, chunk));
	}
	return ret;
}

int train_inputs_read(struct training *training, uint32_t layer, struct train_inputs *inputs,
		      struct error *err)
{
	size_t d = training->model->config.d_model, square = d * d * sizeof(double);
	double n = (double)training->n_tokens;
	bool own = predict_source(layer) == layer;
	int ret;

	swap(&inputs->xx, &inputs->yy);
	swap(&inputs->mean_x, &inputs->mean_y);
	memset(inputs->mean_y, 0, d * sizeof(double));
	memset(inputs->yy, 0, square);
	memset(inputs->xy, 0, square);
	ret = add_chunks(training, layer, inputs, err);
	if (ret < 0)
		return ret;
	for (size_t i = 0; i < d; i++)
		inputs->mean_y[i] /= n;
	covariance_mirror(inputs->yy, d);
	covariance_centre(inputs->yy, d, n, inputs->mean_y, inputs->mean_y);
	if (own) {
		memcpy(inputs->mean_x, inputs->mean_y, d * sizeof(double));
		memcpy(inputs->xx, inputs->yy, square);
		memcpy(inputs->xy, inputs->yy, square);
	} else {
		covariance_centre(inputs->xy, d, n, inputs->mean_x, inputs->mean_y);
	}
	return 0;
}
