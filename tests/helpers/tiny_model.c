// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/tiny_model.h"

#include <stdlib.h>
#include <string.h>

#include "helpers/test.h"
#include "model/model_file.h"

static const char *const words[16] = { "a", "b", "c", "d", "e", "f", "g", "h",
				       "i", "j", "k", "l", "m", "n", "o", "p" };

static void put_bundles(const struct tiny_model *model, size_t layer, uint16_t *bundle)
{
	size_t d = model->config.d_model;

	for (uint32_t i = 0; i < model_positions(&model->config); i++, bundle += 2 * d) {
		uint32_t slot = model->slot_at ? model->slot_at[i] : i;
		size_t neuron = layer * model->config.n_ffn + model->neuron[slot];

		memcpy(bundle, model->up + neuron * d, d * sizeof(uint16_t));
		memcpy(bundle + d, model->down + neuron * d, d * sizeof(uint16_t));
	}
}

/* The tensor's bytes, by slot; the caller frees them. */
static void *tensor_data(const struct tiny_model *model, const struct model_tensor *tensor)
{
	size_t n = model->config.n_ffn, layer = tensor->layer;
	char *data = calloc(1, model_tensor_bytes(tensor));

	assert_non_null(data);
	if (tensor->id == MODEL_HINT_LINK && model->link)
		memcpy(data, model->link + layer * n, n * sizeof(float));
	if (tensor->id == MODEL_PLACES)
		memcpy(data, model->slot_at, model->config.n_positions * sizeof(uint32_t));
	if (tensor->id == MODEL_BUNDLES)
		put_bundles(model, layer, (uint16_t *)data);
	if (tensor->id == MODEL_HINT_FREQUENCY && model->frequency)
		memcpy(data, model->frequency + layer * n, n * sizeof(float));
	for (size_t slot = 0; tensor->layer != MODEL_NO_LAYER && slot < n; slot++) {
		size_t neuron = layer * n + model->neuron[slot];

		if (tensor->id == MODEL_HINT_NEURON)
			((uint32_t *)data)[slot] = model->neuron[slot];
		else if (tensor->id == MODEL_FFN_UP_BIAS)
			((float *)data)[slot] = model->up_bias[neuron];
	}
	return data;
}

void tiny_model_write(const struct tiny_model *model, const char *path)
{
	struct model_origin origin = {
		.name = "tiny",
		.model_id = model->model_id,
		.placement = "identity",
	};
	uint8_t types[16] = { 0 };
	struct vocabulary vocabulary = {
		.n_tokens = model->config.n_vocab,
		.tokens = (const char **)words,
		.types = types,
		.bos = 0,
		.eos = 0,
		.pad = TOKEN_NONE,
		.unknown = TOKEN_NONE,
	};
	struct model_layout layout;
	struct gguf_writer *writer;
	size_t model_id_place;
	struct error err;

	memset(types, TOKEN_NORMAL, sizeof(types));
	assert_ok(model_layout_make(&model->config, &layout, &err), &err);
	assert_ok(model_file_create(path, &model->config, &origin, &vocabulary, &layout, &writer,
				    &model_id_place, &err),
		  &err);
	for (size_t i = 0; i < layout.n_tensors; i++) {
		void *data = tensor_data(model, &layout.tensors[i]);

		gguf_writer_data(writer, data, model_tensor_bytes(&layout.tensors[i]));
		free(data);
	}
	assert_ok(gguf_writer_commit(writer, &err), &err);
	model_layout_free(&layout);
}
