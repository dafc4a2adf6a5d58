// SPDX-License-Identifier: GPL-2.0-only
#include "model/model_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "model/gguf_verify.h"
#include "model/model_keys.h"
#include "model/places.h"

#define FILE_TYPE_MOSTLY_F16 1

/* The whole characters of `text` that fit: it is printed, in JSON too. */
static void copy_text(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text);
	to[utf8_valid_prefix(to, strlen(to))] = '\0';
}

static int read_origin(const struct gguf *gguf, struct model_origin *origin, struct error *err)
{
	const char *text;
	int ret;

	ret = gguf_get_string(gguf, "general.name", &text, err);
	if (ret < 0)
		return ret;
	copy_text(origin->name, sizeof(origin->name), text);
	ret = gguf_get_string(gguf, "colink.placement.method", &text, err);
	if (ret < 0)
		return ret;
	copy_text(origin->placement, sizeof(origin->placement), text);
	ret = gguf_get_u64(gguf, "colink.placement.tokens", &origin->placement_tokens, err);
	if (ret == 0)
		ret = gguf_get_u64(gguf, "colink.model_id", &origin->model_id, err);
	return ret;
}

/* The GGUF table must be the layout, entry by entry, and the checksums after it. */
static int check_tensors(const struct model_file *file, struct error *err)
{
	const struct model_layout *layout = &file->layout;
	const struct gguf *gguf = file->gguf;

	if (gguf_n_tensors(gguf) != layout->n_tensors + 1)
		return error_set(err, -EINVAL,
				 "%s: has %zu tensors, its configuration asks for %zu",
				 gguf_path(gguf), gguf_n_tensors(gguf), layout->n_tensors + 1);
	for (size_t i = 0; i < layout->n_tensors; i++) {
		const struct gguf_tensor *have = gguf_tensor_at(gguf, i);
		const struct model_tensor *want = &layout->tensors[i];

		if (strcmp(have->name, want->name))
			return error_set(err, -EINVAL, "%s: tensor %s stands where %s is expected",
					 gguf_path(gguf), have->name, want->name);
		if (have->type != want->type || have->dims[0] != want->dims[0] ||
		    have->dims[1] != want->dims[1] || have->dims[2] != 1 || have->dims[3] != 1)
			return error_set(err, -EINVAL,
					 "%s: tensor %s has not the shape or type that "
					 "the configuration asks for",
					 gguf_path(gguf), have->name);
	}
	return 0;
}

static int find_bundles(struct model_file *file, struct error *err)
{
	file->bundle_offsets = malloc(file->config.n_layers * sizeof(file->bundle_offsets[0]));
	if (!file->bundle_offsets)
		return error_no_memory(err, gguf_path(file->gguf));
	for (uint32_t layer = 0; layer < file->config.n_layers; layer++) {
		size_t i = model_file_find(file, MODEL_BUNDLES, layer);

		file->bundle_offsets[layer] = gguf_tensor_at(file->gguf, i)->offset;
	}
	return 0;
}

int model_file_open(const char *path, struct model_file **result, struct error *err)
{
	struct model_file *file = calloc(1, sizeof(*file));
	uint64_t *checksums = NULL;
	int ret;

	if (!file)
		return error_no_memory(err, path);
	ret = gguf_open(path, &file->gguf, err);
	if (ret == 0)
		ret = gguf_load_checksums(file->gguf, &checksums, err);
	free(checksums);
	if (ret == 0)
		ret = model_keys_read(file->gguf, &file->config, err);
	if (ret == 0)
		ret = read_origin(file->gguf, &file->origin, err);
	if (ret == 0)
		ret = model_layout_make(&file->config, &file->layout, err);
	if (ret == 0)
		ret = check_tensors(file, err);
	if (ret == 0)
		ret = find_bundles(file, err);
	if (ret < 0) {
		model_file_close(file);
		return ret;
	}
	*result = file;
	return 0;
}

void model_file_close(struct model_file *file)
{
	if (!file)
		return;
	free(file->bundle_offsets);
	model_layout_free(&file->layout);
	gguf_close(file->gguf);
	free(file);
}

size_t model_file_find(const struct model_file *file, enum model_tensor_id id, uint32_t layer)
{
	for (size_t i = 0; i < file->layout.n_tensors; i++)
		if (file->layout.tensors[i].id == id && file->layout.tensors[i].layer == layer)
			return i;
	return SIZE_MAX;
}

int model_file_read(const struct model_file *file, size_t tensor, void *data, struct error *err)
{
	uint64_t *checksums;
	int ret;

	ret = gguf_load_checksums(file->gguf, &checksums, err);
	if (ret < 0)
		return ret;
	ret = gguf_verify_tensor(file->gguf, checksums, tensor, data, err);
	free(checksums);
	return ret;
}

int model_file_invert(const struct model_file *file, uint32_t layer, const uint32_t *neuron,
		      uint32_t *slot_of, struct error *err)
{
	uint32_t n = file->config.n_ffn;

	memset(slot_of, 0xff, n * sizeof(slot_of[0]));
	for (uint32_t slot = 0; slot < n; slot++) {
		if (neuron[slot] >= n || slot_of[neuron[slot]] != UINT32_MAX)
			return error_set(err, -EINVAL,
					 "%s: layer %" PRIu32 ": slot %" PRIu32 ": neuron %" PRIu32
					 " is out of range or there twice",
					 gguf_path(file->gguf), layer, slot, neuron[slot]);
		slot_of[neuron[slot]] = slot;
	}
	return 0;
}

static int read_places(const struct model_file *file, uint32_t layer, uint32_t *slot_at,
		       uint32_t *primary, struct error *err)
{
	struct error why = { 0 };
	int ret = model_file_read(file, model_file_find(file, MODEL_PLACES, layer), slot_at, err);

	if (ret < 0)
		return ret;
	ret = places_find_primary(slot_at, model_positions(&file->config), file->config.n_ffn,
				  primary, &why);
	if (ret < 0)
		error_set(err, ret, "%s: layer %" PRIu32 ": %s", gguf_path(file->gguf), layer,
			  why.message);
	return ret;
}

int model_file_places(const struct model_file *file, uint32_t layer, uint32_t *slot_at,
		      uint32_t *primary, struct error *err)
{
	if (model_has_copies(&file->config))
		return read_places(file, layer, slot_at, primary, err);
	for (uint32_t slot = 0; slot < file->config.n_ffn; slot++)
		slot_at[slot] = primary[slot] = slot;
	return 0;
}

static void write_token(struct gguf_writer *writer, const char *key, uint32_t id)
{
	if (id != TOKEN_NONE)
		gguf_writer_u32(writer, key, id);
}

static int write_vocabulary(struct gguf_writer *writer, const struct vocabulary *vocabulary,
			    struct error *err)
{
	int32_t *types = malloc(vocabulary->n_tokens * sizeof(*types));

	if (!types)
		return error_no_memory(err, "the vocabulary");
	for (uint32_t i = 0; i < vocabulary->n_tokens; i++)
		types[i] = vocabulary->types[i];
	gguf_writer_string(writer, "tokenizer.ggml.model", "gpt2");
	gguf_writer_string(writer, "tokenizer.ggml.pre", "gpt-2");
	gguf_writer_strings(writer, "tokenizer.ggml.tokens", vocabulary->tokens,
			    vocabulary->n_tokens);
	gguf_writer_i32s(writer, "tokenizer.ggml.token_type", types, vocabulary->n_tokens);
	gguf_writer_strings(writer, "tokenizer.ggml.merges", vocabulary->merges,
			    vocabulary->n_merges);
	write_token(writer, "tokenizer.ggml.bos_token_id", vocabulary->bos);
	write_token(writer, "tokenizer.ggml.eos_token_id", vocabulary->eos);
	write_token(writer, "tokenizer.ggml.unknown_token_id", vocabulary->unknown);
	write_token(writer, "tokenizer.ggml.padding_token_id", vocabulary->pad);
	gguf_writer_bool(writer, "tokenizer.ggml.add_bos_token", vocabulary->add_bos);
	free(types);
	return 0;
}

int model_file_create(const char *path, const struct model_config *config,
		      const struct model_origin *origin, const struct vocabulary *vocabulary,
		      const struct model_layout *layout, struct gguf_writer **result,
		      size_t *model_id_place, struct error *err)
{
	struct gguf_writer *writer;
	int ret;

	ret = gguf_writer_create(path, MODEL_ALIGNMENT, &writer, err);
	if (ret < 0)
		return ret;
	gguf_writer_string(writer, "general.architecture",
			   model_architecture_name(config->architecture));
	gguf_writer_string(writer, "general.name", origin->name);
	gguf_writer_u32(writer, "general.file_type", FILE_TYPE_MOSTLY_F16);
	gguf_writer_u32(writer, "colink.version", model_file_version(config));
	*model_id_place = gguf_writer_u64(writer, "colink.model_id", origin->model_id);
	gguf_writer_string(writer, "colink.placement.method", origin->placement);
	gguf_writer_u64(writer, "colink.placement.tokens", origin->placement_tokens);
	gguf_writer_u32(writer, "colink.bundle_stride", model_bundle_stride(config));
	model_keys_write(writer, config);
	ret = write_vocabulary(writer, vocabulary, err);
	if (ret < 0) {
		gguf_writer_abort(writer);
		return ret;
	}
	for (size_t i = 0; i < layout->n_tensors; i++) {
		const struct model_tensor *tensor = &layout->tensors[i];

		gguf_writer_tensor(writer, tensor->name, tensor->type, tensor->n_dims,
				   tensor->dims);
	}
	*result = writer;
	return 0;
}
