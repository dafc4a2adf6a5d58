// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hugging Face's OPTDecoder without dropout. x is the residual stream:
 *   x = project_in(token embedding) + embedding of position + 2
 *   per layer, for attention and then for fc2(relu(fc1(.))):
 *     x = x + block(norm(x))       with do_layer_norm_before
 *     x = norm(x + block(x))       without
 *   logits = head . project_out(final norm(x))
 * where projections, biases and the final norm are there or not.
 */
#include "helpers/opt_reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "helpers/test.h"

#define NORM_EPSILON 1e-5
#define POSITION_OFFSET 2

struct run {
	const struct opt_checkpoint *checkpoint;
	const struct opt_shape *shape;
	size_t n; /* tokens */
};

static double *doubles(size_t count)
{
	double *memory = calloc(count, sizeof(*memory));

	assert_non_null(memory);
	return memory;
}

/* "layers.3.fc1" + ".weight", or without the layer. */
static const float *weights(const struct run *run, int layer, const char *name, const char *what)
{
	char full[128];

	if (layer < 0)
		snprintf(full, sizeof(full), "%s.%s", name, what);
	else
		snprintf(full, sizeof(full), "layers.%d.%s.%s", layer, name, what);
	return opt_values(run->checkpoint, full);
}

/* out (n, n_out) = in (n, n_in) . weight^T */
static double *product(const struct run *run, const float *weight, const double *in, size_t n_out,
		       size_t n_in)
{
	double *out = doubles(run->n * n_out);

	for (size_t t = 0; t < run->n; t++)
		for (size_t o = 0; o < n_out; o++)
			for (size_t i = 0; i < n_in; i++)
				out[t * n_out + o] +=
					(double)weight[o * n_in + i] * in[t * n_in + i];
	return out;
}

static double *linear(const struct run *run, int layer, const char *name, const double *in,
		      size_t n_out, size_t n_in)
{
	double *out = product(run, weights(run, layer, name, "weight"), in, n_out, n_in);
	const float *bias;

	if (run->shape->no_biases)
		return out;
	bias = weights(run, layer, name, "bias");
	for (size_t i = 0; i < run->n * n_out; i++)
		out[i] += (double)bias[i % n_out];
	return out;
}

static double *norm(const struct run *run, int layer, const char *name, const double *in)
{
	const float *weight = weights(run, layer, name, "weight");
	const float *bias = weights(run, layer, name, "bias");
	size_t d = run->shape->d_model;
	double *out = doubles(run->n * d);

	for (size_t t = 0; t < run->n; t++) {
		const double *x = in + t * d;
		double mean = 0, variance = 0;

		for (size_t i = 0; i < d; i++)
			mean += x[i] / (double)d;
		for (size_t i = 0; i < d; i++)
			variance += (x[i] - mean) * (x[i] - mean) / (double)d;
		for (size_t i = 0; i < d; i++)
			out[t * d + i] = (x[i] - mean) / sqrt(variance + NORM_EPSILON) *
						 (double)weight[i] + (double)bias[i];
	}
	return out;
}

/* Softmax-weighted values of what token t of head h may see. */
static void attend(const struct run *run, size_t t, size_t h, const double *q, const double *k,
		   const double *v, double *out)
{
	size_t d = run->shape->d_model, d_head = d / run->shape->n_heads;
	double *scores = doubles(t + 1), sum = 0;

	for (size_t past = 0; past <= t; past++) {
		for (size_t i = h * d_head; i < (h + 1) * d_head; i++)
			scores[past] += q[t * d + i] / sqrt((double)d_head) * k[past * d + i];
		scores[past] = exp(scores[past]);
		sum += scores[past];
	}
	for (size_t past = 0; past <= t; past++)
		for (size_t i = h * d_head; i < (h + 1) * d_head; i++)
			out[t * d + i] += scores[past] / sum * v[past * d + i];
	free(scores);
}

static double *attention(const struct run *run, int layer, const double *in)
{
	size_t d = run->shape->d_model;
	double *q = linear(run, layer, "self_attn.q_proj", in, d, d);
	double *k = linear(run, layer, "self_attn.k_proj", in, d, d);
	double *v = linear(run, layer, "self_attn.v_proj", in, d, d);
	double *mixed = doubles(run->n * d), *out;

	for (size_t t = 0; t < run->n; t++)
		for (size_t h = 0; h < run->shape->n_heads; h++)
			attend(run, t, h, q, k, v, mixed);
	out = linear(run, layer, "self_attn.out_proj", mixed, d, d);
	free(q);
	free(k);
	free(v);
	free(mixed);
	return out;
}

static double *feed_forward(const struct run *run, int layer, const double *in)
{
	size_t d = run->shape->d_model, n_ffn = run->shape->n_ffn;
	double *hidden = linear(run, layer, "fc1", in, n_ffn, d), *out;

	for (size_t i = 0; i < run->n * n_ffn; i++)
		if (hidden[i] < 0)
			hidden[i] = 0;
	out = linear(run, layer, "fc2", hidden, d, n_ffn);
	free(hidden);
	return out;
}

/* Takes x and returns what becomes of it. */
static double *residual(const struct run *run, int layer, const char *norm_name, double *x,
			double *(*block)(const struct run *run, int layer, const double *in))
{
	double *in = run->shape->post_norm ? NULL : norm(run, layer, norm_name, x);
	double *added = block(run, layer, in ? in : x), *after = x;

	for (size_t i = 0; i < run->n * run->shape->d_model; i++)
		x[i] += added[i];
	if (run->shape->post_norm) {
		after = norm(run, layer, norm_name, x);
		free(x);
	}
	free(in);
	free(added);
	return after;
}

static double *embed(const struct run *run, const uint32_t *ids)
{
	const float *tokens = weights(run, -1, "embed_tokens", "weight");
	const float *positions = weights(run, -1, "embed_positions", "weight");
	size_t d = run->shape->d_model, d_embed = run->shape->d_embed;
	double *embedded = doubles(run->n * d_embed), *x = embedded;

	for (size_t i = 0; i < run->n * d_embed; i++)
		embedded[i] = (double)tokens[ids[i / d_embed] * d_embed + i % d_embed];
	if (d != d_embed) {
		x = product(run, weights(run, -1, "project_in", "weight"), embedded, d, d_embed);
		free(embedded);
	}
	for (size_t i = 0; i < run->n * d; i++)
		x[i] += (double)positions[(i / d + POSITION_OFFSET) * d + i % d];
	return x;
}

static double *head(const struct run *run, double *x)
{
	const struct opt_shape *shape = run->shape;
	const float *matrix =
		weights(run, -1, shape->untied ? "lm_head" : "embed_tokens", "weight");
	double *next = NULL, *logits;

	if (!shape->post_norm && !shape->no_final_norm) {
		next = norm(run, -1, "final_layer_norm", x);
		free(x);
		x = next;
	}
	if (shape->d_embed != shape->d_model) {
		next = product(run, weights(run, -1, "project_out", "weight"), x, shape->d_embed,
			       shape->d_model);
		free(x);
		x = next;
	}
	logits = product(run, matrix, x, shape->n_vocab, shape->d_embed);
	free(x);
	return logits;
}

double *opt_reference(const struct opt_checkpoint *checkpoint, const uint32_t *ids, size_t n)
{
	const struct run run = { .checkpoint = checkpoint, .shape = &checkpoint->shape, .n = n };
	double *x = embed(&run, ids);

	for (uint32_t layer = 0; layer < run.shape->n_layers; layer++) {
		x = residual(&run, (int)layer, "self_attn_layer_norm", x, attention);
		x = residual(&run, (int)layer, "final_layer_norm", x, feed_forward);
	}
	return head(&run, x);
}
