// SPDX-License-Identifier: GPL-2.0-only
/*
 * wide_model MODEL WIDTH OUT: a linked file with the layers, neurons, placement and hints of
 * the linked MODEL, and bundles of another width (4 * WIDTH bytes), so that a small model's
 * real activations can be measured at the sizes of large ones. Its weights are random, and it
 * says noise; it has no predictor.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "infer/pack.h"
#include "model/model_file.h"
#include "placement/placement.h"
#include "synth/synth_model.h"
#include "synth/synth_trace.h"

#define SEED 1
#define VOCABULARY 512
#define HEADS 8

static struct model_shape shape_of(const struct model_config *config, uint32_t width)
{
	return (struct model_shape){
		.name = "wide", .d_model = width, .d_embed = width, .n_ffn = config->n_ffn,
		.n_layers = config->n_layers, .n_matrices = 2, .n_heads = HEADS,
		.n_kv_heads = HEADS, .n_vocab = VOCABULARY,
	};
}

static int read_layer(const struct model_file *model, uint32_t number,
		      struct placement_layer *layer, struct error *err)
{
	const size_t n = model->config.n_ffn;
	int ret;

	layer->slot_to_neuron = calloc(n, sizeof(*layer->slot_to_neuron));
	layer->strength = calloc(n, sizeof(*layer->strength));
	layer->frequency = calloc(n, sizeof(*layer->frequency));
	if (!layer->slot_to_neuron || !layer->strength || !layer->frequency)
		return error_no_memory(err, "a placement");
	ret = model_file_read(model, model_file_find(model, MODEL_HINT_NEURON, number),
			      layer->slot_to_neuron, err);
	if (ret == 0)
		ret = model_file_read(model, model_file_find(model, MODEL_HINT_LINK, number),
				      layer->strength, err);
	if (ret == 0)
		ret = model_file_read(model, model_file_find(model, MODEL_HINT_FREQUENCY, number),
				      layer->frequency, err);
	return ret;
}

/* The placement that MODEL was packed with, for a model of the id. */
static int read_placement(const struct model_file *model, uint64_t model_id,
			  struct placement **result, struct error *err)
{
	struct placement *placement = calloc(1, sizeof(*placement));
	int ret = 0;

	*result = placement;
	if (!placement)
		return error_no_memory(err, "a placement");
	*placement = (struct placement){
		.method = ORDER_BEST, .n_layers = model->config.n_layers,
		.n_neurons = model->config.n_ffn, .model_id = model_id,
		.n_tokens = model->origin.placement_tokens,
		.layers = calloc(model->config.n_layers, sizeof(*placement->layers)),
	};
	if (!placement->layers)
		return error_no_memory(err, "a placement");
	for (uint32_t i = 0; ret == 0 && i < placement->n_layers; i++)
		ret = read_layer(model, i, &placement->layers[i], err);
	return ret;
}

static int pack_wide(const struct model_file *model, const char *random, const char *out,
		     struct error *err)
{
	struct placement *placement = NULL;
	struct model_file *wide;
	int ret = model_file_open(random, &wide, err);

	if (ret < 0)
		return ret;
	ret = read_placement(model, wide->origin.model_id, &placement, err);
	if (ret == 0)
		ret = pack_model(wide, placement, NULL, out, NULL, err);
	placement_free(placement);
	model_file_close(wide);
	return ret;
}

static int make(const struct model_file *model, uint32_t width, const char *out,
		struct error *err)
{
	const struct model_shape shape = shape_of(&model->config, width);
	char random[PATH_MAX];
	int ret;

	if (model_has_copies(&model->config))
		return error_set(err, -EINVAL, "%s: has copies of bundles; take a file without",
				 gguf_path(model->gguf));
	snprintf(random, sizeof(random), "%s.random", out);
	ret = synth_model_write(random, &shape, SEED, NULL, err);
	if (ret == 0)
		ret = pack_wide(model, random, out, err);
	unlink(random);
	return ret;
}

int main(int argc, char **argv)
{
	const uint32_t width = argc == 4 ? (uint32_t)atoi(argv[2]) : 0;
	struct model_file *model;
	struct error err = { 0 };
	int ret;

	if (!width || width % 256) {
		fprintf(stderr, "usage: wide_model MODEL WIDTH OUT; WIDTH: a multiple of 256\n");
		return 2;
	}
	ret = model_file_open(argv[1], &model, &err);
	if (ret == 0) {
		ret = make(model, width, argv[3], &err);
		model_file_close(model);
	}
	if (ret < 0)
		fprintf(stderr, "wide_model: %s\n", err.message);
	return ret < 0;
}
