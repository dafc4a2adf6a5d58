// SPDX-License-Identifier: GPL-2.0-only
/*
 * Configurations as keys: what is written is what is read, and what makes no sense is
 * refused by key. And which tensors an architecture has.
 */
#include "helpers/test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "helpers/folder_test.h"
#include "helpers/gated_model.h"
#include "model/model_keys.h"

static struct model_config opt_config(void)
{
	return (struct model_config){
		.architecture = MODEL_OPT, .n_layers = 3, .d_model = 12, .d_embed = 8, .n_ffn = 20,
		.n_heads = 4, .n_vocab = 30, .n_context = 9, .norm_epsilon = 1e-5f,
		.post_norm = true, .tied = true, .predictor_rank = 5,
	};
}

static struct model_config mistral_like(void)
{
	struct model_config config = gated_small();

	config.n_kv_heads = 2;
	config.activation = MODEL_FATRELU;
	config.activation_threshold = 0.01f;
	config.predictor_rank = 3;
	return config;
}

static void write_keys(const char *path, const struct model_config *config)
{
	struct gguf_writer *writer;
	struct error err;

	assert_ok(gguf_writer_create(path, 32, &writer, &err), &err);
	gguf_writer_string(writer, "general.architecture",
			   model_architecture_name(config->architecture));
	gguf_writer_u32(writer, "colink.version", MODEL_FILE_VERSION);
	model_keys_write(writer, config);
	assert_ok(gguf_writer_commit(writer, &err), &err);
}

static int read_keys(const char *path, struct model_config *config, struct error *err)
{
	struct gguf *gguf;
	int ret;

	memset(config, 0, sizeof(*config));
	assert_ok(gguf_open(path, &gguf, err), err);
	ret = model_keys_read(gguf, config, err);
	gguf_close(gguf);
	return ret;
}

static void assert_kept(const struct folder *folder, const struct model_config *config)
{
	struct model_config found;
	struct error err;

	write_keys(folder->file, config);
	assert_ok(read_keys(folder->file, &found, &err), &err);
	assert_int_equal(found.architecture, config->architecture);
	assert_int_equal(found.n_layers, config->n_layers);
	assert_int_equal(found.d_model, config->d_model);
	assert_int_equal(found.d_embed, config->d_embed);
	assert_int_equal(found.n_ffn, config->n_ffn);
	assert_int_equal(found.n_heads, config->n_heads);
	assert_int_equal(model_kv_heads(&found), model_kv_heads(config));
	assert_int_equal(found.n_vocab, config->n_vocab);
	assert_int_equal(found.n_context, config->n_context);
	assert_true(found.norm_epsilon == config->norm_epsilon);
	assert_int_equal(found.post_norm, config->post_norm);
	assert_int_equal(found.final_norm, config->final_norm);
	assert_int_equal(found.tied, config->tied);
	assert_true(found.rope_theta == config->rope_theta);
	assert_int_equal(found.activation, config->activation);
	assert_true(found.activation_threshold == config->activation_threshold);
	assert_int_equal(found.predictor_rank, config->predictor_rank);
}

static void what_is_written_is_read(void **state)
{
	struct model_config config = opt_config();

	assert_kept(*state, &config);
	config = mistral_like();
	assert_kept(*state, &config);
	config = gated_small();
	assert_kept(*state, &config);
	config.activation = MODEL_RELU_BOTH;
	config.tied = true;
	assert_kept(*state, &config);
}

/* As many heads of keys and values as of queries need not be said. */
static void each_head_has_its_own_keys_by_default(void **state)
{
	const struct folder *folder = *state;
	struct model_config config = gated_small(), found;
	struct error err;

	config.n_kv_heads = 0;
	write_keys(folder->file, &config);
	assert_ok(read_keys(folder->file, &found, &err), &err);
	assert_int_equal(found.n_kv_heads, 4);
	assert_int_equal(model_kv_width(&config), 16);
}

static void assert_refused(const struct folder *folder, const struct model_config *config,
			   const char *why)
{
	struct model_config found;
	struct error err = { 0 };
	int ret;

	write_keys(folder->file, config);
	ret = read_keys(folder->file, &found, &err);
	assert_refused_with(ret, &err, why, folder->file);
	assert_int_equal(ret, -EINVAL);
}

static void numbers_that_make_no_sense_are_refused(void **state)
{
	static const float bad_thetas[] = { 0, 0.5f, -1, INFINITY, NAN };
	static const float bad_thresholds[] = { -0.01f, INFINITY, NAN };
	struct model_config config;

	for (size_t i = 0; i < 5; i++) {
		config = gated_small();
		config.rope_theta = bad_thetas[i];
		assert_refused(*state, &config, "llama.rope.freq_base");
	}
	for (size_t i = 0; i < 3; i++) {
		config = mistral_like();
		config.activation_threshold = bad_thresholds[i];
		assert_refused(*state, &config, "colink.ffn.threshold");
	}
	config = gated_small();
	config.n_kv_heads = 3;
	assert_refused(*state, &config, "3 heads of keys and values do not divide 4 heads");
	config = gated_small();
	config.n_kv_heads = 8;
	assert_refused(*state, &config, "8 heads of keys and values do not divide 4 heads");
	config = gated_small();
	config.d_model = 12;
	assert_refused(*state, &config, "llama.rope.dimension_count: 3 of 3");
	config = gated_small();
	config.norm_epsilon = 0;
	assert_refused(*state, &config, "llama.attention.layer_norm_rms_epsilon");
	config = gated_small();
	config.n_heads = 5;
	assert_refused(*state, &config, "5 heads do not divide a width of 16");
	config = opt_config();
	config.d_embed = 0;
	assert_refused(*state, &config, "colink.embedding_projection: 0");
	config = opt_config();
	config.norm_epsilon = 1;
	assert_refused(*state, &config, "opt.attention.layer_norm_epsilon");
}

/* The bytes behind the first place where `text` stands in the file. */
static void patch(const char *path, const char *text, size_t behind, const void *bytes, size_t n)
{
	size_t length, at = 0;
	char *contents = file_contents(path, &length);

	while (at + strlen(text) <= length && memcmp(contents + at, text, strlen(text)))
		at++;
	assert_true(at + strlen(text) + behind + n <= length);
	memcpy(contents + at + strlen(text) + behind, bytes, n);
	write_file(path, contents, length);
	free(contents);
}

static void assert_patched_refused(const struct folder *folder, const char *text, size_t behind,
				   const void *bytes, size_t n, const char *why)
{
	struct model_config config = mistral_like(), found;
	struct error err = { 0 };

	write_keys(folder->file, &config);
	patch(folder->file, text, behind, bytes, n);
	assert_refused_with(read_keys(folder->file, &found, &err), &err, why, folder->file);
}

static void what_no_writer_writes_is_refused(void **state)
{
	static const uint32_t zero, three = 3, two = 2;

	/* Behind a key stands its type, of 4 bytes. */
	assert_patched_refused(*state, "llama.rope.dimension_count", 4, &two, 4,
			       "llama.rope.dimension_count: 2 of 4 elements");
	assert_patched_refused(*state, "llama.attention.head_count_kv", 4, &zero, 4,
			       "llama.attention.head_count_kv: 0 is not");
	assert_patched_refused(*state, "colink.version", 4, &three, 4,
			       "'llama' in colink version 3");
	assert_patched_refused(*state, "fatrel", 0, "v", 1, "colink.ffn.activation: 'fatrelv'");
	assert_patched_refused(*state, "general.architecture", 12, "llamb", 5,
			       "architecture 'llamb'");
}

static const struct model_tensor *find(const struct model_layout *layout, const char *name)
{
	for (size_t i = 0; i < layout->n_tensors; i++)
		if (!strcmp(layout->tensors[i].name, name))
			return &layout->tensors[i];
	return NULL;
}

static void gated_models_have_their_own_tensors(void **state)
{
	const struct model_config config = mistral_like();
	struct model_layout layout;
	struct error err;

	(void)state;
	assert_ok(model_layout_make(&config, &layout, &err), &err);
	/* Embedding, norm, head; of a layer 2 norms, 4 of attention, predictor, hints, bundles. */
	assert_int_equal(layout.n_tensors, 3 + 2 * (2 + 4 + 3 + 3 + 1));
	for (size_t i = 0; i < layout.n_tensors; i++) {
		const char *name = layout.tensors[i].name;

		assert_true(!strstr(name, ".bias") || strstr(name, "colink.predictor.bias"));
	}
	assert_null(find(&layout, "position_embd.weight"));
	assert_int_equal(find(&layout, "blk.1.attn_q.weight")->dims[1], 16);
	assert_int_equal(find(&layout, "blk.1.attn_k.weight")->dims[0], 16);
	assert_int_equal(find(&layout, "blk.1.attn_k.weight")->dims[1], 8);
	assert_int_equal(find(&layout, "blk.1.attn_v.weight")->dims[1], 8);
	assert_int_equal(find(&layout, "blk.1.colink.bundles")->dims[0], 48);
	assert_int_equal(find(&layout, "blk.1.colink.bundles")->dims[1], 24);
	assert_int_equal(model_bundle_stride(&config), 96);
	assert_int_equal(model_head_width(&config), 4);
	assert_int_equal(model_kv_width(&config), 8);
	model_layout_free(&layout);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(each_head_has_its_own_keys_by_default),
		cmocka_unit_test(gated_models_have_their_own_tensors),
		folder_test(numbers_that_make_no_sense_are_refused),
		folder_test(what_is_written_is_read),
		folder_test(what_no_writer_writes_is_refused),
	};

	return cmocka_run_group_tests_name("model_keys", tests, NULL, NULL);
}
