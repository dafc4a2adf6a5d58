// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/linked_model.h"

#include <stdlib.h>

#include "base/random.h"
#include "helpers/activity.h"
#include "helpers/test.h"
#include "helpers/tiny_model.h"

#define D_MODEL 4
#define CHUNK_TOKENS 6

static void write_model(const struct linked_model *linked)
{
	static const uint16_t weights[LINKED_LAYERS * LINKED_SLOTS * D_MODEL];
	static const float biases[LINKED_LAYERS * LINKED_SLOTS];
	float hints[LINKED_LAYERS * LINKED_SLOTS];
	const struct tiny_model model = {
		.config = { .n_layers = LINKED_LAYERS, .d_model = D_MODEL, .d_embed = D_MODEL,
			    .n_ffn = LINKED_SLOTS, .n_heads = 1, .n_vocab = 16, .n_context = 8,
			    .norm_epsilon = 1e-5f, .final_norm = true, .tied = true },
		.model_id = LINKED_MODEL_ID,
		.neuron = linked->neuron, .up = weights, .up_bias = biases, .down = weights,
		.link = hints, .frequency = hints,
	};

	for (size_t i = 0; i < LINKED_LAYERS * LINKED_SLOTS; i++)
		hints[i] = 0.25f;
	tiny_model_write(&model, linked->model);
}

void linked_model_make(struct linked_model *linked, const char *folder)
{
	struct random_state random;

	random_seed(&random, 11);
	random_permutation(&random, linked->neuron, LINKED_SLOTS);
	for (uint32_t layer = 0; layer < LINKED_LAYERS; layer++)
		linked->layers[layer] =
			make_independent_activity(layer, LINKED_SLOTS, LINKED_TOKENS, 0.1);
	linked->model = path_in(folder, "linked.gguf");
	linked->trace = path_in(folder, "trace");
	write_model(linked);
	write_activities(linked->trace, LINKED_MODEL_ID, linked->layers, LINKED_LAYERS,
			 CHUNK_TOKENS);
}

void linked_model_free(struct linked_model *linked)
{
	for (uint32_t layer = 0; layer < LINKED_LAYERS; layer++)
		activity_free(&linked->layers[layer]);
	free(linked->model);
	free(linked->trace);
}

bool linked_model_fires(const struct linked_model *linked, uint32_t token, uint32_t layer,
			uint32_t slot)
{
	return fired_for(&linked->layers[layer], token, linked->neuron[slot]);
}
