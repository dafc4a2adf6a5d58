// SPDX-License-Identifier: GPL-2.0-only
/* Vocabularies as Hugging Face directories hold them, good and bad. */
#include "helpers/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/vocabulary.h"

#define VOCAB "{\"<s>\": 0, \"<pad>\": 1, \"</s>\": 2, \"a\": 3, \"b\": 4, \"ab\": 5}"
#define MERGES "#version: 0.2\na b\n"

/* The files of a directory. */
enum { VOCAB_JSON, MERGES_TXT, ADDED_TOKENS, CONFIG, SPECIAL_TOKENS_MAP, N_FILES };

static const char *const names[N_FILES] = {
	[VOCAB_JSON] = "vocab.json",
	[MERGES_TXT] = "merges.txt",
	[ADDED_TOKENS] = "added_tokens.json",
	[CONFIG] = "tokenizer_config.json",
	[SPECIAL_TOKENS_MAP] = "special_tokens_map.json",
};

/* What they hold; NULL where there is none. */
struct files {
	const char *texts[N_FILES];
};

static int load(const struct files *files, uint32_t n_rows, struct vocabulary **vocabulary,
		struct error *err)
{
	char *folder = make_folder();
	int ret;

	for (int i = 0; i < N_FILES; i++) {
		char *path = path_in(folder, names[i]);

		if (files->texts[i])
			write_file(path, files->texts[i], strlen(files->texts[i]));
		free(path);
	}
	ret = vocabulary_load(folder, n_rows, vocabulary, err);
	remove_folder(folder);
	return ret;
}

/* Good files but for `text` in place of one of them. */
static struct files with(int which, const char *text)
{
	struct files files = { { [VOCAB_JSON] = VOCAB, [MERGES_TXT] = MERGES } };

	files.texts[which] = text;
	return files;
}

static struct vocabulary *loaded(struct files files, uint32_t n_rows)
{
	struct vocabulary *vocabulary = NULL;
	struct error err;

	assert_ok(load(&files, n_rows, &vocabulary, &err), &err);
	return vocabulary;
}

static void refused(int which, const char *text, int code, const char *message)
{
	struct files files = with(which, text);
	struct vocabulary *vocabulary = NULL;
	struct error err;

	assert_int_equal(load(&files, 8, &vocabulary, &err), code);
	assert_null(vocabulary);
	assert_int_equal(err.code, code);
	assert_says(&err, message);
}

static void check_token(const struct vocabulary *vocabulary, uint32_t id, const char *text,
			enum token_type type)
{
	assert_string_equal(vocabulary->tokens[id], text);
	assert_int_equal(vocabulary->types[id], type);
}

static void only_vocab_and_merges(void **state)
{
	struct vocabulary *vocabulary = loaded(with(MERGES_TXT, MERGES), 8);

	(void)state;
	assert_int_equal(vocabulary->n_tokens, 8);
	check_token(vocabulary, 0, "<s>", TOKEN_NORMAL);
	check_token(vocabulary, 1, "<pad>", TOKEN_CONTROL);
	check_token(vocabulary, 2, "</s>", TOKEN_CONTROL);
	check_token(vocabulary, 5, "ab", TOKEN_NORMAL);
	check_token(vocabulary, 6, "[unused 6]", TOKEN_UNUSED);
	check_token(vocabulary, 7, "[unused 7]", TOKEN_UNUSED);
	assert_int_equal(vocabulary->n_merges, 1);
	assert_string_equal(vocabulary->merges[0], "a b");
	assert_int_equal(vocabulary->bos, 2);
	assert_int_equal(vocabulary->eos, 2);
	assert_int_equal(vocabulary->unknown, 2);
	assert_int_equal(vocabulary->pad, 1);
	assert_true(vocabulary->add_bos);
	vocabulary_free(vocabulary);
}

static void another_end_of_text(void **state)
{
	struct vocabulary *vocabulary =
		loaded(with(VOCAB_JSON, "{\"<|endoftext|>\": 1, \"a\": 0}"), 2);

	(void)state;
	assert_int_equal(vocabulary->bos, 1);
	assert_int_equal(vocabulary->eos, 1);
	assert_int_equal(vocabulary->pad, TOKEN_NONE);
	assert_false(vocabulary->add_bos);
	vocabulary_free(vocabulary);

	vocabulary = loaded(with(VOCAB_JSON, "{\"a\": 0}"), 1);
	assert_int_equal(vocabulary->bos, TOKEN_NONE);
	assert_int_equal(vocabulary->eos, TOKEN_NONE);
	assert_false(vocabulary->add_bos);
	vocabulary_free(vocabulary);
}

static void named_tokens(void **state)
{
	struct files files = with(CONFIG, "{\"bos_token\": \"a\","
					  " \"eos_token\": {\"content\": \"b\", \"lstrip\": false},"
					  " \"pad_token\": null,"
					  " \"mask_token\": \"ab\","
					  " \"add_bos_token\": true,"
					  " \"tokenizer_class\": \"GPT2Tokenizer\","
					  " \"add_prefix_space\": false}");
	struct vocabulary *vocabulary;

	(void)state;
	files.texts[SPECIAL_TOKENS_MAP] = "{\"bos_token\": {\"content\": \"<s>\"},"
					  " \"additional_special_tokens\": [\"a\"]}";
	vocabulary = loaded(files, 6);
	assert_int_equal(vocabulary->bos, 0); /* the map goes first */
	assert_int_equal(vocabulary->eos, 4);
	assert_int_equal(vocabulary->pad, TOKEN_NONE);
	assert_int_equal(vocabulary->unknown, 2);
	assert_true(vocabulary->add_bos);
	check_token(vocabulary, 0, "<s>", TOKEN_CONTROL);
	check_token(vocabulary, 1, "<pad>", TOKEN_NORMAL);
	check_token(vocabulary, 3, "a", TOKEN_CONTROL);
	check_token(vocabulary, 4, "b", TOKEN_CONTROL);
	check_token(vocabulary, 5, "ab", TOKEN_CONTROL);
	vocabulary_free(vocabulary);
}

static void bos_only_where_asked_for(void **state)
{
	struct vocabulary *vocabulary = loaded(with(CONFIG, "{\"add_bos_token\": false}"), 6);

	(void)state;
	assert_false(vocabulary->add_bos);
	vocabulary_free(vocabulary);
	vocabulary = loaded(with(SPECIAL_TOKENS_MAP, "{\"bos_token\": \"<s>\"}"), 6);
	assert_false(vocabulary->add_bos);
	vocabulary_free(vocabulary);
}

static void added_tokens(void **state)
{
	struct files files = with(ADDED_TOKENS, "{\"<image>\": 7, \"ab\": 5, \"<sep>\": 6}");
	struct vocabulary *vocabulary;

	(void)state;
	files.texts[SPECIAL_TOKENS_MAP] = "{\"sep_token\": \"<sep>\"}";
	vocabulary = loaded(files, 8);
	check_token(vocabulary, 5, "ab", TOKEN_USER_DEFINED);
	check_token(vocabulary, 6, "<sep>", TOKEN_CONTROL);
	check_token(vocabulary, 7, "<image>", TOKEN_USER_DEFINED);
	vocabulary_free(vocabulary);
}

static void added_tokens_decoder(void **state)
{
	struct files files = with(CONFIG, "{\"added_tokens_decoder\": {"
					  "\"6\": {\"content\": \"<x>\", \"special\": true},"
					  "\"7\": {\"content\": \"<y>\", \"special\": false}},"
					  "\"eos_token\": \"<x>\"}");
	struct vocabulary *vocabulary;

	(void)state;
	files.texts[SPECIAL_TOKENS_MAP] = "{\"eos_token\": \"b\", \"bos_token\": \"a\"}";
	vocabulary = loaded(files, 8);
	check_token(vocabulary, 6, "<x>", TOKEN_CONTROL);
	check_token(vocabulary, 7, "<y>", TOKEN_USER_DEFINED);
	assert_int_equal(vocabulary->eos, 6); /* the newer form: the config goes first */
	assert_int_equal(vocabulary->bos, 3);
	vocabulary_free(vocabulary);
}

static void merges_lines(void **state)
{
	struct vocabulary *vocabulary =
		loaded(with(MERGES_TXT, "a b\r\n\n# #\na ab\n#version 1"), 6);

	(void)state;
	assert_int_equal(vocabulary->n_merges, 4);
	assert_string_equal(vocabulary->merges[0], "a b");
	assert_string_equal(vocabulary->merges[1], "# #");
	assert_string_equal(vocabulary->merges[2], "a ab");
	assert_string_equal(vocabulary->merges[3], "#version 1");
	vocabulary_free(vocabulary);
	vocabulary = loaded(with(MERGES_TXT, ""), 6);
	assert_int_equal(vocabulary->n_merges, 0);
	vocabulary_free(vocabulary);
}

static void bad_vocab(void **state)
{
	(void)state;
	refused(VOCAB_JSON, NULL, -ENOENT, "vocab.json: cannot open");
	refused(VOCAB_JSON, "{\"a\": 0,", -EINVAL, "vocab.json: not valid JSON");
	refused(VOCAB_JSON, "[\"a\"]", -EINVAL, "vocab.json: the top level");
	refused(VOCAB_JSON, "{\"a\": 0, \"a\": 1}", -EINVAL, "not valid JSON");
	refused(VOCAB_JSON, "{\"a\": 3, \"b\": 3}", -EINVAL,
		"vocab.json: tokens \"a\" and \"b\" have the same id 3");
	refused(VOCAB_JSON, "{\"a\": 8}", -EINVAL,
		"vocab.json: token \"a\" has id 8, but the model has 8 rows of embeddings");
	refused(VOCAB_JSON, "{\"a\": -1}", -EINVAL, "\"a\" has id -1");
	refused(VOCAB_JSON, "{\"a\": 4294967296}", -EINVAL, "has id 4294967296");
	refused(VOCAB_JSON, "{\"a\": 1.5}", -EINVAL,
		"vocab.json: the id of token \"a\" is not a whole number");
	refused(VOCAB_JSON, "{\"\xff\": 1}", -EINVAL, "not valid JSON");
}

static void bad_merges(void **state)
{
	(void)state;
	refused(MERGES_TXT, NULL, -ENOENT, "merges.txt: cannot open");
	refused(MERGES_TXT, "#version\nab\n", -EINVAL,
		"merges.txt: line 2 is not two tokens with a blank between them");
	refused(MERGES_TXT, "a b c\n", -EINVAL, "line 1 is not two");
	refused(MERGES_TXT, "a b\n b\n", -EINVAL, "line 2 is not two");
	refused(MERGES_TXT, "a b\n\na \n", -EINVAL, "line 3 is not two");
	refused(MERGES_TXT, "a b\n\xff", -EINVAL, "merges.txt: not UTF-8 text: offset 4");
}

static void bad_special_tokens(void **state)
{
	(void)state;
	refused(SPECIAL_TOKENS_MAP, "{\"bos_token\": \"<x>\"}", -EINVAL,
		"special_tokens_map.json: \"bos_token\" is \"<x>\", which is neither in vocab.json "
		"nor in added_tokens.json");
	refused(CONFIG, "{\"eos_token\": 2}", -EINVAL,
		"tokenizer_config.json: \"eos_token\" is neither a string nor an object");
	refused(CONFIG, "{\"eos_token\": {\"content\": 1}}", -EINVAL,
		"\"eos_token\" is neither a string nor an object");
	refused(SPECIAL_TOKENS_MAP, "{\"mask_token\": {\"content\": \"a\", \"lstrip\": true}}",
		-ENOTSUP, "\"mask_token\" asks for lstrip, which is not supported");
	refused(SPECIAL_TOKENS_MAP, "{\"additional_special_tokens\": \"a\"}", -EINVAL,
		"\"additional_special_tokens\" is not a list");
	refused(SPECIAL_TOKENS_MAP, "{\"additional_special_tokens\": [\"a\", 1]}", -EINVAL,
		"\"additional_special_tokens\" is neither a string nor an object");
	refused(SPECIAL_TOKENS_MAP, "{", -EINVAL, "special_tokens_map.json: not valid JSON");
}

static void bad_added_tokens(void **state)
{
	(void)state;
	refused(ADDED_TOKENS, "{\"a\": 6}", -EINVAL,
		"added_tokens.json: token \"a\" has id 6, but it had id 3 before");
	refused(ADDED_TOKENS, "{\"c\": 3}", -EINVAL,
		"added_tokens.json: tokens \"a\" and \"c\" have the same id 3");
	refused(ADDED_TOKENS, "{\"c\": 8}", -EINVAL,
		"added_tokens.json: token \"c\" has id 8, but the model has 8 rows");
	refused(ADDED_TOKENS, "{\"c\": \"8\"}", -EINVAL,
		"added_tokens.json: the id of token \"c\" is not a whole number");
	refused(CONFIG, "{\"added_tokens_decoder\": {\"x\": {\"content\": \"y\"}}}", -EINVAL,
		"tokenizer_config.json: added_tokens_decoder: \"x\" is not an id");
	refused(CONFIG, "{\"added_tokens_decoder\": {\"6\": 6}}", -EINVAL,
		"tokenizer_config.json: \"6\" is neither a string nor an object");
}

static void bad_config(void **state)
{
	(void)state;
	refused(CONFIG, "{\"add_prefix_space\": true}", -ENOTSUP,
		"tokenizer_config.json: add_prefix_space is true, which is not supported");
	refused(CONFIG, "{\"add_bos_token\": 1}", -EINVAL,
		"tokenizer_config.json: \"add_bos_token\" is neither true nor false");
	refused(CONFIG, "{\"bos_token\": null, \"add_bos_token\": true}", -EINVAL,
		"add_bos_token is true, but there is no bos_token");
	refused(CONFIG, "{\"tokenizer_class\": \"LlamaTokenizer\"}", -ENOTSUP,
		"tokenizer_class LlamaTokenizer is not supported, only GPT2Tokenizer");
}

static void too_many_rows(void **state)
{
	struct vocabulary *vocabulary = NULL;
	struct files files = with(MERGES_TXT, MERGES);
	struct error err;

	(void)state;
	assert_int_equal(load(&files, UINT32_MAX, &vocabulary, &err), -EINVAL);
	assert_says(&err, "4294967295 rows of embeddings");
	assert_int_equal(load(&files, 0, &vocabulary, &err), -EINVAL);
}

static void the_demo_model(void **state)
{
	char *folder = data_path("demo-model");
	struct vocabulary *vocabulary;
	struct error err;

	(void)state;
	assert_ok(vocabulary_load(folder, 4096, &vocabulary, &err), &err);
	assert_int_equal(vocabulary->n_tokens, 4096);
	assert_int_equal(vocabulary->n_merges, 3836);
	check_token(vocabulary, 0, "<s>", TOKEN_NORMAL);
	check_token(vocabulary, 2, "</s>", TOKEN_CONTROL);
	check_token(vocabulary, 4095, "\xc4\xa0viol", TOKEN_NORMAL);
	assert_string_equal(vocabulary->merges[0], "h e");
	assert_int_equal(vocabulary->bos, 2);
	assert_int_equal(vocabulary->pad, 1);
	assert_true(vocabulary->add_bos);
	vocabulary_free(vocabulary);
	free(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(added_tokens),
		cmocka_unit_test(added_tokens_decoder),
		cmocka_unit_test(another_end_of_text),
		cmocka_unit_test(bad_added_tokens),
		cmocka_unit_test(bad_config),
		cmocka_unit_test(bad_merges),
		cmocka_unit_test(bad_special_tokens),
		cmocka_unit_test(bad_vocab),
		cmocka_unit_test(bos_only_where_asked_for),
		cmocka_unit_test(merges_lines),
		cmocka_unit_test(named_tokens),
		cmocka_unit_test(only_vocab_and_merges),
		cmocka_unit_test(the_demo_model),
		cmocka_unit_test(too_many_rows),
	};

	return cmocka_run_group_tests_name("vocabulary", tests, NULL, NULL);
}
