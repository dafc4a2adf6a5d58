// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/gated_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/random.h"
#include "helpers/byte_vocabulary.h"
#include "helpers/test.h"
#include "model/model_file.h"

#define SEED 20241
#define UNIT (1.0f / 128)

struct model_config gated_small(void)
{
	return (struct model_config){
		.architecture = MODEL_LLAMA, .n_layers = 2, .d_model = 16, .d_embed = 16,
		.n_ffn = 24, .n_heads = 4, .n_kv_heads = 4, .n_vocab = BYTE_TOKENS,
		.n_context = 16, .norm_epsilon = 1e-5f, .final_norm = true, .rope_theta = 10000,
	};
}

/* Up to `range` units of 1/128 on both sides of `center`, made smaller by what is summed. */
static float *random_values(struct random_state *random, size_t n, float center, uint32_t range,
			    size_t n_in)
{
	float *values = malloc(n * sizeof(*values)), unit = UNIT;

	assert_non_null(values);
	for (; n_in > 24; n_in /= 4)
		unit /= 2;
	for (size_t i = 0; i < n; i++) {
		int64_t steps = (int64_t)random_below(random, 2 * (uint64_t)range + 1) - range;

		values[i] = center + (float)steps * unit;
	}
	return values;
}

static void make_layer(const struct model_config *config, struct random_state *random,
		       struct gated_layer *layer)
{
	size_t d = config->d_model, kv = model_kv_width(config), n = config->n_ffn;

	layer->input_norm = random_values(random, d, 1, 32, 1);
	layer->q = random_values(random, d * d, 0, 64, d);
	layer->k = random_values(random, kv * d, 0, 64, d);
	layer->v = random_values(random, kv * d, 0, 64, d);
	layer->o = random_values(random, d * d, 0, 64, d);
	layer->post_attention_norm = random_values(random, d, 1, 32, 1);
	layer->gate = random_values(random, n * d, 0, 64, d);
	layer->up = random_values(random, n * d, 0, 64, d);
	layer->down = random_values(random, d * n, 0, 64, n);
}

struct gated_model *gated_model_make(const struct model_config *config)
{
	struct gated_model *model = calloc(1, sizeof(*model));
	size_t embedding = (size_t)config->n_vocab * config->d_model;
	struct random_state random;

	assert_non_null(model);
	random_seed(&random, SEED);
	model->config = *config;
	model->embedding = random_values(&random, embedding, 0, 127, 1);
	model->head = config->tied ? model->embedding :
				     random_values(&random, embedding, 0, 127, 1);
	model->norm = random_values(&random, config->d_model, 1, 32, 1);
	model->layers = calloc(config->n_layers, sizeof(model->layers[0]));
	model->neuron = calloc(config->n_ffn, sizeof(model->neuron[0]));
	model->wanted = calloc(config->n_ffn, sizeof(model->wanted[0]));
	assert_true(model->layers && model->neuron && model->wanted);
	for (uint32_t i = 0; i < config->n_layers; i++)
		make_layer(config, &random, &model->layers[i]);
	random_permutation(&random, model->neuron, config->n_ffn);
	for (uint32_t j = 0; j < config->n_ffn; j++)
		model->wanted[j] = true;
	return model;
}

void gated_model_free(struct gated_model *model)
{
	for (uint32_t i = 0; i < model->config.n_layers; i++) {
		struct gated_layer *layer = &model->layers[i];
		float *const all[] = { layer->input_norm, layer->q, layer->k, layer->v, layer->o,
				       layer->post_attention_norm, layer->gate, layer->up,
				       layer->down };

		for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
			free(all[k]);
	}
	if (!model->config.tied)
		free(model->head);
	free(model->embedding);
	free(model->norm);
	free(model->layers);
	free(model->neuron);
	free(model->wanted);
	free(model);
}

static void narrow(uint16_t *to, const float *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[i] = f32_to_f16(from[i]);
		assert_true(f16_to_f32(to[i]) == from[i]);
	}
}

/* Rows i and i + d_head / 2 of each head become rows 2i and 2i + 1: file-formats.rst. */
static void interleave(uint16_t *to, const float *from, size_t n_rows, size_t d_head, size_t d)
{
	for (size_t row = 0; row < n_rows; row++) {
		size_t head = row / d_head, i = row % d_head;
		size_t half = i % 2 * (d_head / 2) + i / 2;

		narrow(to + row * d, from + (head * d_head + half) * d, d);
	}
}

/* Of each slot's neuron: row of gate, row of up, column of down. */
static void bundle_up(uint16_t *to, const struct gated_model *model,
		      const struct gated_layer *layer)
{
	size_t d = model->config.d_model, n = model->config.n_ffn;

	for (size_t slot = 0; slot < n; slot++, to += 3 * d) {
		size_t j = model->neuron[slot];

		narrow(to, layer->gate + j * d, d);
		narrow(to + d, layer->up + j * d, d);
		for (size_t i = 0; i < d; i++)
			narrow(to + 2 * d + i, layer->down + i * n + j, 1);
	}
}

/* By slot; the rest of the predictor is 0. */
static void write_predictor_bias(float *to, const struct gated_model *model)
{
	for (size_t slot = 0; slot < model->config.n_ffn; slot++)
		to[slot] = model->wanted[model->neuron[slot]] ? 1 : -1;
}

/* What a tensor is a copy of; NULL: of none. */
static const float *source_of(const struct gated_model *model, const struct model_tensor *tensor)
{
	const struct gated_layer *layer =
		tensor->layer == MODEL_NO_LAYER ? NULL : &model->layers[tensor->layer];

	switch (tensor->id) {
	case MODEL_TOKEN_EMBEDDING:
		return model->embedding;
	case MODEL_OUTPUT:
		return model->head;
	case MODEL_OUTPUT_NORM_WEIGHT:
		return model->norm;
	case MODEL_ATTN_NORM_WEIGHT:
		return layer->input_norm;
	case MODEL_FFN_NORM_WEIGHT:
		return layer->post_attention_norm;
	case MODEL_ATTN_Q_WEIGHT:
		return layer->q;
	case MODEL_ATTN_K_WEIGHT:
		return layer->k;
	case MODEL_ATTN_V_WEIGHT:
		return layer->v;
	case MODEL_ATTN_OUT_WEIGHT:
		return layer->o;
	default:
		return NULL;
	}
}

static void fill(void *data, const struct gated_model *model, const struct model_tensor *tensor)
{
	const float *source = source_of(model, tensor);
	size_t d = model->config.d_model, n = model_tensor_elements(tensor);

	if (tensor->id == MODEL_ATTN_Q_WEIGHT || tensor->id == MODEL_ATTN_K_WEIGHT)
		interleave(data, source, n / d, model_head_width(&model->config), d);
	else if (source && tensor->type == GGUF_TENSOR_F16)
		narrow(data, source, n);
	else if (source)
		memcpy(data, source, n * sizeof(float));
	else if (tensor->id == MODEL_HINT_NEURON)
		memcpy(data, model->neuron, n * sizeof(uint32_t));
	else if (tensor->id == MODEL_PREDICTOR_BIAS)
		write_predictor_bias(data, model);
	else if (tensor->id == MODEL_BUNDLES)
		bundle_up(data, model, &model->layers[tensor->layer]);
}

void gated_model_write(const struct gated_model *model, const char *path)
{
	const struct model_origin origin = {
		.name = "gated", .model_id = 0x9a7ed, .placement = "identity",
	};
	struct byte_vocabulary bytes;
	struct model_layout layout;
	struct gguf_writer *writer;
	size_t model_id_place;
	struct error err;

	byte_vocabulary_make(&bytes);
	assert_ok(model_layout_make(&model->config, &layout, &err), &err);
	assert_ok(model_file_create(path, &model->config, &origin, &bytes.vocabulary, &layout,
				    &writer, &model_id_place, &err),
		  &err);
	for (size_t i = 0; i < layout.n_tensors; i++) {
		void *data = calloc(1, model_tensor_bytes(&layout.tensors[i]));

		assert_non_null(data);
		fill(data, model, &layout.tensors[i]);
		gguf_writer_data(writer, data, model_tensor_bytes(&layout.tensors[i]));
		free(data);
	}
	assert_ok(gguf_writer_commit(writer, &err), &err);
	model_layout_free(&layout);
}
