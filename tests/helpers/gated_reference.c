// SPDX-License-Identifier: GPL-2.0-only
/*
 * LlamaForCausalLM of Hugging Face's modeling_llama.py, one token and head at a time:
 *   x = embedding
 *   per layer:  x = x + o . attention(rms(x));  x = x + down . (act(gate . y) * (up . y)),
 *   where y = rms(x)
 *   logits = head . rms(x)
 * Queries and keys are turned by rotate_half(): elements i and i + d_head / 2 of a head
 * by the angle position / theta^(2i / d_head). Keys and values of a head serve
 * n_heads / n_kv_heads neighbouring ones (repeat_kv()).
 */
#include "helpers/gated_reference.h"

#include <math.h>
#include <stdlib.h>

#include "helpers/test.h"

static double *doubles(size_t count)
{
	double *memory = calloc(count, sizeof(*memory));

	assert_non_null(memory);
	return memory;
}

/* out (n, n_out) = in (n, n_in) . weight^T */
static double *product(const float *weight, const double *in, size_t n, size_t n_out, size_t n_in)
{
	double *out = doubles(n * n_out);

	for (size_t t = 0; t < n; t++)
		for (size_t o = 0; o < n_out; o++)
			for (size_t i = 0; i < n_in; i++)
				out[t * n_out + o] +=
					(double)weight[o * n_in + i] * in[t * n_in + i];
	return out;
}

static double *rms(const struct gated_model *model, const float *weight, const double *in, size_t n)
{
	size_t d = model->config.d_model;
	double *out = doubles(n * d);

	for (size_t t = 0; t < n; t++) {
		double mean_square = 0;

		for (size_t i = 0; i < d; i++)
			mean_square += in[t * d + i] * in[t * d + i] / (double)d;
		for (size_t i = 0; i < d; i++)
			out[t * d + i] = (double)weight[i] * in[t * d + i] /
					 sqrt(mean_square + (double)model->config.norm_epsilon);
	}
	return out;
}

/* x cos + rotate_half(x) sin, for all heads of all tokens. */
static void rotate(const struct model_config *config, double *x, size_t n, size_t n_heads)
{
	size_t d_head = config->d_model / config->n_heads, half = d_head / 2;

	for (size_t row = 0; row < n * n_heads; row++) {
		double *head = x + row * d_head;
		double position = (double)(row / n_heads);

		for (size_t i = 0; i < half; i++) {
			double exponent = 2 * (double)i / (double)d_head;
			double angle = position / pow((double)config->rope_theta, exponent);
			double a = head[i], b = head[i + half];

			head[i] = a * cos(angle) - b * sin(angle);
			head[i + half] = b * cos(angle) + a * sin(angle);
		}
	}
}

/* What head h of token t takes from the values; keys and values have their own width. */
static void attend(const struct model_config *config, size_t t, size_t h, const double *q,
		   const double *k, const double *v, double *out)
{
	size_t d_head = config->d_model / config->n_heads, kv = config->n_kv_heads * d_head;
	size_t shared_by = config->n_heads / config->n_kv_heads, kv_head = h / shared_by;
	const double *query = q + t * config->d_model + h * d_head;
	double *scores = doubles(t + 1), sum = 0;

	for (size_t past = 0; past <= t; past++) {
		for (size_t i = 0; i < d_head; i++)
			scores[past] += query[i] * k[past * kv + kv_head * d_head + i];
		scores[past] = exp(scores[past] / sqrt((double)d_head));
		sum += scores[past];
	}
	for (size_t past = 0; past <= t; past++)
		for (size_t i = 0; i < d_head; i++)
			out[t * config->d_model + h * d_head + i] +=
				scores[past] / sum * v[past * kv + kv_head * d_head + i];
	free(scores);
}

static double *attention(const struct gated_model *model, const struct gated_layer *layer,
			 const double *in, size_t n)
{
	const struct model_config *config = &model->config;
	size_t d = config->d_model, kv = d / config->n_heads * config->n_kv_heads;
	double *q = product(layer->q, in, n, d, d), *k = product(layer->k, in, n, kv, d);
	double *v = product(layer->v, in, n, kv, d), *mixed = doubles(n * d), *out;

	rotate(config, q, n, config->n_heads);
	rotate(config, k, n, config->n_kv_heads);
	for (size_t t = 0; t < n; t++)
		for (size_t h = 0; h < config->n_heads; h++)
			attend(config, t, h, q, k, v, mixed);
	out = product(layer->o, mixed, n, d, d);
	free(q);
	free(k);
	free(v);
	free(mixed);
	return out;
}

double gated_activation(const struct model_config *config, double gate, double up)
{
	switch (config->activation) {
	case MODEL_RELU:
		return gate > 0 ? gate * up : 0;
	case MODEL_FATRELU:
		return gate > (double)config->activation_threshold ? gate * up : 0;
	case MODEL_RELU_BOTH:
		return gate > 0 && up > 0 ? gate * up : 0;
	}
	fail_msg("no such activation: %d", (int)config->activation);
	return 0;
}

static double *feed_forward(const struct gated_model *model, const struct gated_layer *layer,
			    const bool *wanted, const double *in, size_t n)
{
	size_t d = model->config.d_model, n_ffn = model->config.n_ffn;
	double *gate = product(layer->gate, in, n, n_ffn, d);
	double *up = product(layer->up, in, n, n_ffn, d), *out;

	for (size_t i = 0; i < n * n_ffn; i++)
		gate[i] = wanted && !wanted[i % n_ffn] ?
				  0 : gated_activation(&model->config, gate[i], up[i]);
	out = product(layer->down, gate, n, d, n_ffn);
	free(gate);
	free(up);
	return out;
}

/* x += added, which is freed; so is what it was made from. */
static void add(double *x, double *added, double *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] += added[i];
	free(added);
	free(from);
}

double *gated_reference(const struct gated_model *model, const bool *wanted, const uint32_t *ids,
			size_t n)
{
	size_t d = model->config.d_model;
	double *x = doubles(n * d), *normed, *logits;

	for (size_t i = 0; i < n * d; i++)
		x[i] = (double)model->embedding[ids[i / d] * d + i % d];
	for (uint32_t i = 0; i < model->config.n_layers; i++) {
		const struct gated_layer *layer = &model->layers[i];

		normed = rms(model, layer->input_norm, x, n);
		add(x, attention(model, layer, normed, n), normed, n * d);
		normed = rms(model, layer->post_attention_norm, x, n);
		add(x, feed_forward(model, layer, wanted, normed, n), normed, n * d);
	}
	normed = rms(model, model->norm, x, n);
	logits = product(model->head, normed, n, model->config.n_vocab, d);
	free(normed);
	free(x);
	return logits;
}
