// SPDX-License-Identifier: GPL-2.0-only
#include "model/model_layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Sizes in terms of the configuration; an extent of 0 means that there is no such dimension. */
enum extent {
	NONE,
	D_MODEL,
	D_EMBED,
	D_KV,
	N_FFN,
	N_POSITIONS,
	N_VOCAB,
	N_CONTEXT,
	RANK,
	BUNDLE,
};

struct form {
	const char *name;
	enum gguf_tensor_type type;
	enum extent inner;
	enum extent outer;
};

/* Matrices are F16; vectors are few, so they stay in F32. */
static const struct form forms[MODEL_TENSOR_IDS] = {
	[MODEL_TOKEN_EMBEDDING] = { "token_embd.weight", GGUF_TENSOR_F16, D_EMBED, N_VOCAB },
	[MODEL_POSITION_EMBEDDING] = { "position_embd.weight", GGUF_TENSOR_F16, D_MODEL,
				       N_CONTEXT },
	[MODEL_PROJECT_IN] = { "project_in.weight", GGUF_TENSOR_F16, D_EMBED, D_MODEL },
	[MODEL_PROJECT_OUT] = { "project_out.weight", GGUF_TENSOR_F16, D_MODEL, D_EMBED },
	[MODEL_OUTPUT_NORM_WEIGHT] = { "output_norm.weight", GGUF_TENSOR_F32, D_MODEL, NONE },
	[MODEL_OUTPUT_NORM_BIAS] = { "output_norm.bias", GGUF_TENSOR_F32, D_MODEL, NONE },
	[MODEL_OUTPUT] = { "output.weight", GGUF_TENSOR_F16, D_EMBED, N_VOCAB },
	[MODEL_ATTN_NORM_WEIGHT] = { "attn_norm.weight", GGUF_TENSOR_F32, D_MODEL, NONE },
	[MODEL_ATTN_NORM_BIAS] = { "attn_norm.bias", GGUF_TENSOR_F32, D_MODEL, NONE },
	[MODEL_ATTN_Q_WEIGHT] = { "attn_q.weight", GGUF_TENSOR_F16, D_MODEL, D_MODEL },
	[MODEL_ATTN_Q_BIAS] = { "attn_q.bias", GGUF_TENSOR_F32, D_MODEL, NONE },
	[MODEL_ATTN_K_WEIGHT] = { "attn_k.weight", GGUF_TENSOR_F16, D_MODEL, D_KV },
	[MODEL_ATTN_K_BIAS] = { "attn_k.bias", GGUF_TENSOR_F32, D_KV, NONE },
	[MODEL_ATTN_V_WEIGHT] = { "attn_v.weight", GGUF_TENSOR_F16, D_MODEL, D_KV },
	[MODEL_ATTN_V_BIAS] = { "attn_v.bias", GGUF_TENSOR_F32, D_KV, NONE },
	[MODEL_ATTN_OUT_WEIGHT] = { "attn_output.weight", GGUF_TENSOR_F16, D_MODEL, D_MODEL },
	[MODEL_ATTN_OUT_BIAS] = { "attn_output.bias", GGUF_TENSOR_F32, D_MODEL, NONE },
	[MODEL_FFN_NORM_WEIGHT] = { "ffn_norm.weight", GGUF_TENSOR_F32, D_MODEL, NONE },
	[MODEL_FFN_NORM_BIAS] = { "ffn_norm.bias", GGUF_TENSOR_F32, D_MODEL, NONE },
	[MODEL_FFN_UP_BIAS] = { "ffn_up.bias", GGUF_TENSOR_F32, N_FFN, NONE },
	[MODEL_FFN_DOWN_BIAS] = { "ffn_down.bias", GGUF_TENSOR_F32, D_MODEL, NONE },
	[MODEL_PREDICTOR_DOWN] = { "colink.predictor.down", GGUF_TENSOR_F16, D_MODEL, RANK },
	[MODEL_PREDICTOR_UP] = { "colink.predictor.up", GGUF_TENSOR_F16, RANK, N_FFN },
	[MODEL_PREDICTOR_BIAS] = { "colink.predictor.bias", GGUF_TENSOR_F32, N_FFN, NONE },
	[MODEL_HINT_NEURON] = { "colink.neuron", GGUF_TENSOR_I32, N_FFN, NONE },
	[MODEL_HINT_LINK] = { "colink.link", GGUF_TENSOR_F32, N_POSITIONS, NONE },
	[MODEL_HINT_FREQUENCY] = { "colink.frequency", GGUF_TENSOR_F32, N_FFN, NONE },
	[MODEL_PLACES] = { "colink.places", GGUF_TENSOR_I32, N_POSITIONS, NONE },
	[MODEL_BUNDLES] = { "colink.bundles", GGUF_TENSOR_F16, BUNDLE, N_POSITIONS },
};

static uint64_t extent_of(const struct model_config *config, enum extent extent)
{
	switch (extent) {
	case D_MODEL:
		return config->d_model;
	case D_EMBED:
		return config->d_embed;
	case D_KV:
		return model_kv_width(config);
	case N_FFN:
		return config->n_ffn;
	case N_POSITIONS:
		return model_positions(config);
	case N_VOCAB:
		return config->n_vocab;
	case N_CONTEXT:
		return config->n_context;
	case RANK:
		return config->predictor_rank;
	case BUNDLE:
		return model_bundle_rows(config) * (uint64_t)config->d_model;
	case NONE:
		break;
	}
	return 1;
}

static bool present(const struct model_config *config, enum model_tensor_id id)
{
	switch (id) {
	case MODEL_PROJECT_IN:
	case MODEL_PROJECT_OUT:
		return config->d_embed != config->d_model;
	case MODEL_OUTPUT_NORM_WEIGHT:
		return config->final_norm;
	case MODEL_OUTPUT_NORM_BIAS:
		return config->final_norm && config->architecture == MODEL_OPT;
	case MODEL_POSITION_EMBEDDING:
	case MODEL_ATTN_NORM_BIAS:
	case MODEL_ATTN_Q_BIAS:
	case MODEL_ATTN_K_BIAS:
	case MODEL_ATTN_V_BIAS:
	case MODEL_ATTN_OUT_BIAS:
	case MODEL_FFN_NORM_BIAS:
	case MODEL_FFN_UP_BIAS:
	case MODEL_FFN_DOWN_BIAS:
		return config->architecture == MODEL_OPT;
	case MODEL_OUTPUT:
		return !config->tied;
	case MODEL_PREDICTOR_DOWN:
	case MODEL_PREDICTOR_UP:
	case MODEL_PREDICTOR_BIAS:
		return config->predictor_rank > 0;
	case MODEL_PLACES:
		return model_has_copies(config);
	default:
		return true;
	}
}

/* "blk.3.attn_q.weight" */
static void write_name(enum model_tensor_id id, uint32_t layer, char name[MODEL_NAME_SIZE])
{
	if (layer == MODEL_NO_LAYER)
		snprintf(name, MODEL_NAME_SIZE, "%s", forms[id].name);
	else
		snprintf(name, MODEL_NAME_SIZE, "blk.%" PRIu32 ".%s", layer, forms[id].name);
}

static void add(const struct model_config *config, struct model_layout *layout,
		enum model_tensor_id id, uint32_t layer)
{
	struct model_tensor *tensor = &layout->tensors[layout->n_tensors];

	if (!present(config, id))
		return;
	tensor->id = id;
	tensor->layer = layer;
	tensor->type = forms[id].type;
	tensor->n_dims = forms[id].outer == NONE ? 1 : 2;
	tensor->dims[0] = extent_of(config, forms[id].inner);
	tensor->dims[1] = extent_of(config, forms[id].outer);
	write_name(id, layer, tensor->name);
	layout->n_tensors++;
}

int model_layout_make(const struct model_config *config, struct model_layout *layout,
		      struct error *err)
{
	layout->n_tensors = 0;
	layout->tensors = calloc((size_t)(config->n_layers + 1) * MODEL_TENSOR_IDS,
				 sizeof(layout->tensors[0]));
	if (!layout->tensors)
		return error_no_memory(err, "the list of a model's tensors");
	for (int id = 0; id < MODEL_ATTN_NORM_WEIGHT; id++)
		add(config, layout, id, MODEL_NO_LAYER);
	for (uint32_t layer = 0; layer < config->n_layers; layer++)
		for (int id = MODEL_ATTN_NORM_WEIGHT; id < MODEL_BUNDLES; id++)
			add(config, layout, id, layer);
	for (uint32_t layer = 0; layer < config->n_layers; layer++)
		add(config, layout, MODEL_BUNDLES, layer);
	return 0;
}

void model_layout_free(struct model_layout *layout)
{
	free(layout->tensors);
	layout->tensors = NULL;
}

uint64_t model_tensor_elements(const struct model_tensor *tensor)
{
	return tensor->dims[0] * tensor->dims[1];
}

uint64_t model_tensor_bytes(const struct model_tensor *tensor)
{
	return model_tensor_elements(tensor) * gguf_tensor_type_size(tensor->type);
}

bool model_is_gated(const struct model_config *config)
{
	return config->architecture == MODEL_LLAMA;
}

uint32_t model_positions(const struct model_config *config)
{
	return config->n_positions ? config->n_positions : config->n_ffn;
}

bool model_has_copies(const struct model_config *config)
{
	return model_positions(config) > config->n_ffn;
}

uint32_t model_bundle_rows(const struct model_config *config)
{
	return model_is_gated(config) ? 3 : 2;
}

uint32_t model_bundle_stride(const struct model_config *config)
{
	return model_bundle_rows(config) * config->d_model * (uint32_t)sizeof(uint16_t);
}

uint32_t model_head_width(const struct model_config *config)
{
	return config->d_model / config->n_heads;
}

uint32_t model_kv_heads(const struct model_config *config)
{
	return config->n_kv_heads ? config->n_kv_heads : config->n_heads;
}

uint32_t model_kv_width(const struct model_config *config)
{
	return model_kv_heads(config) * model_head_width(config);
}
