// SPDX-License-Identifier: GPL-2.0-only
#include "synth/shape.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/*
 * Shares of active neurons: arXiv 2410.19274 (OPT-6.7B: 1.6 % in layer 1, 2.7 % in the 16th,
 * 5.4 % in the last; 3.2 % in all, 9.5 % of OPT-350M, 3.7 % of OPT-1.3B, 24 % of ProSparse
 * and TurboSparse). How the share grows with the depth is known of OPT-6.7B only.
 */
#define OPT_GROWTH .first_layer_share = 0.5, .last_layer_share = 1.69
#define GATED_GROWTH .first_layer_share = 0.8, .last_layer_share = 1.2

static const struct model_shape shapes[] = {
	{
		.name = "opt-350m", .d_model = 1024, .n_ffn = 4096, .n_layers = 24,
		.n_matrices = 2, .n_heads = 16, .n_kv_heads = 16, .n_vocab = 50272,
		.d_embed = 512, .post_norm = true, OPT_GROWTH,
		.activity = { .active_share = 0.095, .frequency_spread = 4, .mood_spread = 1.5,
			      .cluster_neurons = 4, .member = 0.88, .persistence = 0.3 },
	},
	{
		.name = "opt-1.3b", .d_model = 2048, .n_ffn = 8192, .n_layers = 24,
		.n_matrices = 2, .n_heads = 32, .n_kv_heads = 32, .n_vocab = 50272,
		.d_embed = 2048, OPT_GROWTH,
		.activity = { .active_share = 0.037, .frequency_spread = 4, .mood_spread = 1.5,
			      .cluster_neurons = 4, .member = 0.88, .persistence = 0.3 },
	},
	{
		.name = "relu-llama-2b", .d_model = 2048, .n_ffn = 8192, .n_layers = 24,
		.n_matrices = 3, .gate_rank = 64, .n_heads = 16, .n_kv_heads = 16, .n_vocab = 32000,
		.d_embed = 2048, GATED_GROWTH,
		.activity = { .active_share = 0.1, .frequency_spread = 4, .mood_spread = 1.5,
			      .cluster_neurons = 4, .member = 0.88, .persistence = 0.3 },
	},
	{
		.name = "opt-6.7b", .d_model = 4096, .n_ffn = 16384, .n_layers = 32,
		.n_matrices = 2, .n_heads = 32, .n_kv_heads = 32, .n_vocab = 50272,
		.d_embed = 4096, OPT_GROWTH,
		.activity = { .active_share = 0.032, .frequency_spread = 4, .mood_spread = 1.5,
			      .cluster_neurons = 4, .member = 0.88, .persistence = 0.3 },
	},
	{
		.name = "llama-2-7b", .d_model = 4096, .n_ffn = 11008, .n_layers = 32,
		.n_matrices = 3, .gate_rank = 64, .n_heads = 32, .n_kv_heads = 32, .n_vocab = 32000,
		.d_embed = 4096, GATED_GROWTH,
		.activity = { .active_share = 0.24, .frequency_spread = 7, .mood_spread = 2,
			      .cluster_neurons = 2.5, .member = 0.95, .persistence = 0.3 },
	},
	{
		.name = "mistral-7b", .d_model = 4096, .n_ffn = 14336, .n_layers = 32,
		.n_matrices = 3, .gate_rank = 64, .n_heads = 32, .n_kv_heads = 8, .n_vocab = 32000,
		.d_embed = 4096, GATED_GROWTH,
		.activity = { .active_share = 0.24, .frequency_spread = 7, .mood_spread = 2,
			      .cluster_neurons = 2.5, .member = 0.95, .persistence = 0.3 },
	},
};

const struct model_shape *model_shape_find(const char *name)
{
	for (size_t i = 0; i < N_SHAPES; i++)
		if (!strcmp(shapes[i].name, name))
			return &shapes[i];
	return NULL;
}

const struct model_shape *model_shape_at(uint32_t index)
{
	return index < N_SHAPES ? &shapes[index] : NULL;
}

/* From layer to layer by the same factor; all of them together have the mean. */
struct synth_parameters model_shape_layer(const struct model_shape *shape, uint32_t layer)
{
	const double growth = log(shape->last_layer_share / shape->first_layer_share);
	const double last = shape->n_layers > 1 ? shape->n_layers - 1 : 1;
	struct synth_parameters parameters = shape->activity;
	double sum = 0;

	for (uint32_t i = 0; i < shape->n_layers; i++)
		sum += exp(growth * i / last);
	parameters.active_share *= exp(growth * layer / last) * shape->n_layers / sum;
	return parameters;
}

uint32_t model_shape_stride(const struct model_shape *shape)
{
	return shape->n_matrices * shape->d_model * 2;
}
