// SPDX-License-Identifier: GPL-2.0-only
/*
 * The result's tensors are made one after the other, in the order of the model
 * file. Most are a copy of one tensor of the checkpoint in another type; bundles
 * are put together from fc1 (a neuron is a row) and fc2 (a neuron is a column),
 * for which fc2 is held in memory whole, in f16.
 *
 * Names: "model.decoder.X" today, "decoder.X" in files from before transformers
 * had OPTForCausalLM, "X" in files saved from the bare decoder.
 */
#include "model/import_opt.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "model/checkpoint.h"
#include "model/model_file.h"
#include "model/opt_config.h"
#include "model/tokenizer.h"

/* The position table's first rows, for padding; position 0 is row 2. */
#define POSITION_OFFSET 2
/* Elements converted at a time. */
#define BLOCK_ELEMENTS (256 * 1024)

/* Names within the decoder; NULL: not a copy of one tensor. */
static const char *const source_names[MODEL_TENSOR_IDS] = {
	[MODEL_TOKEN_EMBEDDING] = "embed_tokens.weight",
	[MODEL_POSITION_EMBEDDING] = "embed_positions.weight",
	[MODEL_PROJECT_IN] = "project_in.weight",
	[MODEL_PROJECT_OUT] = "project_out.weight",
	[MODEL_OUTPUT_NORM_WEIGHT] = "final_layer_norm.weight",
	[MODEL_OUTPUT_NORM_BIAS] = "final_layer_norm.bias",
	[MODEL_OUTPUT] = "lm_head.weight",
	[MODEL_ATTN_NORM_WEIGHT] = "self_attn_layer_norm.weight",
	[MODEL_ATTN_NORM_BIAS] = "self_attn_layer_norm.bias",
	[MODEL_ATTN_Q_WEIGHT] = "self_attn.q_proj.weight",
	[MODEL_ATTN_Q_BIAS] = "self_attn.q_proj.bias",
	[MODEL_ATTN_K_WEIGHT] = "self_attn.k_proj.weight",
	[MODEL_ATTN_K_BIAS] = "self_attn.k_proj.bias",
	[MODEL_ATTN_V_WEIGHT] = "self_attn.v_proj.weight",
	[MODEL_ATTN_V_BIAS] = "self_attn.v_proj.bias",
	[MODEL_ATTN_OUT_WEIGHT] = "self_attn.out_proj.weight",
	[MODEL_ATTN_OUT_BIAS] = "self_attn.out_proj.bias",
	[MODEL_FFN_NORM_WEIGHT] = "final_layer_norm.weight",
	[MODEL_FFN_NORM_BIAS] = "final_layer_norm.bias",
	[MODEL_FFN_UP_BIAS] = "fc1.bias",
	[MODEL_FFN_DOWN_BIAS] = "fc2.bias",
};

struct import {
	const char *directory;
	struct opt_config config;
	struct checkpoint *checkpoint;
	const char *prefix; /* what precedes the decoder's names */
	struct model_layout layout;
	struct gguf_writer *writer;
	void *block; /* BLOCK_ELEMENTS floats */
	uint64_t bytes_done;
	uint64_t bytes_total;
	struct progress *progress;
};

static int find_prefix(struct import *import, struct error *err)
{
	static const char *const prefixes[] = { "model.decoder.", "decoder.", "" };
	char name[MODEL_NAME_SIZE];

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", prefixes[i],
			 source_names[MODEL_TOKEN_EMBEDDING]);
		if (checkpoint_find(import->checkpoint, name)) {
			import->prefix = prefixes[i];
			return 0;
		}
	}
	return error_set(err, -EINVAL,
			 "%s: no tensor model.decoder.%s (or decoder.%s) in the weights: "
			 "not an OPT checkpoint",
			 import->directory, source_names[MODEL_TOKEN_EMBEDDING],
			 source_names[MODEL_TOKEN_EMBEDDING]);
}

#define SOURCE_NAME_SIZE 128

static void source_name(const struct import *import, uint32_t layer, const char *name,
			char out[SOURCE_NAME_SIZE])
{
	if (layer != MODEL_NO_LAYER)
		snprintf(out, SOURCE_NAME_SIZE, "%slayers.%" PRIu32 ".%s", import->prefix, layer,
			 name);
	else if (!strcmp(name, source_names[MODEL_OUTPUT])) /* beside the decoder, not inside */
		snprintf(out, SOURCE_NAME_SIZE, "%s", name);
	else
		snprintf(out, SOURCE_NAME_SIZE, "%s%s", import->prefix, name);
}

/* A tensor of the checkpoint that must be there with `rows` (0: a vector) and `columns`. */
static int find_source(const struct import *import, uint32_t layer, const char *name,
		       uint64_t rows, uint64_t columns, const struct checkpoint_tensor **out,
		       struct error *err)
{
	char full[SOURCE_NAME_SIZE];
	const struct checkpoint_tensor *tensor;

	source_name(import, layer, name, full);
	tensor = checkpoint_find(import->checkpoint, full);
	if (!tensor)
		return error_set(err, -EINVAL, "%s: tensor %s is missing", import->directory, full);
	if (tensor->dtype == CHECKPOINT_OTHER)
		return error_set(err, -EINVAL, "%s: tensor %s is neither f32 nor f16 nor bf16",
				 tensor->file, full);
	if (tensor->n_dims != (rows ? 2 : 1) || tensor->dims[0] != (rows ? rows : columns) ||
	    (rows && tensor->dims[1] != columns))
		return error_set(err, -EINVAL, "%s: tensor %s: %" PRIu64 " x %" PRIu64
				 " (%u dimensions), config.json asks for %" PRIu64 " x %" PRIu64,
				 tensor->file, full, tensor->dims[0],
				 tensor->n_dims > 1 ? tensor->dims[1] : 1, tensor->n_dims,
				 rows ? rows : columns, rows ? columns : 1);
	*out = tensor;
	return 0;
}

static bool is_bias_of_linear(enum model_tensor_id id)
{
	switch (id) {
	case MODEL_ATTN_Q_BIAS:
	case MODEL_ATTN_K_BIAS:
	case MODEL_ATTN_V_BIAS:
	case MODEL_ATTN_OUT_BIAS:
	case MODEL_FFN_UP_BIAS:
	case MODEL_FFN_DOWN_BIAS:
		return true;
	default:
		return false;
	}
}

/* The source of a tensor that is a copy; NULL for one that is made up (zeros, hints). */
static int find_copied(const struct import *import, const struct model_tensor *tensor,
		       const struct checkpoint_tensor **source, struct error *err)
{
	uint64_t rows = tensor->n_dims > 1 ? tensor->dims[1] : 0;

	*source = NULL;
	if (!source_names[tensor->id])
		return 0;
	if (!import->config.biases && is_bias_of_linear(tensor->id))
		return 0;
	if (tensor->id == MODEL_POSITION_EMBEDDING)
		rows += POSITION_OFFSET;
	return find_source(import, tensor->layer, source_names[tensor->id], rows, tensor->dims[0],
			   source, err);
}

static int find_bundle_sources(const struct import *import, uint32_t layer,
			       const struct checkpoint_tensor **fc1,
			       const struct checkpoint_tensor **fc2, struct error *err)
{
	uint64_t d = import->config.model.d_model, n = import->config.model.n_ffn;
	int ret = find_source(import, layer, "fc1.weight", n, d, fc1, err);

	return ret < 0 ? ret : find_source(import, layer, "fc2.weight", d, n, fc2, err);
}

/* Everything must be there before anything is written. */
static int check_sources(struct import *import, struct error *err)
{
	const struct checkpoint_tensor *source, *other;
	int ret = 0;

	for (size_t i = 0; i < import->layout.n_tensors && ret == 0; i++) {
		const struct model_tensor *tensor = &import->layout.tensors[i];

		ret = find_copied(import, tensor, &source, err);
		if (ret == 0 && tensor->id == MODEL_BUNDLES)
			ret = find_bundle_sources(import, tensor->layer, &source, &other, err);
		import->bytes_total += model_tensor_bytes(tensor);
	}
	return ret;
}

static int put(struct import *import, const void *data, size_t length)
{
	import->bytes_done += length;
	progress_report(import->progress, (double)import->bytes_done, (double)import->bytes_total);
	return gguf_writer_data(import->writer, data, length);
}

/* As f16, the reader refuses what does not fit; as f32, it passes everything on. */
static int check_finite(const struct checkpoint_tensor *source, uint64_t first,
			const float *values, uint64_t n, struct error *err)
{
	for (uint64_t i = 0; i < n; i++)
		if (!isfinite(values[i]))
			return error_set(err, -ERANGE,
					 "%s: tensor %s: element %" PRIu64 " is %g: the "
					 "checkpoint is broken",
					 source->file, source->name, first + i, (double)values[i]);
	return 0;
}

static int copy_block(struct import *import, const struct model_tensor *tensor,
		      const struct checkpoint_tensor *source, uint64_t first, uint64_t n,
		      struct error *err)
{
	int ret;

	if (tensor->type == GGUF_TENSOR_F16) {
		ret = checkpoint_read_f16(import->checkpoint, source, first, n, import->block, err);
	} else {
		ret = checkpoint_read_f32(import->checkpoint, source, first, n, import->block, err);
		if (ret == 0)
			ret = check_finite(source, first, import->block, n, err);
	}
	if (ret == 0)
		ret = put(import, import->block, n * gguf_tensor_type_size(tensor->type));
	return ret;
}

static int copy_tensor(struct import *import, const struct model_tensor *tensor,
		       const struct checkpoint_tensor *source, struct error *err)
{
	uint64_t n = model_tensor_elements(tensor);
	uint64_t first = source->n_elements - n; /* the position table's extra rows */
	int ret = 0;

	for (uint64_t done = 0; done < n && ret == 0;) {
		uint64_t part = n - done < BLOCK_ELEMENTS ? n - done : BLOCK_ELEMENTS;

		ret = copy_block(import, tensor, source, first + done, part, err);
		done += part;
	}
	return ret;
}

/* Slots are neurons; links and frequencies are not known yet. */
static int make_hint(struct import *import, const struct model_tensor *tensor)
{
	uint64_t n = model_tensor_elements(tensor);
	uint32_t *values = import->block;
	int ret = 0;

	for (uint64_t done = 0; done < n && ret == 0;) {
		uint64_t part = n - done < BLOCK_ELEMENTS ? n - done : BLOCK_ELEMENTS;

		for (uint64_t i = 0; i < part; i++)
			values[i] = tensor->id == MODEL_HINT_NEURON ? (uint32_t)(done + i) : 0;
		ret = put(import, values, part * sizeof(values[0]));
		done += part;
	}
	return ret;
}

/* Neuron j: row j of fc1, then column j of fc2. */
static int make_bundles(struct import *import, uint32_t layer, struct error *err)
{
	uint64_t d = import->config.model.d_model, n = import->config.model.n_ffn;
	const struct checkpoint_tensor *fc1, *fc2;
	uint16_t *columns = NULL, *bundle = NULL;
	int ret;

	ret = find_bundle_sources(import, layer, &fc1, &fc2, err);
	if (ret < 0)
		return ret;
	columns = malloc(d * n * sizeof(*columns));
	bundle = malloc(2 * d * sizeof(*bundle));
	if (!columns || !bundle) {
		ret = error_no_memory(err, "fc2 of one layer");
		goto out;
	}
	ret = checkpoint_read_f16(import->checkpoint, fc2, 0, d * n, columns, err);
	for (uint64_t j = 0; j < n && ret == 0; j++) {
		ret = checkpoint_read_f16(import->checkpoint, fc1, j * d, d, bundle, err);
		if (ret < 0)
			break;
		for (uint64_t i = 0; i < d; i++)
			bundle[d + i] = columns[i * n + j];
		ret = put(import, bundle, 2 * d * sizeof(*bundle));
	}
out:
	free(bundle);
	free(columns);
	return ret;
}

static int write_tensors(struct import *import, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < import->layout.n_tensors && ret == 0; i++) {
		const struct model_tensor *tensor = &import->layout.tensors[i];
		const struct checkpoint_tensor *source;

		ret = find_copied(import, tensor, &source, err);
		if (ret < 0)
			break;
		if (source)
			ret = copy_tensor(import, tensor, source, err);
		else if (tensor->id == MODEL_BUNDLES)
			ret = make_bundles(import, tensor->layer, err);
		else
			ret = make_hint(import, tensor);
	}
	return ret;
}

/*
 * The last part of the directory's path, as the model's name; of its real path,
 * so that "." and a link give the same file as the path itself.
 */
static int name_of(const char *directory, char *name, size_t size, struct error *err)
{
	char *path = realpath(directory, NULL);

	if (!path)
		return error_set(err, -errno, "%s: cannot resolve: %s", directory, strerror(errno));
	snprintf(name, size, "%s", strrchr(path, '/') + 1);
	free(path);
	name[utf8_valid_prefix(name, strlen(name))] = '\0';
	return 0;
}

/* The vocabulary, tried out: a model that cannot be run must not be written. */
static int load_vocabulary(const struct import *import, struct vocabulary **vocabulary,
			   struct error *err)
{
	struct tokenizer *tokenizer;
	int ret;

	ret = vocabulary_load(import->directory, import->config.model.n_vocab, vocabulary, err);
	if (ret < 0)
		return ret;
	ret = tokenizer_create(*vocabulary, import->directory, &tokenizer, err);
	if (ret < 0)
		vocabulary_free(*vocabulary);
	else
		tokenizer_destroy(tokenizer);
	return ret;
}

static int write_model(struct import *import, const char *output, struct error *err)
{
	struct model_origin origin = { .placement = "identity" };
	struct vocabulary *vocabulary;
	size_t model_id_place;
	int ret;

	ret = name_of(import->directory, origin.name, sizeof(origin.name), err);
	if (ret == 0)
		ret = load_vocabulary(import, &vocabulary, err);
	if (ret < 0)
		return ret;
	ret = model_file_create(output, &import->config.model, &origin, vocabulary,
				&import->layout, &import->writer, &model_id_place, err);
	vocabulary_free(vocabulary);
	if (ret < 0)
		return ret;
	ret = write_tensors(import, err);
	/* A failed write is the writer's error; commit passes it on. */
	if (ret < 0 && gguf_writer_status(import->writer) == 0) {
		gguf_writer_abort(import->writer);
		return ret;
	}
	gguf_writer_set_u64(import->writer, model_id_place, gguf_writer_data_hash(import->writer));
	return gguf_writer_commit(import->writer, err);
}

int import_opt(const char *directory, const char *output, struct progress *progress,
	       struct error *err)
{
	struct import import = { .directory = directory, .progress = progress };
	int ret;

	ret = opt_config_load(directory, &import.config, err);
	if (ret < 0)
		return ret;
	ret = checkpoint_open(directory, &import.checkpoint, err);
	if (ret < 0)
		return ret;
	ret = find_prefix(&import, err);
	if (ret == 0)
		ret = model_layout_make(&import.config.model, &import.layout, err);
	if (ret == 0)
		ret = check_sources(&import, err);
	if (ret < 0)
		goto out;
	import.block = malloc(BLOCK_ELEMENTS * sizeof(float));
	ret = import.block ? write_model(&import, output, err) :
			     error_no_memory(err, "a conversion buffer");
out:
	free(import.block);
	model_layout_free(&import.layout);
	checkpoint_close(import.checkpoint);
	return ret;
}
