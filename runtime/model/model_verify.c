// SPDX-License-Identifier: GPL-2.0-only
/* A whole model file, copies of bundles included: checksums alone do not say that they agree. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/gguf_verify.h"
#include "model/model_file.h"

/* What comparing needs memory for. */
struct comparison {
	const struct model_file *file;
	uint32_t *slot_at; /* (positions) */
	uint32_t *primary; /* (n_ffn) */
	char *copy, *original; /* a bundle each */
};

static int read_bundle(const struct comparison *comparison, uint32_t layer, uint32_t position,
		       char *bundle, struct error *err)
{
	const struct model_file *file = comparison->file;
	uint64_t stride = model_bundle_stride(&file->config);

	return file_read_at(gguf_descriptor(file->gguf), bundle, stride,
			    file->bundle_offsets[layer] + position * stride, gguf_path(file->gguf),
			    err);
}

static int compare(const struct comparison *comparison, uint32_t layer, uint32_t position,
		   struct error *err)
{
	uint32_t slot = comparison->slot_at[position], primary = comparison->primary[slot];
	int ret = read_bundle(comparison, layer, position, comparison->copy, err);

	if (ret == 0)
		ret = read_bundle(comparison, layer, primary, comparison->original, err);
	if (ret == 0 && memcmp(comparison->copy, comparison->original,
			       model_bundle_stride(&comparison->file->config)))
		ret = error_set(err, -EBADMSG,
				"%s: layer %" PRIu32 ": the bundle at position %" PRIu32
				" is no copy of that at %" PRIu32 ", both of slot %" PRIu32
				"; make the file again",
				gguf_path(comparison->file->gguf), layer, position, primary, slot);
	return ret;
}

static int compare_layers(const struct comparison *comparison, struct error *err)
{
	const struct model_config *config = &comparison->file->config;
	int ret = 0;

	for (uint32_t layer = 0; ret == 0 && layer < config->n_layers; layer++) {
		ret = model_file_places(comparison->file, layer, comparison->slot_at,
					comparison->primary, err);
		for (uint32_t i = 0; ret == 0 && i < model_positions(config); i++)
			if (comparison->primary[comparison->slot_at[i]] != i)
				ret = compare(comparison, layer, i, err);
	}
	return ret;
}

static int verify_copies(const struct model_file *file, struct error *err)
{
	const struct model_config *config = &file->config;
	struct comparison comparison = {
		.file = file,
		.slot_at = malloc(model_positions(config) * sizeof(uint32_t)),
		.primary = malloc(config->n_ffn * sizeof(uint32_t)),
		.copy = malloc(model_bundle_stride(config)),
		.original = malloc(model_bundle_stride(config)),
	};
	int ret;

	if (comparison.slot_at && comparison.primary && comparison.copy && comparison.original)
		ret = compare_layers(&comparison, err);
	else
		ret = error_no_memory(err, gguf_path(file->gguf));
	free(comparison.slot_at);
	free(comparison.primary);
	free(comparison.copy);
	free(comparison.original);
	return ret;
}

int model_file_verify(const struct model_file *file, struct progress *progress, struct error *err)
{
	int ret = gguf_verify(file->gguf, progress, err);

	return ret == 0 && model_has_copies(&file->config) ? verify_copies(file, err) : ret;
}
