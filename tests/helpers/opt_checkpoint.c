// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "helpers/opt_checkpoint.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/utf8.h"
#include "helpers/test.h"
#include "model/byte_symbols.h"

#define SEED 20240
#define TENSORS_PER_LAYER 16
#define OTHER_TENSORS 7
/* With at most 127 of them, bf16 holds every value, and 1 +- 32 of them too. */
#define UNIT (1.0f / 128)

struct opt_shape opt_small(void)
{
	return (struct opt_shape){
		.n_layers = 2,
		.d_model = 16,
		.d_embed = 16,
		.n_ffn = 24,
		.n_heads = 2,
		.n_vocab = OPT_TOKENS + 2,
		.n_context = 16,
	};
}

/* Up to `range` units on both sides of `center`. */
static float *random_values(struct random_state *random, uint64_t n, float center, float unit,
			    uint32_t range)
{
	float *values = malloc(n * sizeof(*values));

	assert_non_null(values);
	for (uint64_t i = 0; i < n; i++) {
		int64_t steps = (int64_t)random_below(random, 2 * (uint64_t)range + 1) - range;

		values[i] = center + (float)steps * unit;
	}
	return values;
}

struct maker {
	struct opt_checkpoint *checkpoint;
	enum checkpoint_dtype dtype;
	struct random_state random;
};

/* The inputs of a product are about as large as its outputs when weights get smaller with d. */
static float unit_for(uint64_t n_in)
{
	float unit = UNIT;

	for (; n_in > 24; n_in /= 4)
		unit /= 2;
	return unit;
}

/* Rows of 0: a vector. */
static void add(struct maker *maker, const char *prefix, const char *name, uint64_t rows,
		uint64_t columns, float center, float unit, uint32_t range)
{
	struct opt_checkpoint *checkpoint = maker->checkpoint;
	struct test_tensor *tensor = &checkpoint->tensors[checkpoint->n_tensors++];
	char *full;

	if (asprintf(&full, "%s%s", prefix, name) < 0)
		fail_msg("out of memory");
	tensor->name = full;
	tensor->dtype = maker->dtype;
	tensor->n_dims = rows ? 2 : 1;
	tensor->dims[0] = rows ? rows : columns;
	tensor->dims[1] = columns;
	tensor->values = random_values(&maker->random, test_tensor_elements(tensor), center, unit,
				       range);
}

static void add_norm(struct maker *maker, const char *prefix, const char *name, uint32_t n)
{
	char full[128];

	snprintf(full, sizeof(full), "%s.weight", name);
	add(maker, prefix, full, 0, n, 1, UNIT, 32);
	snprintf(full, sizeof(full), "%s.bias", name);
	add(maker, prefix, full, 0, n, 0, UNIT, 32);
}

static void add_linear(struct maker *maker, const char *prefix, const char *name, uint32_t n_out,
		       uint32_t n_in)
{
	char full[128];

	snprintf(full, sizeof(full), "%s.weight", name);
	add(maker, prefix, full, n_out, n_in, 0, unit_for(n_in), 64);
	if (maker->checkpoint->shape.no_biases)
		return;
	snprintf(full, sizeof(full), "%s.bias", name);
	add(maker, prefix, full, 0, n_out, 0, UNIT, 64);
}

static void add_layer(struct maker *maker, uint32_t layer)
{
	const struct opt_shape *shape = &maker->checkpoint->shape;
	static const char *const attention[] = { "self_attn.k_proj", "self_attn.v_proj",
						 "self_attn.q_proj", "self_attn.out_proj" };
	char prefix[128];

	snprintf(prefix, sizeof(prefix), "%slayers.%" PRIu32 ".", maker->checkpoint->prefix, layer);
	for (size_t i = 0; i < 4; i++)
		add_linear(maker, prefix, attention[i], shape->d_model, shape->d_model);
	add_norm(maker, prefix, "self_attn_layer_norm", shape->d_model);
	add_linear(maker, prefix, "fc1", shape->n_ffn, shape->d_model);
	add_linear(maker, prefix, "fc2", shape->d_model, shape->n_ffn);
	add_norm(maker, prefix, "final_layer_norm", shape->d_model);
}

static void add_embeddings(struct maker *maker)
{
	const struct opt_shape *shape = &maker->checkpoint->shape;
	const char *prefix = maker->checkpoint->prefix;
	uint32_t d = shape->d_model, d_embed = shape->d_embed;

	add(maker, prefix, "embed_tokens.weight", shape->n_vocab, d_embed, 0, UNIT, 127);
	add(maker, prefix, "embed_positions.weight", shape->n_context + 2, d, 0, UNIT, 127);
	if (d_embed == d)
		return;
	add(maker, prefix, "project_in.weight", d, d_embed, 0, unit_for(d_embed), 64);
	add(maker, prefix, "project_out.weight", d_embed, d, 0, unit_for(d), 64);
}

struct opt_checkpoint *opt_checkpoint_make(const struct opt_shape *shape, const char *prefix,
					   enum checkpoint_dtype dtype)
{
	struct opt_checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));
	struct maker maker = { .checkpoint = checkpoint, .dtype = dtype };

	assert_non_null(checkpoint);
	random_seed(&maker.random, SEED);
	checkpoint->shape = *shape;
	checkpoint->prefix = strdup(prefix);
	checkpoint->tensors = calloc(shape->n_layers * TENSORS_PER_LAYER + OTHER_TENSORS,
				     sizeof(checkpoint->tensors[0]));
	assert_non_null(checkpoint->tensors);
	add_embeddings(&maker);
	for (uint32_t layer = 0; layer < shape->n_layers; layer++)
		add_layer(&maker, layer);
	if (!shape->post_norm && !shape->no_final_norm)
		add_norm(&maker, prefix, "final_layer_norm", shape->d_model);
	if (shape->untied)
		add(&maker, "", "lm_head.weight", shape->n_vocab, shape->d_embed, 0, UNIT, 127);
	return checkpoint;
}

void opt_checkpoint_free(struct opt_checkpoint *checkpoint)
{
	for (size_t i = 0; i < checkpoint->n_tensors; i++) {
		free((char *)checkpoint->tensors[i].name);
		free((float *)checkpoint->tensors[i].values);
	}
	free(checkpoint->tensors);
	free(checkpoint->prefix);
	free(checkpoint);
}

struct test_tensor *opt_find(const struct opt_checkpoint *checkpoint, const char *name)
{
	size_t length = strlen(checkpoint->prefix);

	for (size_t i = 0; i < checkpoint->n_tensors; i++) {
		const char *full = checkpoint->tensors[i].name;

		if (!strcmp(full, name) ||
		    (!strncmp(full, checkpoint->prefix, length) && !strcmp(full + length, name)))
			return &checkpoint->tensors[i];
	}
	fail_msg("there is no tensor %s", name);
	return NULL;
}

float *opt_values(const struct opt_checkpoint *checkpoint, const char *name)
{
	return (float *)opt_find(checkpoint, name)->values;
}

static void write_json(const char *folder, const char *name, json_t *json)
{
	char *path = path_in(folder, name);

	if (json_dump_file(json, path, JSON_INDENT(1)) < 0)
		fail_msg("%s: cannot write", path);
	json_decref(json);
	free(path);
}

static void write_config(const struct opt_shape *shape, const char *folder)
{
	json_t *json = json_pack(
		"{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b, s:b, s:b}",
		"model_type", "opt", "activation_function", "relu",
		"num_hidden_layers", (int)shape->n_layers, "hidden_size", (int)shape->d_model,
		"word_embed_proj_dim", (int)shape->d_embed, "ffn_dim", (int)shape->n_ffn,
		"num_attention_heads", (int)shape->n_heads, "vocab_size", (int)shape->n_vocab,
		"max_position_embeddings", (int)shape->n_context,
		"do_layer_norm_before", !shape->post_norm,
		"_remove_final_layer_norm", shape->no_final_norm,
		"tie_word_embeddings", !shape->untied, "enable_bias", !shape->no_biases);

	assert_non_null(json);
	write_json(folder, "config.json", json);
}

/* OPT's special tokens, the 256 bytes, and what three merges make of them. */
static void write_vocabulary(const char *folder)
{
	static const char *const others[] = { "<s>", "<pad>", "</s>", "th", "the", "an" };
	static const char merges[] = "#version: 0.2\nt h\nth e\na n\n";
	json_t *vocabulary = json_object();
	int id = 0;
	char *path;

	for (; id < 3; id++)
		json_object_set_new(vocabulary, others[id], json_integer(id));
	for (unsigned int byte = 0; byte < 256; byte++) {
		char text[5] = "";

		utf8_encode(byte_to_symbol((uint8_t)byte), text);
		json_object_set_new(vocabulary, text, json_integer(id++));
	}
	for (size_t i = 3; i < 6; i++)
		json_object_set_new(vocabulary, others[i], json_integer(id++));
	assert_int_equal(id, OPT_TOKENS);
	write_json(folder, "vocab.json", vocabulary);
	path = path_in(folder, "merges.txt");
	write_file(path, merges, strlen(merges));
	free(path);
}

void opt_checkpoint_write(const struct opt_checkpoint *checkpoint, const char *folder,
			  enum test_form form)
{
	write_config(&checkpoint->shape, folder);
	write_vocabulary(folder);
	write_checkpoint(folder, form, checkpoint->tensors, checkpoint->n_tensors);
}
