// SPDX-License-Identifier: GPL-2.0-only
/* Checkpoints that cannot be imported: one line that says why, and no file. */
#include "helpers/test.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helpers/import_folder.h"
#include "model/import_opt.h"

static void assert_refused(const struct import_folder *folder, const char *word, const char *other)
{
	struct error err = { 0 };

	assert_refused_with(import_opt(folder->source, folder->output, NULL, &err), &err, word,
			    other);
	assert_null(strchr(err.message, '\n'));
	assert_empty(folder->results); /* neither the file nor a temporary one */
}

/* Give config.json another value (JSON; NULL: without the key), on top of a good one. */
static void configure(const struct import_folder *folder, const char *key, const char *value)
{
	const struct opt_shape shape = opt_small();
	char *path = path_in(folder->source, "config.json");
	json_t *config;

	write_source(folder, &shape);
	config = json_load_file(path, 0, NULL);
	assert_non_null(config);
	if (value)
		json_object_set_new(config, key, json_loads(value, JSON_DECODE_ANY, NULL));
	else
		json_object_del(config, key);
	assert_int_equal(json_dump_file(config, path, 0), 0);
	json_decref(config);
	free(path);
}

static void refuses_other_models(void **state)
{
	static const struct {
		const char *key;
		const char *value;
		const char *message;
	} cases[] = {
		{ "model_type", "\"llama\"", "\"model_type\" is \"llama\"" },
		{ "model_type", NULL, "\"model_type\"" },
		{ "activation_function", "\"gelu\"", "\"activation_function\" is \"gelu\"" },
		{ "activation_function", "7", "\"activation_function\"" },
		{ "num_attention_heads", "3", "3 attention heads do not divide" },
		{ "num_attention_heads", "0", "\"num_attention_heads\" is 0" },
		{ "num_hidden_layers", "0", "\"num_hidden_layers\" is 0" },
		{ "num_hidden_layers", "4097", "\"num_hidden_layers\"" },
		{ "num_hidden_layers", "-1", "\"num_hidden_layers\"" },
		{ "hidden_size", NULL, "\"hidden_size\" is missing" },
		{ "hidden_size", "16.0", "\"hidden_size\"" },
		{ "ffn_dim", "\"24\"", "\"ffn_dim\"" },
		{ "vocab_size", "99999999999", "\"vocab_size\"" },
		{ "max_position_embeddings", "null", "\"max_position_embeddings\" is missing" },
		{ "word_embed_proj_dim", "0", "\"word_embed_proj_dim\" is 0" },
		{ "do_layer_norm_before", "1", "\"do_layer_norm_before\"" },
		{ "layer_norm_elementwise_affine", "false", "\"layer_norm_elementwise_affine\"" },
		{ "tie_word_embeddings", "\"yes\"", "\"tie_word_embeddings\"" },
	};
	const struct import_folder *folder = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		configure(folder, cases[i].key, cases[i].value);
		assert_refused(folder, cases[i].message, "config.json");
	}
}

static void refuses_a_config_that_contradicts_the_weights(void **state)
{
	static const struct {
		const char *key;
		const char *value;
		const char *tensor;
	} cases[] = {
		{ "num_hidden_layers", "3", "layers.2.self_attn_layer_norm.weight is missing" },
		{ "hidden_size", "32", "embed_positions.weight: 18 x 16" },
		{ "ffn_dim", "25", "layers.0.fc1.bias: 24 x 1" },
		{ "vocab_size", "265", "embed_tokens.weight: 264 x 16" },
		{ "max_position_embeddings", "14", "embed_positions.weight: 18 x 16" },
		{ "word_embed_proj_dim", "8", "embed_tokens.weight: 264 x 16" },
		{ "tie_word_embeddings", "false", "tensor lm_head.weight is missing" },
	};
	const struct import_folder *folder = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		configure(folder, cases[i].key, cases[i].value);
		assert_refused(folder, cases[i].tensor, "opt-tiny");
	}
	/* Defaults of OPTConfig. */
	configure(folder, "word_embed_proj_dim", NULL);
	import_source(folder);
	configure(folder, "do_layer_norm_before", "null");
	import_source(folder);
}

enum spoil { LOSE, RENAME, TRANSPOSE, FLATTEN, INTEGERS };

static void spoil(struct test_tensor *tensor, enum spoil how)
{
	uint64_t rows = tensor->dims[0];

	switch (how) {
	case LOSE:
	case RENAME:
		free((char *)tensor->name);
		tensor->name = strdup(how == LOSE ? "unrelated" : "embed_tokens.weights");
		break;
	case TRANSPOSE:
		tensor->dims[0] = tensor->dims[1];
		tensor->dims[1] = rows;
		break;
	case FLATTEN:
		tensor->dims[0] *= tensor->dims[1];
		tensor->n_dims = 1;
		break;
	case INTEGERS:
		tensor->dtype = CHECKPOINT_OTHER;
		break;
	}
}

static void refuses_spoilt_tensors(void **state)
{
	static const struct {
		const char *name;
		enum spoil how;
		const char *message;
	} cases[] = {
		{ "layers.1.fc2.weight", LOSE, "layers.1.fc2.weight is missing" },
		{ "layers.1.fc2.bias", LOSE, "layers.1.fc2.bias is missing" },
		{ "final_layer_norm.bias", LOSE, "decoder.final_layer_norm.bias is missing" },
		{ "embed_tokens.weight", RENAME, "not an OPT checkpoint" },
		{ "layers.0.fc1.weight", TRANSPOSE,
		  "16 x 24 (2 dimensions), config.json asks for" },
		{ "layers.0.fc2.weight", FLATTEN, "(1 dimensions)" },
		{ "layers.0.fc1.weight", INTEGERS, "neither f32 nor f16 nor bf16" },
	};
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct opt_checkpoint *checkpoint =
			opt_checkpoint_make(&shape, OPT_PREFIX, CHECKPOINT_F32);

		spoil(opt_find(checkpoint, cases[i].name), cases[i].how);
		opt_checkpoint_write(checkpoint, folder->source, TEST_SAFETENSORS);
		opt_checkpoint_free(checkpoint);
		assert_refused(folder, cases[i].message, "opt-tiny");
	}
}

static void refuses_values_that_cannot_be_kept(void **state)
{
	static const char *const names[] = { "layers.1.fc2.weight", "layers.1.fc1.weight",
					     "embed_tokens.weight", "layers.1.fc1.bias",
					     "layers.0.final_layer_norm.weight" };
	const float values[] = { NAN, INFINITY, -INFINITY, 65520 };
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();

	for (size_t i = 0; i < 5 * 4; i++) {
		struct opt_checkpoint *checkpoint =
			opt_checkpoint_make(&shape, OPT_PREFIX, CHECKPOINT_F32);
		const char *name = names[i / 4];
		bool kept_as_f32 = i / 4 >= 3;

		opt_values(checkpoint, name)[15] = values[i % 4];
		clear_folder(folder->source);
		opt_checkpoint_write(checkpoint, folder->source, TEST_TORCH);
		opt_checkpoint_free(checkpoint);
		if (kept_as_f32 && values[i % 4] == 65520)
			continue;
		assert_refused(folder, name, "element 15");
	}
}

static void refuses_missing_and_broken_files(void **state)
{
	static const char *const names[] = { "config.json", "vocab.json", "merges.txt",
					     "model.safetensors" };
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();

	for (size_t i = 0; i < 4; i++) {
		char *path = path_in(folder->source, names[i]);

		write_source(folder, &shape);
		unlink(path);
		assert_refused(folder, folder->source, names[i]);
		write_file(path, "{\"a\": ", 6);
		assert_refused(folder, folder->source, names[i]);
		unlink(path);
		assert_int_equal(mkdir(path, 0700), 0);
		assert_refused(folder, folder->source, "not a regular file");
		rmdir(path);
		free(path);
	}
	clear_folder(folder->source);
	assert_refused(folder, "config.json", "cannot open");
	rmdir(folder->source);
	assert_refused(folder, "config.json", "cannot open");
	write_file(folder->source, "x", 1);
	assert_refused(folder, "config.json", "cannot open");
}

static void refuses_merges_without_their_tokens(void **state)
{
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();
	char *path = path_in(folder->source, "merges.txt");

	write_source(folder, &shape);
	write_file(path, "t h\nq q\n", 8);
	assert_refused(folder, folder->source, "q");
	free(path);
}

static void refuses_a_vocabulary_larger_than_the_embedding(void **state)
{
	const struct import_folder *folder = *state;
	struct opt_shape shape = opt_small();

	shape.n_vocab = OPT_TOKENS - 1;
	write_source(folder, &shape);
	assert_refused(folder, "vocab.json", "261");
	shape.n_vocab = OPT_TOKENS;
	write_source(folder, &shape);
	import_source(folder);
}

static void refuses_truncated_weights(void **state)
{
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();
	char *path = path_in(folder->source, "model.safetensors");
	struct stat st;

	write_source(folder, &shape);
	assert_int_equal(stat(path, &st), 0);
	for (off_t length = st.st_size - 1; length > 0; length /= 2) {
		assert_int_equal(truncate(path, length), 0);
		assert_refused(folder, path, "");
	}
	free(path);
}

static void a_failed_import_keeps_the_old_file(void **state)
{
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();
	struct opt_checkpoint *checkpoint = opt_checkpoint_make(&shape, OPT_PREFIX, CHECKPOINT_F32);
	struct error err = { 0 };
	size_t length;
	char *text;

	write_file(folder->output, "old", 3);
	opt_values(checkpoint, "layers.1.fc2.weight")[0] = NAN;
	opt_checkpoint_write(checkpoint, folder->source, TEST_SAFETENSORS);
	opt_checkpoint_free(checkpoint);
	assert_int_equal(import_opt(folder->source, folder->output, NULL, &err), -ERANGE);
	text = file_contents(folder->output, &length);
	assert_string_equal(text, "old");
	free(text);
	unlink(folder->output);
	assert_refused(folder, "layers.1.fc2.weight", "element 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		import_test(refuses_other_models),
		import_test(refuses_a_config_that_contradicts_the_weights),
		import_test(refuses_spoilt_tensors),
		import_test(refuses_values_that_cannot_be_kept),
		import_test(refuses_missing_and_broken_files),
		import_test(refuses_merges_without_their_tokens),
		import_test(refuses_a_vocabulary_larger_than_the_embedding),
		import_test(refuses_truncated_weights),
		import_test(a_failed_import_keeps_the_old_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
