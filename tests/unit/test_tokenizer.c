// SPDX-License-Identifier: GPL-2.0-only
/* Text to ids and back: the reference's ids, special tokens, what is refused. */
#include "helpers/test.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/utf8.h"
#include "helpers/npy.h"
#include "model/byte_symbols.h"
#include "model/tokenizer.h"

static int open_demo(void **state)
{
	char *folder = data_path("demo-model");
	struct vocabulary *vocabulary;
	struct tokenizer *tokenizer;
	struct error err;

	assert_ok(vocabulary_load(folder, 4096, &vocabulary, &err), &err);
	assert_ok(tokenizer_create(vocabulary, folder, &tokenizer, &err), &err);
	vocabulary_free(vocabulary);
	free(folder);
	*state = tokenizer;
	return 0;
}

static int close_demo(void **state)
{
	tokenizer_destroy(*state);
	return 0;
}

static size_t encode(const struct tokenizer *tokenizer, const char *text, size_t length,
		     bool add_bos, uint32_t **ids)
{
	struct error err;
	size_t count;

	assert_ok(tokenizer_encode(tokenizer, text, length, add_bos, ids, &count, &err), &err);
	return count;
}

/* Decoding the ids gives back the text. */
static void check_decodes_to(const struct tokenizer *tokenizer, const uint32_t *ids, size_t count,
			     const char *text, size_t length)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		const char *bytes;
		size_t n = tokenizer_bytes(tokenizer, ids[i], &bytes);

		assert_true(n <= length - at);
		assert_memory_equal(bytes, text + at, n);
		at += n;
	}
	assert_int_equal(at, length);
}

static void reference_prompts(void **state)
{
	const struct tokenizer *tokenizer = *state;
	char *path = data_path("demo-model/reference/prompts.json");
	json_t *entries = json_load_file(path, 0, NULL);
	size_t i, j;
	json_t *entry, *id;

	assert_true(json_array_size(entries) >= 10);
	json_array_foreach(entries, i, entry)
	{
		const json_t *expected = json_object_get(entry, "ids");
		const char *prompt = json_string_value(json_object_get(entry, "prompt"));
		uint32_t *ids;
		size_t count = encode(tokenizer, prompt, strlen(prompt), true, &ids);

		assert_int_equal(count, json_array_size(expected));
		json_array_foreach(expected, j, id)
			assert_int_equal(ids[j], json_integer_value(id));
		check_decodes_to(tokenizer, ids, count, prompt, strlen(prompt));
		free(ids);
	}
	json_decref(entries);
	free(path);
}

static void reference_text(void **state)
{
	const struct tokenizer *tokenizer = *state;
	char *text_path = data_path("demo-model/heldout.txt");
	char *ids_path = data_path("demo-model/reference/heldout_ids.npy");
	struct npy expected;
	size_t length, count;
	char *text = file_contents(text_path, &length);
	uint32_t *ids;

	npy_load(ids_path, &expected);
	assert_non_null(expected.i4);
	assert_int_equal(expected.n_dims, 1);
	count = encode(tokenizer, text, length, false, &ids);
	assert_int_equal(count, expected.count);
	assert_memory_equal(ids, expected.i4, count * sizeof(*ids));
	check_decodes_to(tokenizer, ids, count, text, length);
	free(ids);
	npy_free(&expected);
	free(text);
	free(ids_path);
	free(text_path);
}

static void empty_text(void **state)
{
	uint32_t *ids;

	assert_int_equal(encode(*state, "", 0, false, &ids), 0);
	free(ids);
	assert_int_equal(encode(*state, "", 0, true, &ids), 1);
	assert_int_equal(ids[0], tokenizer_bos(*state));
	free(ids);
}

/* Code points from all ranges, blanks and letters often enough to form words. */
static uint32_t random_code_point(struct random_state *random)
{
	static const uint32_t limits[] = { 0x80, 0x80, 0x80, 0x800, 0x3000, 0x10000, 0x110000 };
	uint32_t limit = limits[random_below(random, sizeof(limits) / sizeof(*limits))];
	uint32_t code_point;

	if (random_below(random, 4) == 0)
		return " \n\t\xa0"[random_below(random, 4)] & 0xff;
	do {
		code_point = (uint32_t)random_below(random, limit);
	} while (code_point >= 0xd800 && code_point < 0xe000);
	return code_point;
}

static void random_text_survives(void **state)
{
	struct random_state random;
	char text[400];

	random_seed(&random, 2);
	for (int round = 0; round < 2000; round++) {
		size_t n = random_below(&random, 100);
		size_t length = 0;
		uint32_t *ids;
		size_t count;

		for (size_t i = 0; i < n; i++)
			length += utf8_encode(random_code_point(&random), text + length);
		count = encode(*state, text, length, false, &ids);
		check_decodes_to(*state, ids, count, text, length);
		free(ids);
	}
}

static void not_utf8(void **state)
{
	struct error err;
	uint32_t *ids = NULL;
	size_t count;

	assert_int_equal(tokenizer_encode(*state, "caf\xe9!", 5, true, &ids, &count, &err),
			 -EILSEQ);
	assert_string_equal(err.message, "the text is not UTF-8: byte 0xe9 at offset 3");
	assert_int_equal(tokenizer_encode(*state, "\xf0\x9f\x98", 3, true, &ids, &count, &err),
			 -EILSEQ);
	assert_string_equal(err.message, "the text is not UTF-8: byte 0xf0 at offset 0");
	assert_null(ids);
}

static void a_million_letters(void **state)
{
	enum { LENGTH = 1000000 };
	struct random_state random;
	char *text = malloc(LENGTH);
	uint32_t *ids;
	size_t count;

	assert_non_null(text);
	random_seed(&random, 3);
	for (size_t i = 0; i < LENGTH; i++)
		text[i] = "etaoinshr"[random_below(&random, 9)];
	count = encode(*state, text, LENGTH, false, &ids);
	check_decodes_to(*state, ids, count, text, LENGTH);
	free(ids);
	memset(text, ' ', LENGTH);
	count = encode(*state, text, LENGTH, false, &ids);
	check_decodes_to(*state, ids, count, text, LENGTH);
	free(ids);
	free(text);
}

static void special_text_in_the_demo(void **state)
{
	static const uint32_t expected[] = { 2, 2, 1, 31, 86, 33 };
	const char *bytes;
	uint32_t *ids;

	/* <s> is in the vocabulary, but not a special token. */
	assert_int_equal(encode(*state, "</s><pad><s>", 12, true, &ids), 6);
	assert_memory_equal(ids, expected, sizeof(expected));
	free(ids);
	assert_int_equal(tokenizer_bos(*state), 2);
	assert_int_equal(tokenizer_eos(*state), 2);
	assert_int_equal(tokenizer_bytes(*state, 2, &bytes), 0);
	assert_int_equal(tokenizer_bytes(*state, 4096, &bytes), 0);
	assert_int_equal(tokenizer_bytes(*state, UINT32_MAX, &bytes), 0);
}

/* 256 byte symbols, then the tokens of a test; strings that last until the test ends. */
#define FIRST_EXTRA 256
#define MAX_EXTRA 8

struct small {
	char symbols[256][5];
	const char *tokens[FIRST_EXTRA + MAX_EXTRA];
	uint8_t types[FIRST_EXTRA + MAX_EXTRA];
	const char *merges[MAX_EXTRA];
	struct vocabulary vocabulary;
};

static void small_vocabulary(struct small *small)
{
	memset(small, 0, sizeof(*small));
	for (unsigned int byte = 0; byte < 256; byte++) {
		utf8_encode(byte_to_symbol((uint8_t)byte), small->symbols[byte]);
		small->tokens[byte] = small->symbols[byte];
		small->types[byte] = TOKEN_NORMAL;
	}
	small->vocabulary = (struct vocabulary){
		.n_tokens = 256,
		.tokens = small->tokens,
		.types = small->types,
		.merges = small->merges,
		.bos = TOKEN_NONE,
		.eos = TOKEN_NONE,
		.pad = TOKEN_NONE,
		.unknown = TOKEN_NONE,
	};
}

static void add_token(struct small *small, const char *text, enum token_type type)
{
	uint32_t id = small->vocabulary.n_tokens++;

	assert_true(id < FIRST_EXTRA + MAX_EXTRA);
	small->tokens[id] = text;
	small->types[id] = (uint8_t)type;
}

static void add_merge(struct small *small, const char *merge)
{
	assert_true(small->vocabulary.n_merges < MAX_EXTRA);
	small->merges[small->vocabulary.n_merges++] = merge;
}

/* The ids of `text` as "1 2 3". */
static void check_ids(const struct tokenizer *tokenizer, const char *text, const char *expected)
{
	char got[256] = "";
	uint32_t *ids;
	size_t count = encode(tokenizer, text, strlen(text), true, &ids);
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += (size_t)snprintf(got + n, sizeof(got) - n, i ? " %u" : "%u", ids[i]);
	assert_string_equal(got, expected);
	free(ids);
}

static void special_tokens(void **state)
{
	struct tokenizer *tokenizer;
	struct small small;
	struct error err;
	const char *bytes;
	uint32_t *ids;

	(void)state;
	small_vocabulary(&small);
	add_token(&small, "<a>", TOKEN_CONTROL); /* 256 */
	add_token(&small, "<a>b", TOKEN_USER_DEFINED);
	add_token(&small, "b<", TOKEN_USER_DEFINED);
	add_token(&small, "\xc3\xa9 t", TOKEN_USER_DEFINED); /* 259: an e with an accent */
	add_token(&small, "[unused 260]", TOKEN_UNUSED);
	add_token(&small, "ab", TOKEN_NORMAL);
	add_token(&small, "\xc3\xa9x", TOKEN_USER_DEFINED); /* literal, though made of symbols */
	add_merge(&small, "a b");
	assert_ok(tokenizer_create(&small.vocabulary, "small", &tokenizer, &err), &err);

	check_ids(tokenizer, "<a>", "256");
	check_ids(tokenizer, "<a>b", "257");
	check_ids(tokenizer, "<a>c<a><a>", "256 99 256 256");
	check_ids(tokenizer, "b<a>b", "258 97 62 98"); /* the leftmost goes first */
	check_ids(tokenizer, "<a", "60 97");
	check_ids(tokenizer, "<a>ab", "256 261");
	check_ids(tokenizer, "a<a>b", "97 257"); /* pieces end at a special token */
	check_ids(tokenizer, "\xc3\xa9 t", "259");
	check_ids(tokenizer, "\xc3\xa8 t", "195 168 32 116");
	check_ids(tokenizer, "  <a>  x", "32 32 256 32 32 120");
	check_ids(tokenizer, "\xc3\xa9x", "262");
	check_ids(tokenizer, "[u", "91 117");

	/* What follows the text in memory does not belong to it. */
	assert_int_equal(encode(tokenizer, "<a>", 2, false, &ids), 2);
	free(ids);

	assert_int_equal(tokenizer_bytes(tokenizer, 256, &bytes), 0);
	assert_int_equal(tokenizer_bytes(tokenizer, 257, &bytes), 4);
	assert_memory_equal(bytes, "<a>b", 4);
	assert_int_equal(tokenizer_bytes(tokenizer, 259, &bytes), 4);
	assert_memory_equal(bytes, "\xc3\xa9 t", 4);
	assert_int_equal(tokenizer_bytes(tokenizer, 260, &bytes), 0);
	assert_int_equal(tokenizer_bytes(tokenizer, 262, &bytes), 3);
	assert_memory_equal(bytes, "\xc3\xa9x", 3);
	assert_int_equal(tokenizer_bytes(tokenizer, 0xe9, &bytes), 1);
	assert_memory_equal(bytes, "\xe9", 1);
	tokenizer_destroy(tokenizer);
}

static void bos_as_the_vocabulary_says(void **state)
{
	struct tokenizer *tokenizer;
	struct small small;
	struct error err;
	uint32_t *ids;

	(void)state;
	small_vocabulary(&small);
	small.vocabulary.bos = 'a';
	small.vocabulary.eos = 'b';
	assert_ok(tokenizer_create(&small.vocabulary, "small", &tokenizer, &err), &err);
	check_ids(tokenizer, "x", "120");
	assert_int_equal(tokenizer_bos(tokenizer), 'a');
	assert_int_equal(tokenizer_eos(tokenizer), 'b');
	tokenizer_destroy(tokenizer);

	small.vocabulary.add_bos = true;
	assert_ok(tokenizer_create(&small.vocabulary, "small", &tokenizer, &err), &err);
	check_ids(tokenizer, "x", "97 120");
	assert_int_equal(encode(tokenizer, "x", 1, false, &ids), 1);
	free(ids);
	tokenizer_destroy(tokenizer);
}

static void a_token_that_is_no_byte_symbols(void **state)
{
	struct tokenizer *tokenizer;
	struct small small;
	struct error err;
	const char *bytes;

	(void)state;
	small_vocabulary(&small);
	add_token(&small, "\xc3\xa9 \xe2\x82\xac", TOKEN_NORMAL); /* a blank, a euro sign */
	assert_ok(tokenizer_create(&small.vocabulary, "small", &tokenizer, &err), &err);
	assert_int_equal(tokenizer_bytes(tokenizer, 256, &bytes), 6);
	assert_memory_equal(bytes, "\xc3\xa9 \xe2\x82\xac", 6);
	tokenizer_destroy(tokenizer);
}

static void refused(const struct small *small, const char *message)
{
	struct tokenizer *tokenizer = NULL;
	struct error err;

	assert_int_equal(tokenizer_create(&small->vocabulary, "small", &tokenizer, &err), -EINVAL);
	assert_null(tokenizer);
	assert_string_equal(err.message, message);
}

static void refused_merge(const char *first, const char *second, const char *message)
{
	struct small small;

	small_vocabulary(&small);
	add_token(&small, "ab", TOKEN_NORMAL);
	add_merge(&small, first);
	add_merge(&small, second);
	refused(&small, message);
}

static void bad_merges(void **state)
{
	(void)state;
	refused_merge("a b", "x ab", "small: merge 1 \"x ab\": its result is not a token");
	refused_merge("aa b", "a b", "small: merge 0 \"aa b\": its left half is not a token");
	refused_merge("a bb", "a b", "small: merge 0 \"a bb\": its right half is not a token");
	refused_merge("a b", "a b", "small: merge 1 \"a b\" is there twice");
	refused_merge("ab", "a b",
		      "small: merge 0 \"ab\" is not two tokens with a blank between them");
	refused_merge(" a", "a b", "small: merge 0 \" a\": its left half is not a token");
}

static void bad_tokens(void **state)
{
	struct small small;

	(void)state;
	small_vocabulary(&small);
	add_token(&small, "ab", TOKEN_NORMAL);
	add_token(&small, "ab", TOKEN_CONTROL);
	refused(&small, "small: tokens 256 and 257 have the same text \"ab\"");

	small_vocabulary(&small);
	small.types[' '] = TOKEN_UNUSED;
	refused(&small, "small: no token for the byte 0x20 (\"\xc4\xa0\")");

	small_vocabulary(&small);
	add_token(&small, "", TOKEN_CONTROL);
	refused(&small, "small: token 256 is empty");

	small_vocabulary(&small);
	add_token(&small, "a\xc4", TOKEN_NORMAL);
	refused(&small, "small: token 256 is not UTF-8");

	small_vocabulary(&small);
	small.vocabulary.bos = 256;
	refused(&small, "small: bos is token 256 of 256");

	small_vocabulary(&small);
	small.vocabulary.eos = 300;
	refused(&small, "small: eos is token 300 of 256");

	small_vocabulary(&small);
	small.vocabulary.add_bos = true;
	refused(&small, "small: texts start with bos, but there is no bos");

	small_vocabulary(&small);
	small.vocabulary.n_tokens = 0;
	refused(&small, "small: no token for the byte 0x00 (\"\xc4\x80\")");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_letters),
		cmocka_unit_test(a_token_that_is_no_byte_symbols),
		cmocka_unit_test(bad_merges),
		cmocka_unit_test(bad_tokens),
		cmocka_unit_test(bos_as_the_vocabulary_says),
		cmocka_unit_test(empty_text),
		cmocka_unit_test(not_utf8),
		cmocka_unit_test(random_text_survives),
		cmocka_unit_test(reference_prompts),
		cmocka_unit_test(reference_text),
		cmocka_unit_test(special_text_in_the_demo),
		cmocka_unit_test(special_tokens),
	};

	return cmocka_run_group_tests_name("tokenizer", tests, open_demo, close_demo);
}
