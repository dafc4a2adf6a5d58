// SPDX-License-Identifier: GPL-2.0-only
/*
 * A Hugging Face directory becomes one table, as the slow GPT2Tokenizer reads it:
 *
 *   vocab.json               token -> id; required
 *   merges.txt               "left right" per line, best first; required
 *   added_tokens.json        token -> id, beyond those of vocab.json
 *   tokenizer_config.json    named special tokens, added_tokens_decoder, add_bos_token
 *   special_tokens_map.json  named special tokens; goes before tokenizer_config.json, unless
 *                            that has added_tokens_decoder, which newer versions write
 *
 * Where no file says which token is bos, eos and unknown, it is "</s>", or else
 * "<|endoftext|>", if there is such a token; likewise "<pad>". Without
 * add_bos_token, texts start with bos if bos is OPT's: "</s>" with id 2.
 *
 * Until vocabulary_pack() all strings are borrowed from the parsed files. The
 * object of vocab.json doubles as the index from text to id, for added tokens too.
 *
 * Refused, because the ids would differ from what the model was trained with:
 * add_prefix_space, tokens that swallow blanks around them or ask for word
 * boundaries, other tokenizer classes than GPT2Tokenizer.
 */
#define _GNU_SOURCE
#include "model/vocabulary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/vocabulary_reader.h"

#define MAX_FILE_BYTES ((size_t)64 << 20)
#define MAX_TOKENS (UINT32_C(1) << 24)
#define UNUSED_FORMAT "[unused %u]"
#define UNUSED_ROOM sizeof("[unused 4294967295]")
#define OPT_BOS_TEXT "</s>"
#define OPT_BOS_ID 2

const char *const vocabulary_source_names[N_SOURCES] = {
	[VOCAB] = "vocab.json",
	[ADDED_TOKENS] = "added_tokens.json",
	[CONFIG] = "tokenizer_config.json",
	[SPECIAL_TOKENS_MAP] = "special_tokens_map.json",
};

static int open_sources(struct vocabulary_reader *reader, const char *directory)
{
	for (int i = 0; i < N_SOURCES; i++) {
		const char *name = vocabulary_source_names[i];
		int ret;

		if (asprintf(&reader->paths[i], "%s/%s", directory, name) < 0) {
			reader->paths[i] = NULL;
			return error_no_memory(reader->err, directory);
		}
		ret = json_load_object(reader->paths[i], MAX_FILE_BYTES, &reader->json[i],
				       reader->err);
		if (ret < 0 && (ret != -ENOENT || i == VOCAB))
			return ret;
		if (ret < 0 && reader->err) /* it may be missing */
			*reader->err = (struct error){ 0 };
	}
	return merges_file_read(directory, &reader->merges, reader->err);
}

static void reader_free(struct vocabulary_reader *reader)
{
	merges_file_free(&reader->merges);
	for (int i = 0; i < N_SOURCES; i++) {
		json_decref(reader->json[i]);
		free(reader->paths[i]);
	}
}

uint32_t vocabulary_find_token(const struct vocabulary_reader *reader, const char *text)
{
	const json_t *id = json_object_get(reader->json[VOCAB], text);

	return id ? (uint32_t)json_integer_value(id) : TOKEN_NONE;
}

int vocabulary_add_token(struct vocabulary_reader *reader, enum vocabulary_source source,
			 const char *text, json_int_t id, enum token_type type)
{
	struct vocabulary *vocabulary = reader->vocabulary;
	const char *path = reader->paths[source];
	const char *other;

	if (id < 0 || id >= vocabulary->n_tokens)
		return error_set(reader->err, -EINVAL,
				 "%s: token \"%.80s\" has id %lld, but the model has %u rows of "
				 "embeddings", path, text, (long long)id, vocabulary->n_tokens);
	other = vocabulary->tokens[id];
	if (other && strcmp(other, text) != 0)
		return error_set(reader->err, -EINVAL,
				 "%s: tokens \"%.80s\" and \"%.80s\" have the same id %lld", path,
				 other, text, (long long)id);
	vocabulary->tokens[id] = text;
	vocabulary->types[id] = (uint8_t)type;
	return 0;
}

static int load_vocab(struct vocabulary_reader *reader)
{
	const char *text;
	json_t *id;

	json_object_foreach(reader->json[VOCAB], text, id) {
		int ret;

		if (!json_is_integer(id))
			return error_set(reader->err, -EINVAL,
					 "%s: the id of token \"%.80s\" is not a whole number",
					 reader->paths[VOCAB], text);
		ret = vocabulary_add_token(reader, VOCAB, text, json_integer_value(id),
					   TOKEN_NORMAL);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* tokenizer_config.json without its special tokens. */
static int load_config(struct vocabulary_reader *reader)
{
	struct vocabulary *vocabulary = reader->vocabulary;
	const json_t *config = reader->json[CONFIG];
	const char *path = reader->paths[CONFIG];
	bool add_prefix_space = false;
	const char *class;
	int ret;

	vocabulary->add_bos = vocabulary->bos == OPT_BOS_ID &&
			      !strcmp(vocabulary->tokens[OPT_BOS_ID], OPT_BOS_TEXT);
	if (!config)
		return 0;
	ret = json_get_string_or_null(config, "tokenizer_class", path, &class, reader->err);
	if (ret == 0)
		ret = json_get_bool_or(config, "add_prefix_space", path, &add_prefix_space,
				       reader->err);
	if (ret == 0)
		ret = json_get_bool_or(config, "add_bos_token", path, &vocabulary->add_bos,
				       reader->err);
	if (ret < 0)
		return ret;
	if (class && strcmp(class, "GPT2Tokenizer") && strcmp(class, "GPT2TokenizerFast"))
		return error_set(reader->err, -ENOTSUP,
				 "%s: tokenizer_class %.80s is not supported, only GPT2Tokenizer",
				 path, class);
	if (add_prefix_space)
		return error_set(reader->err, -ENOTSUP,
				 "%s: add_prefix_space is true, which is not supported", path);
	if (vocabulary->add_bos && vocabulary->bos == TOKEN_NONE)
		return error_set(reader->err, -EINVAL,
				 "%s: add_bos_token is true, but there is no bos_token", path);
	return 0;
}

/* Copy all borrowed strings into one block, and name the unused ids. */
static int vocabulary_pack(struct vocabulary_reader *reader)
{
	struct vocabulary *vocabulary = reader->vocabulary;
	size_t room = 1;
	char *out;

	for (uint32_t id = 0; id < vocabulary->n_tokens; id++)
		room += vocabulary->tokens[id] ? strlen(vocabulary->tokens[id]) + 1 : UNUSED_ROOM;
	for (uint32_t i = 0; i < vocabulary->n_merges; i++)
		room += strlen(vocabulary->merges[i]) + 1;
	out = malloc(room);
	if (!out)
		return error_no_memory(reader->err, reader->paths[VOCAB]);
	vocabulary->text = out;
	for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
		const char *borrowed = vocabulary->tokens[id];

		vocabulary->tokens[id] = out;
		if (borrowed)
			out = stpcpy(out, borrowed) + 1;
		else
			out += sprintf(out, UNUSED_FORMAT, id) + 1;
	}
	for (uint32_t i = 0; i < vocabulary->n_merges; i++) {
		const char *borrowed = vocabulary->merges[i];

		vocabulary->merges[i] = out;
		out = stpcpy(out, borrowed) + 1;
	}
	return 0;
}

static int vocabulary_allocate(uint32_t n_rows, const char *directory, struct vocabulary **result,
			       struct error *err)
{
	struct vocabulary *vocabulary;

	if (n_rows > MAX_TOKENS)
		return error_set(err, -EINVAL, "%s: %u rows of embeddings, at most %u are expected",
				 directory, n_rows, MAX_TOKENS);
	vocabulary = calloc(1, sizeof(*vocabulary));
	if (!vocabulary)
		return error_no_memory(err, directory);
	vocabulary->n_tokens = n_rows;
	vocabulary->tokens = calloc(n_rows + (size_t)1, sizeof(*vocabulary->tokens));
	vocabulary->types = malloc(n_rows + (size_t)1);
	if (!vocabulary->tokens || !vocabulary->types) {
		vocabulary_free(vocabulary);
		return error_no_memory(err, directory);
	}
	memset(vocabulary->types, TOKEN_UNUSED, n_rows + (size_t)1);
	*result = vocabulary;
	return 0;
}

int vocabulary_load(const char *directory, uint32_t n_rows, struct vocabulary **result,
		    struct error *err)
{
	struct vocabulary_reader reader = { .err = err };
	int ret;

	ret = vocabulary_allocate(n_rows, directory, &reader.vocabulary, err);
	if (ret < 0)
		return ret;
	ret = open_sources(&reader, directory);
	if (ret == 0)
		ret = load_vocab(&reader);
	if (ret == 0)
		ret = vocabulary_read_special(&reader);
	if (ret == 0)
		ret = load_config(&reader);
	if (ret == 0)
		ret = merges_file_list(&reader.merges, &reader.vocabulary->merges,
				       &reader.vocabulary->n_merges, err);
	if (ret == 0)
		ret = vocabulary_pack(&reader);
	reader_free(&reader);
	if (ret < 0)
		vocabulary_free(reader.vocabulary);
	else
		*result = reader.vocabulary;
	return ret;
}

void vocabulary_free(struct vocabulary *vocabulary)
{
	if (!vocabulary)
		return;
	free(vocabulary->tokens);
	free(vocabulary->types);
	free(vocabulary->merges);
	free(vocabulary->text);
	free(vocabulary);
}
