// SPDX-License-Identifier: GPL-2.0-only
#include "synth/synth_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/utf8.h"
#include "model/byte_symbols.h"
#include "model/model_file.h"
#include "synth/synth_trace.h"

#define BLOCK_BYTES (1u << 20)
#define BYTE_TOKENS 256
#define BOS BYTE_TOKENS
#define SYMBOL_SIZE 20
#define CONTEXT 2048

struct writing {
	const struct model_shape *shape;
	struct model_config config;
	struct model_layout layout;
	struct gguf_writer *writer;
	struct random_state random;
	uint64_t *block; /* (BLOCK_BYTES) */
	uint64_t exponents; /* of four f16, in place */
	uint64_t bytes_done, bytes_total;
	struct progress *progress;
};

static struct model_config config_of(const struct model_shape *shape)
{
	const bool gated = shape->n_matrices == 3;

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
		.activation = MODEL_RELU,
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

static int put(struct writing *writing, size_t n)
{
	writing->bytes_done += n;
	progress_report(writing->progress, (double)writing->bytes_done,
			(double)writing->bytes_total);
	return gguf_writer_data(writing->writer, writing->block, n);
}

/* Four f16 from each 64 random bits: signs and fractions; the exponent is the same for all. */
static int write_weights(struct writing *writing, uint64_t bytes)
{
	const uint64_t kept = UINT64_C(0x83ff83ff83ff83ff);
	int ret = 0;

	for (uint64_t left = bytes; ret == 0 && left; left -= part_of(left)) {
		for (size_t i = 0; i < BLOCK_BYTES / sizeof(uint64_t); i++)
			writing->block[i] =
				(random_next(&writing->random) & kept) | writing->exponents;
		ret = put(writing, part_of(left));
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

static int write_tensor(struct writing *writing, const struct model_tensor *tensor)
{
	const uint64_t bytes = model_tensor_bytes(tensor);

	if (tensor->type == GGUF_TENSOR_F16)
		return write_weights(writing, bytes);
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

int synth_model_write(const char *path, const struct model_shape *shape, uint64_t seed,
		      struct progress *progress, struct error *err)
{
	struct writing writing = {
		.shape = shape,
		.config = config_of(shape),
		.progress = progress,
		.block = malloc(BLOCK_BYTES),
	};
	int exponent = (int)floor(-log2(2 * sqrt(shape->d_model))) + 15;
	int ret = writing.block ? 0 : error_no_memory(err, "a block of weights");

	writing.exponents = (uint64_t)exponent * UINT64_C(0x0400040004000400);
	random_seed(&writing.random, seed);
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
	free(writing.block);
	return ret;
}
