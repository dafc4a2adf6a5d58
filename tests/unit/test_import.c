// SPDX-License-Identifier: GPL-2.0-only
/* Importing OPT checkpoints: every form gives the same file, and it has the right numbers. */
#include "helpers/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/half.h"
#include "helpers/import_folder.h"
#include "helpers/watcher.h"
#include "model/gguf_verify.h"
#include "model/import_opt.h"
#include "model/model_file.h"

static void every_form_gives_the_same_file(void **state)
{
	static const char *const prefixes[] = { "model.decoder.", "decoder.", "" };
	static const enum checkpoint_dtype dtypes[] = { CHECKPOINT_F32, CHECKPOINT_F16,
							CHECKPOINT_BF16 };
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();
	size_t length = 0, other_length;
	char *first = NULL;

	for (int i = 0; i < TEST_FORMS * 9; i++) {
		struct opt_checkpoint *checkpoint =
			opt_checkpoint_make(&shape, prefixes[i / 3 % 3], dtypes[i % 3]);
		char *other;

		clear_folder(folder->source);
		opt_checkpoint_write(checkpoint, folder->source, i / 9);
		opt_checkpoint_free(checkpoint);
		import_source(folder);
		other = file_contents(folder->output, &other_length);
		if (!first) {
			first = other;
			length = other_length;
			continue;
		}
		assert_int_equal(length, other_length);
		assert_memory_equal(first, other, length);
		free(other);
	}
	free(first);
}

static struct model_file *opened(const struct import_folder *folder)
{
	struct model_file *file = NULL;
	struct error err;

	assert_ok(model_file_open(folder->output, &file, &err), &err);
	assert_ok(gguf_verify(file->gguf, NULL, &err), &err);
	return file;
}

static void *tensor_of(const struct model_file *file, enum model_tensor_id id, uint32_t layer)
{
	size_t i = model_file_find(file, id, layer);
	struct error err;
	void *data;

	assert_true(i != SIZE_MAX);
	data = malloc(model_tensor_bytes(&file->layout.tensors[i]));
	assert_non_null(data);
	assert_ok(model_file_read(file, i, data, &err), &err);
	return data;
}

static void the_file_says_what_the_config_says(void **state)
{
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();
	struct model_file *file;

	write_source(folder, &shape);
	import_source(folder);
	file = opened(folder);
	assert_int_equal(file->config.n_layers, 2);
	assert_int_equal(file->config.d_model, 16);
	assert_int_equal(file->config.d_embed, 16);
	assert_int_equal(file->config.n_ffn, 24);
	assert_int_equal(file->config.n_heads, 2);
	assert_int_equal(file->config.n_vocab, OPT_TOKENS + 2);
	assert_int_equal(file->config.n_context, 16);
	assert_true(file->config.norm_epsilon == 1e-5f);
	assert_false(file->config.post_norm);
	assert_true(file->config.final_norm);
	assert_true(file->config.tied);
	assert_int_equal(file->config.predictor_rank, 0);
	assert_string_equal(file->origin.name, "opt-tiny");
	assert_string_equal(file->origin.placement, "identity");
	assert_true(file->origin.model_id != 0);
	for (uint32_t layer = 0; layer < 2; layer++)
		assert_int_equal(file->bundle_offsets[layer] % MODEL_ALIGNMENT, 0);
	model_file_close(file);
}

static void a_bundle_is_a_row_and_a_column(void **state)
{
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();
	struct opt_checkpoint *checkpoint = opt_checkpoint_make(&shape, OPT_PREFIX, CHECKPOINT_F32);
	struct model_file *file;

	opt_checkpoint_write(checkpoint, folder->source, TEST_TORCH);
	import_source(folder);
	file = opened(folder);
	for (uint32_t layer = 0; layer < 2; layer++) {
		const float *fc1 = opt_values(checkpoint, layer ? "layers.1.fc1.weight" :
								  "layers.0.fc1.weight");
		const float *fc2 = opt_values(checkpoint, layer ? "layers.1.fc2.weight" :
								  "layers.0.fc2.weight");
		uint16_t *bundles = tensor_of(file, MODEL_BUNDLES, layer);
		uint32_t *neuron = tensor_of(file, MODEL_HINT_NEURON, layer);

		for (size_t j = 0; j < 24; j++) {
			assert_int_equal(neuron[j], j);
			for (size_t i = 0; i < 16; i++) {
				assert_true(f16_to_f32(bundles[j * 32 + i]) == fc1[j * 16 + i]);
				assert_true(f16_to_f32(bundles[j * 32 + 16 + i]) ==
					    fc2[i * 24 + j]);
			}
		}
		free(bundles);
		free(neuron);
	}
	model_file_close(file);
	opt_checkpoint_free(checkpoint);
}

static void positions_start_at_row_two(void **state)
{
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();
	struct opt_checkpoint *checkpoint = opt_checkpoint_make(&shape, OPT_PREFIX, CHECKPOINT_F32);
	const float *rows = opt_values(checkpoint, "embed_positions.weight");
	struct model_file *file;
	uint16_t *positions;

	opt_checkpoint_write(checkpoint, folder->source, TEST_SAFETENSORS_SHARDS);
	import_source(folder);
	file = opened(folder);
	positions = tensor_of(file, MODEL_POSITION_EMBEDDING, MODEL_NO_LAYER);
	for (size_t i = 0; i < 16 * 16; i++)
		assert_true(f16_to_f32(positions[i]) == rows[2 * 16 + i]);
	free(positions);
	model_file_close(file);
	opt_checkpoint_free(checkpoint);
}

static void the_vocabulary_is_kept(void **state)
{
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();
	struct vocabulary *vocabulary = NULL;
	struct model_file *file;
	struct error err;

	write_source(folder, &shape);
	import_source(folder);
	file = opened(folder);
	assert_ok(model_file_vocabulary(file, &vocabulary, &err), &err);
	assert_int_equal(vocabulary->n_tokens, OPT_TOKENS + 2);
	assert_string_equal(vocabulary->tokens[3 + 'A'], "A");
	assert_string_equal(vocabulary->tokens[OPT_TOKENS - 2], "the");
	assert_int_equal(vocabulary->types[2], TOKEN_CONTROL);
	assert_int_equal(vocabulary->types[OPT_TOKENS - 1], TOKEN_NORMAL);
	assert_int_equal(vocabulary->types[OPT_TOKENS], TOKEN_UNUSED);
	assert_int_equal(vocabulary->types[OPT_TOKENS + 1], TOKEN_UNUSED);
	assert_int_equal(vocabulary->n_merges, 3);
	assert_string_equal(vocabulary->merges[1], "th e");
	assert_int_equal(vocabulary->bos, 2);
	assert_int_equal(vocabulary->eos, 2);
	assert_int_equal(vocabulary->pad, 1);
	assert_true(vocabulary->add_bos);
	vocabulary_free(vocabulary);
	model_file_close(file);
}

static struct model_file *imported(const struct import_folder *folder,
				   const struct opt_shape *shape)
{
	write_source(folder, shape);
	import_source(folder);
	return opened(folder);
}

static bool has(const struct model_file *file, enum model_tensor_id id)
{
	return model_file_find(file, id, MODEL_NO_LAYER) != SIZE_MAX;
}

static void variants_have_their_own_tensors(void **state)
{
	const struct import_folder *folder = *state;
	struct opt_shape shape = opt_small();
	struct model_file *file;
	float *biases;

	shape.post_norm = true;
	shape.d_embed = 8;
	file = imported(folder, &shape);
	assert_true(file->config.post_norm && !file->config.final_norm);
	assert_int_equal(file->config.d_embed, 8);
	assert_true(has(file, MODEL_PROJECT_IN) && has(file, MODEL_PROJECT_OUT));
	assert_false(has(file, MODEL_OUTPUT_NORM_WEIGHT) || has(file, MODEL_OUTPUT));
	model_file_close(file);

	shape = opt_small();
	shape.untied = true;
	shape.no_final_norm = true;
	file = imported(folder, &shape);
	assert_false(file->config.tied || file->config.final_norm);
	assert_true(has(file, MODEL_OUTPUT));
	assert_false(has(file, MODEL_PROJECT_IN) || has(file, MODEL_OUTPUT_NORM_BIAS));
	model_file_close(file);

	shape = opt_small();
	shape.no_biases = true;
	file = imported(folder, &shape);
	biases = tensor_of(file, MODEL_FFN_UP_BIAS, 1);
	for (size_t i = 0; i < shape.n_ffn; i++)
		assert_true(biases[i] == 0);
	free(biases);
	model_file_close(file);
}

static uint64_t model_id_of(const struct import_folder *folder)
{
	struct model_file *file = opened(folder);
	uint64_t id = file->origin.model_id;

	model_file_close(file);
	return id;
}

static void another_model_has_another_id(void **state)
{
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();
	struct opt_checkpoint *checkpoint = opt_checkpoint_make(&shape, OPT_PREFIX, CHECKPOINT_F32);
	uint64_t id;

	opt_checkpoint_write(checkpoint, folder->source, TEST_SAFETENSORS);
	import_source(folder);
	id = model_id_of(folder);
	opt_values(checkpoint, "layers.1.fc2.weight")[383] += 0.5f;
	opt_checkpoint_write(checkpoint, folder->source, TEST_SAFETENSORS);
	import_source(folder);
	assert_true(id != model_id_of(folder));
	opt_checkpoint_free(checkpoint);
}

/* The name is the last part of the path, as far as it is text. */
static void the_name_is_the_folders(void **state)
{
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();
	char *source = path_in(folder->path, "n\xc3\xa4me\xff!//");
	struct model_file *file;
	struct error err;

	assert_int_equal(mkdir(source, 0700), 0);
	{
		struct opt_checkpoint *checkpoint =
			opt_checkpoint_make(&shape, OPT_PREFIX, CHECKPOINT_F32);

		opt_checkpoint_write(checkpoint, source, TEST_SAFETENSORS);
		opt_checkpoint_free(checkpoint);
	}
	assert_ok(import_opt(source, folder->output, NULL, &err), &err);
	file = opened(folder);
	assert_string_equal(file->origin.name, "n\xc3\xa4me");
	model_file_close(file);
	free(source);
}

static void progress_ends_at_its_total(void **state)
{
	const struct import_folder *folder = *state;
	const struct opt_shape shape = opt_small();
	struct watcher watcher = make_watcher();
	struct error err;

	write_source(folder, &shape);
	assert_ok(import_opt(folder->source, folder->output, &watcher.progress, &err), &err);
	assert_true(watcher.total > 0 && watcher.done == watcher.total);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		import_test(every_form_gives_the_same_file),
		import_test(the_file_says_what_the_config_says),
		import_test(a_bundle_is_a_row_and_a_column),
		import_test(positions_start_at_row_two),
		import_test(the_vocabulary_is_kept),
		import_test(variants_have_their_own_tensors),
		import_test(another_model_has_another_id),
		import_test(the_name_is_the_folders),
		import_test(progress_ends_at_its_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
