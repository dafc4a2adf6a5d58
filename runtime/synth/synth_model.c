// SPDX-License-Identifier: GPL-2.0-only
#include "synth/synth_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/utf8.h"
#include "model/byte_symbols.h"
#include "model/model_file.h"
#include "synth/random_weights.h"
#include "synth/synth_gate.h"
#include "synth/synth_trace.h"

#define BLOCK_BYTES (1u << 20)
#define BYTE_TOKENS 256
#define BOS BYTE_TOKENS
#define SYMBOL_SIZE 20
#define CONTEXT 2048
/*
 * log2 of the least size of a gated model's embedding. What attention and FFN add to it is
 * small beside, so that the FFN inputs of a layer and of the one before are nearly the same.
 */
#define EMBEDDING_SCALE 1

struct writing {
	const struct model_shape *shape;
	struct model_config config;
	struct synth_gate *gate; /* NULL: the model is not gated */
	uint64_t *gate_seeds; /* (n_layers), likewise */
	struct model_layout layout;
	struct gguf_writer *writer;
	struct random_state random;
	uint64_t *block; /* (BLOCK_BYTES) */
	uint64_t bytes_done, bytes_total;
	struct progress *progress;
};

static bool is_gated(const struct model_shape *shape)
{
	return shape->n_matrices == 3;
}

static struct model_config config_of(const struct model_shape *shape)
{
	const bool gated = is_gated(shape);

	return (struct model_config){
		.architecture = gated ? MODEL_LLAMA : MODEL_OPT,
		.n_layers = shape->n_layers,
		.d_model = shape->d_model,
		.d_embed = shape->d_embed,
		.n_ffn = shape->n_ffn,
		.n_heads = shape->n_heads,
		.n_kv_heads = shape->n_kv_heads,
		.n_vocab = shape->n_vocab,
		.n_context = CONTEXT,
		.norm_epsilon = 1e-5f,
		.post_norm = shape->post_norm,
		.final_norm = !shape->post_norm,
		.tied = !gated,
		.rope_theta = gated ? 10000 : 0,
		.activation = gated ? MODEL_FATRELU : MODEL_RELU,
		.predictor_rank = gated ? shape->gate_rank : 0,
	};
}

static void free_vocabulary(struct vocabulary *vocabulary)
{
	free(vocabulary->tokens);
	free(vocabulary->types);
	free(vocabulary->text);
}

/* A token per byte and one that begins a text; the other rows of the embedding are unused. */
static int make_vocabulary(uint32_t n, struct vocabulary *vocabulary, struct error *err)
{
	char *symbols = calloc(n, SYMBOL_SIZE);

	*vocabulary = (struct vocabulary){
		.n_tokens = n,
		.tokens = calloc(n, sizeof(*vocabulary->tokens)),
		.types = calloc(n, sizeof(*vocabulary->types)),
		.bos = BOS, .eos = BOS, .pad = TOKEN_NONE, .unknown = TOKEN_NONE,
		.add_bos = true,
		.text = symbols,
	};
	if (!symbols || !vocabulary->tokens || !vocabulary->types) {
		free_vocabulary(vocabulary);
		return error_no_memory(err, "a vocabulary");
	}
	vocabulary->merges = vocabulary->tokens;
	for (uint32_t i = 0; i < n; i++) {
		char *symbol = &symbols[(size_t)i * SYMBOL_SIZE];

		if (i < BYTE_TOKENS)
			utf8_encode(byte_to_symbol((uint8_t)i), symbol);
		else if (i == BOS)
			strcpy(symbol, "<s>");
		else
			snprintf(symbol, SYMBOL_SIZE, "[unused %u]", i);
		vocabulary->tokens[i] = symbol;
		vocabulary->types[i] = i < BYTE_TOKENS ? TOKEN_NORMAL :
				       i == BOS	       ? TOKEN_CONTROL : TOKEN_UNUSED;
	}
	return 0;
}

/* Bytes of the block, of n that are left. */
static size_t part_of(uint64_t n)
{
	return n < BLOCK_BYTES ? (size_t)n : BLOCK_BYTES;
}

static int put_data(struct writing *writing, const void *data, size_t n)
{
	writing->bytes_done += n;
	progress_report(writing->progress, (double)writing->bytes_done,
			(double)writing->bytes_total);
	return gguf_writer_data(writing->writer, data, n);
}

static int put(struct writing *writing, size_t n)
{
	return put_data(writing, writing->block, n);
}

static void fill_block(struct writing *writing, int scale)
{
	for (size_t i = 0; i < BLOCK_BYTES / sizeof(uint64_t); i++)
		writing->block[i] = random_weights(&writing->random, scale);
}

static int write_weights(struct writing *writing, uint64_t bytes, int scale)
{
	int ret = 0;

	for (uint64_t left = bytes; ret == 0 && left; left -= part_of(left)) {
		fill_block(writing, scale);
		ret = put(writing, part_of(left));
	}
	return ret;
}

/* As other weights, but for the gates' rows. A block has as many whole bundles as fit. */
static int write_gated_bundles(struct writing *writing, uint32_t layer)
{
	const uint32_t n_ffn = writing->config.n_ffn;
	const uint32_t stride = model_bundle_stride(&writing->config);
	const uint32_t fit = BLOCK_BYTES / stride;
	int ret = 0;

	synth_gate_draw(writing->gate, writing->gate_seeds[layer]);
	for (uint32_t first = 0; ret == 0 && first < n_ffn; first += fit) {
		const uint32_t n = n_ffn - first < fit ? n_ffn - first : fit;

		fill_block(writing, random_weights_scale(writing->config.d_model));
		synth_gate_rows(writing->gate, first, n, (uint16_t *)writing->block,
				stride / sizeof(uint16_t));
		ret = put(writing, (size_t)n * stride);
	}
	return ret;
}

static int write_same(struct writing *writing, uint64_t bytes, float value)
{
	float *block = (float *)writing->block;
	int ret = 0;

	for (size_t i = 0; i < BLOCK_BYTES / sizeof(*block); i++)
		block[i] = value;
	for (uint64_t left = bytes; ret == 0 && left; left -= part_of(left))
		ret = put(writing, part_of(left));
	return ret;
}

static int write_identity(struct writing *writing)
{
	uint32_t *block = (uint32_t *)writing->block;

	for (uint32_t slot = 0; slot < writing->config.n_ffn; slot++)
		block[slot] = slot;
	return put(writing, writing->config.n_ffn * sizeof(*block));
}

/* Of a gated model, what is not as in the others; 1: it is. */
static int write_gated_tensor(struct writing *writing, const struct model_tensor *tensor)
{
	const float share = (float)writing->shape->activity.active_share;
	const uint64_t bytes = model_tensor_bytes(tensor);

	switch (tensor->id) {
	case MODEL_TOKEN_EMBEDDING:
		return write_weights(writing, bytes, EMBEDDING_SCALE);
	case MODEL_PREDICTOR_DOWN:
		synth_gate_draw(writing->gate, writing->gate_seeds[tensor->layer]);
		return put_data(writing, writing->gate->down, bytes);
	case MODEL_PREDICTOR_UP: /* right behind `down` of its layer */
		return put_data(writing, writing->gate->up, bytes);
	case MODEL_PREDICTOR_BIAS:
		return write_same(writing, bytes, -writing->gate->threshold);
	case MODEL_HINT_LINK: /* one neuron says nothing of the next */
	case MODEL_HINT_FREQUENCY:
		return write_same(writing, bytes, share);
	case MODEL_BUNDLES:
		return write_gated_bundles(writing, tensor->layer);
	default:
		return 1;
	}
}

static int write_tensor(struct writing *writing, const struct model_tensor *tensor)
{
	const uint64_t bytes = model_tensor_bytes(tensor);
	const int ret = writing->gate ? write_gated_tensor(writing, tensor) : 1;

	if (ret <= 0)
		return ret;
	if (tensor->type == GGUF_TENSOR_F16)
		return write_weights(writing, bytes,
				     random_weights_scale(writing->config.d_model));
	switch (tensor->id) {
	case MODEL_HINT_NEURON:
		return write_identity(writing);
	case MODEL_OUTPUT_NORM_WEIGHT:
	case MODEL_ATTN_NORM_WEIGHT:
	case MODEL_FFN_NORM_WEIGHT:
		return write_same(writing, bytes, 1);
	default:
		return write_same(writing, bytes, 0);
	}
}

static int write_tensors(struct writing *writing)
{
	int ret = 0;

	for (size_t i = 0; i < writing->layout.n_tensors; i++)
		writing->bytes_total += model_tensor_bytes(&writing->layout.tensors[i]);
	for (size_t i = 0; ret == 0 && i < writing->layout.n_tensors; i++)
		ret = write_tensor(writing, &writing->layout.tensors[i]);
	return ret;
}

static int create_file(struct writing *writing, const char *path, uint64_t seed,
		       struct error *err)
{
	struct model_origin origin = {
		.model_id = synth_model_id(writing->shape, seed),
		.placement = "identity",
	};
	struct vocabulary vocabulary;
	size_t id_place;
	int ret = make_vocabulary(writing->config.n_vocab, &vocabulary, err);

	if (ret < 0)
		return ret;
	snprintf(origin.name, sizeof(origin.name), "synthetic %s", writing->shape->name);
	ret = model_file_create(path, &writing->config, &origin, &vocabulary, &writing->layout,
				&writing->writer, &id_place, err);
	free_vocabulary(&vocabulary);
	return ret;
}

static int make_gate(struct writing *writing, struct error *err)
{
	const struct model_shape *shape = writing->shape;
	int ret;

	if (!is_gated(shape))
		return 0;
	ret = synth_gate_create(shape->d_model, shape->n_ffn, shape->gate_rank,
				shape->activity.active_share, &writing->gate, err);
	if (ret < 0)
		return ret;
	writing->gate_seeds = calloc(shape->n_layers, sizeof(*writing->gate_seeds));
	if (!writing->gate_seeds)
		return error_no_memory(err, "a model's gates");
	for (uint32_t layer = 0; layer < shape->n_layers; layer++)
		writing->gate_seeds[layer] = random_next(&writing->random);
	writing->config.activation_threshold = writing->gate->threshold;
	return 0;
}

int synth_model_write(const char *path, const struct model_shape *shape, uint64_t seed,
		      struct progress *progress, struct error *err)
{
	struct writing writing = {
		.shape = shape,
		.config = config_of(shape),
		.progress = progress,
		.block = malloc(BLOCK_BYTES),
	};
	int ret = writing.block ? 0 : error_no_memory(err, "a block of weights");

	random_seed(&writing.random, seed);
	if (ret == 0)
		ret = make_gate(&writing, err);
	if (ret == 0)
		ret = model_layout_make(&writing.config, &writing.layout, err);
	if (ret == 0)
		ret = create_file(&writing, path, seed, err);
	if (ret == 0) {
		/* A failed write is the writer's error; commit passes it on. */
		write_tensors(&writing);
		ret = gguf_writer_commit(writing.writer, err);
	}
	model_layout_free(&writing.layout);
	synth_gate_free(writing.gate);
	free(writing.gate_seeds);
	free(writing.block);
	return ret;
}
