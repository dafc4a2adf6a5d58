// SPDX-License-Identifier: GPL-2.0-only
#include "infer/model_store.h"

#include <stdlib.h>

static uint64_t frequencies_bytes(const struct model_config *config)
{
	return (uint64_t)config->n_layers * config->n_ffn * sizeof(float);
}

/* How often each bundle fires, by the file's hints, (n_layers, n_ffn); the caller frees it. */
static int read_frequencies(const struct model_file *file, float **result, struct error *err)
{
	size_t n = file->config.n_ffn;
	float *frequency = malloc(frequencies_bytes(&file->config));
	int ret = 0;

	if (!frequency)
		return error_no_memory(err, "frequencies");
	for (uint32_t layer = 0; ret == 0 && layer < file->config.n_layers; layer++)
		ret = model_file_read(file, model_file_find(file, MODEL_HINT_FREQUENCY, layer),
				      frequency + layer * n, err);
	if (ret < 0)
		free(frequency);
	else
		*result = frequency;
	return ret;
}

static uint64_t places_bytes(const struct model_config *config)
{
	uint64_t bundles = (uint64_t)config->n_layers * model_positions(config);

	return model_has_copies(config) ? (bundles + config->n_ffn) * sizeof(uint32_t) : 0;
}

/* Which slots bundles are of, (n_layers, positions); the caller frees it. NULL without copies. */
static int read_places(const struct model_file *file, uint32_t **result, struct error *err)
{
	const struct model_config *config = &file->config;
	size_t bundles = (size_t)config->n_layers * model_positions(config);
	uint32_t *slot_at, *primary;
	int ret = 0;

	*result = NULL;
	if (!model_has_copies(config))
		return 0;
	slot_at = malloc(places_bytes(config));
	if (!slot_at)
		return error_no_memory(err, "the places of bundles");
	primary = slot_at + bundles;
	for (uint32_t layer = 0; ret == 0 && layer < config->n_layers; layer++)
		ret = model_file_places(file, layer,
					slot_at + (size_t)layer * model_positions(config), primary,
					err);
	if (ret < 0)
		free(slot_at);
	else
		*result = slot_at;
	return ret;
}

struct bundle_geometry model_store_geometry(const struct model_file *file)
{
	const struct model_config *config = &file->config;

	return (struct bundle_geometry){
		.n_layers = config->n_layers,
		.slots = config->n_ffn,
		.stride = model_bundle_stride(config),
		.offsets = file->bundle_offsets,
		.positions = model_positions(config),
	};
}

uint64_t model_store_opening_bytes(const struct model_config *config,
				   const struct bundle_store_options *options)
{
	return places_bytes(config) + (options->cache_ratio > 0 ? frequencies_bytes(config) : 0);
}

int model_store_open(const struct model_file *file, const struct bundle_store_options *options,
		     struct bundle_store **store, struct error *err)
{
	struct bundle_geometry geometry = model_store_geometry(file);
	struct bundle_store_options with_hints = *options;
	float *frequency = NULL;
	uint32_t *slot_at = NULL;
	int ret = 0;

	if (options->cache_ratio > 0)
		ret = read_frequencies(file, &frequency, err);
	if (ret == 0)
		ret = read_places(file, &slot_at, err);
	with_hints.frequency = frequency;
	geometry.slot_at = slot_at;
	if (ret == 0)
		ret = bundle_store_open(gguf_path(file->gguf), &geometry, &with_hints,
					store, err);
	free(slot_at);
	free(frequency);
	return ret;
}
