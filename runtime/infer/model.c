// SPDX-License-Identifier: GPL-2.0-only
#include "infer/model.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/huge_pages.h"
#include "model/gguf_verify.h"

/* Where the pointer to each tensor goes: in struct model, or in struct layer_weights. */
static const size_t model_fields[MODEL_TENSOR_IDS] = {
	[MODEL_TOKEN_EMBEDDING] = offsetof(struct model, token_embedding),
	[MODEL_POSITION_EMBEDDING] = offsetof(struct model, position_embedding),
	[MODEL_PROJECT_IN] = offsetof(struct model, project_in),
	[MODEL_PROJECT_OUT] = offsetof(struct model, project_out),
	[MODEL_OUTPUT_NORM_WEIGHT] = offsetof(struct model, output_norm_weight),
	[MODEL_OUTPUT_NORM_BIAS] = offsetof(struct model, output_norm_bias),
	[MODEL_OUTPUT] = offsetof(struct model, output),
};

static const size_t layer_fields[MODEL_TENSOR_IDS] = {
	[MODEL_ATTN_NORM_WEIGHT] = offsetof(struct layer_weights, attn_norm_weight),
	[MODEL_ATTN_NORM_BIAS] = offsetof(struct layer_weights, attn_norm_bias),
	[MODEL_ATTN_Q_WEIGHT] = offsetof(struct layer_weights, attn_q),
	[MODEL_ATTN_Q_BIAS] = offsetof(struct layer_weights, attn_q_bias),
	[MODEL_ATTN_K_WEIGHT] = offsetof(struct layer_weights, attn_k),
	[MODEL_ATTN_K_BIAS] = offsetof(struct layer_weights, attn_k_bias),
	[MODEL_ATTN_V_WEIGHT] = offsetof(struct layer_weights, attn_v),
	[MODEL_ATTN_V_BIAS] = offsetof(struct layer_weights, attn_v_bias),
	[MODEL_ATTN_OUT_WEIGHT] = offsetof(struct layer_weights, attn_out),
	[MODEL_ATTN_OUT_BIAS] = offsetof(struct layer_weights, attn_out_bias),
	[MODEL_FFN_NORM_WEIGHT] = offsetof(struct layer_weights, ffn_norm_weight),
	[MODEL_FFN_NORM_BIAS] = offsetof(struct layer_weights, ffn_norm_bias),
	[MODEL_FFN_UP_BIAS] = offsetof(struct layer_weights, ffn_up_bias),
	[MODEL_FFN_DOWN_BIAS] = offsetof(struct layer_weights, ffn_down_bias),
	[MODEL_HINT_NEURON] = offsetof(struct layer_weights, neuron),
	[MODEL_PREDICTOR_DOWN] = offsetof(struct layer_weights, predictor_down),
	[MODEL_PREDICTOR_UP] = offsetof(struct layer_weights, predictor_up),
	[MODEL_PREDICTOR_BIAS] = offsetof(struct layer_weights, predictor_bias),
};

/* Links and frequencies are for prefetchers, places for the store; bundles stay on flash. */
static bool is_resident(const struct model_tensor *tensor)
{
	switch (tensor->id) {
	case MODEL_HINT_LINK:
	case MODEL_HINT_FREQUENCY:
	case MODEL_PLACES:
	case MODEL_BUNDLES:
		return false;
	default:
		return true;
	}
}

static bool is_predictor(const struct model_tensor *tensor)
{
	return tensor->id == MODEL_PREDICTOR_DOWN || tensor->id == MODEL_PREDICTOR_UP ||
	       tensor->id == MODEL_PREDICTOR_BIAS;
}

static uint64_t aligned_bytes(const struct model_tensor *tensor)
{
	return (model_tensor_bytes(tensor) + 63) / 64 * 64;
}

static void set_field(struct model *model, const struct model_tensor *tensor, const void *data)
{
	char *base = tensor->layer == MODEL_NO_LAYER ? (char *)model :
						       (char *)&model->layers[tensor->layer];
	size_t field = tensor->layer == MODEL_NO_LAYER ? model_fields[tensor->id] :
							 layer_fields[tensor->id];

	memcpy(base + field, &data, sizeof(data));
}

/* slot -> neuron has to be a permutation, since it is used as an index. */
static int check_neurons(const struct model *model, struct error *err)
{
	uint32_t *slot_of = malloc(model->config.n_ffn * sizeof(*slot_of));
	int ret = 0;

	if (!slot_of)
		return error_no_memory(err, "a layer's neurons");
	for (uint32_t layer = 0; layer < model->config.n_layers && ret == 0; layer++)
		ret = model_file_invert(model->file, layer, model->layers[layer].neuron, slot_of,
					err);
	free(slot_of);
	return ret;
}

/* Of bundles that are stored more than once: likewise. */
static int check_places(const struct model *model, struct error *err)
{
	const struct model_config *config = &model->config;
	uint32_t *slot_at = malloc(model_positions(config) * sizeof(*slot_at));
	uint32_t *primary = malloc(config->n_ffn * sizeof(*primary));
	int ret = 0;

	if (!slot_at || !primary)
		ret = error_no_memory(err, "the places of a layer's bundles");
	for (uint32_t layer = 0; ret == 0 && layer < config->n_layers; layer++)
		ret = model_file_places(model->file, layer, slot_at, primary, err);
	free(slot_at);
	free(primary);
	return ret;
}

uint64_t model_weights_bytes(const struct model_file *file)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < file->layout.n_tensors; i++)
		if (is_resident(&file->layout.tensors[i]))
			bytes += aligned_bytes(&file->layout.tensors[i]);
	return bytes;
}

static int load_resident(struct model *model, struct error *err)
{
	const struct model_layout *layout = &model->file->layout;
	uint64_t *checksums;
	char *next;
	int ret;

	model->resident_bytes = model_weights_bytes(model->file);
	model->memory = aligned_alloc(64, model->resident_bytes);
	if (!model->memory)
		return error_no_memory(err, "the resident weights");
	huge_pages_ask(model->memory, model->resident_bytes);
	ret = gguf_load_checksums(model->file->gguf, &checksums, err);
	if (ret < 0)
		return ret;
	next = model->memory;
	for (size_t i = 0; i < layout->n_tensors && ret == 0; i++) {
		const struct model_tensor *tensor = &layout->tensors[i];

		if (!is_resident(tensor))
			continue;
		ret = gguf_verify_tensor(model->file->gguf, checksums, i, next, err);
		set_field(model, tensor, next);
		if (is_predictor(tensor))
			model->predictor_bytes += model_tensor_bytes(tensor);
		next += aligned_bytes(tensor);
	}
	free(checksums);
	if (ret == 0 && model->config.tied)
		model->output = model->token_embedding;
	return ret;
}

static int load_tokenizer(struct model *model, struct error *err)
{
	struct vocabulary *vocabulary;
	int ret;

	ret = model_file_vocabulary(model->file, &vocabulary, err);
	if (ret < 0)
		return ret;
	ret = tokenizer_create(vocabulary, gguf_path(model->file->gguf), &model->tokenizer, err);
	vocabulary_free(vocabulary);
	return ret;
}

int model_open(const char *path, struct model **result, struct error *err)
{
	struct model *model = calloc(1, sizeof(*model));
	int ret;

	if (!model)
		return error_no_memory(err, path);
	ret = model_file_open(path, &model->file, err);
	if (ret < 0)
		goto fail;
	model->config = model->file->config;
	model->layers = calloc(model->config.n_layers, sizeof(model->layers[0]));
	if (!model->layers) {
		ret = error_no_memory(err, path);
		goto fail;
	}
	ret = load_tokenizer(model, err);
	if (ret < 0)
		goto fail;
	*result = model;
	return 0;
fail:
	model_unload(model);
	return ret;
}

int model_load_weights(struct model *model, struct error *err)
{
	int ret = load_resident(model, err);

	if (ret == 0)
		ret = check_neurons(model, err);
	return ret == 0 ? check_places(model, err) : ret;
}

int model_load(const char *path, struct model **result, struct error *err)
{
	struct model *model;
	int ret = model_open(path, &model, err);

	if (ret < 0)
		return ret;
	ret = model_load_weights(model, err);
	if (ret < 0)
		model_unload(model);
	else
		*result = model;
	return ret;
}

void model_unload(struct model *model)
{
	if (!model)
		return;
	free(model->memory);
	free(model->layers);
	tokenizer_destroy(model->tokenizer);
	model_file_close(model->file);
	free(model);
}
