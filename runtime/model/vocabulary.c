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
#include "model/merges_file.h"

#define MAX_FILE_BYTES ((size_t)64 << 20)
#define MAX_TOKENS (UINT32_C(1) << 24)
#define UNUSED_FORMAT "[unused %u]"
#define UNUSED_ROOM sizeof("[unused 4294967295]")
#define OPT_BOS_TEXT "</s>"
#define OPT_BOS_ID 2

enum source {
	VOCAB,
	ADDED_TOKENS,
	CONFIG,
	SPECIAL_TOKENS_MAP,
	N_SOURCES,
};

static const char *const source_names[N_SOURCES] = {
	[VOCAB] = "vocab.json",
	[ADDED_TOKENS] = "added_tokens.json",
	[CONFIG] = "tokenizer_config.json",
	[SPECIAL_TOKENS_MAP] = "special_tokens_map.json",
};

struct reader {
	char *paths[N_SOURCES];
	json_t *json[N_SOURCES]; /* NULL where the file is missing */
	struct merges_file merges;
	struct vocabulary *vocabulary;
	struct error *err;
};

static int open_sources(struct reader *reader, const char *directory)
{
	for (int i = 0; i < N_SOURCES; i++) {
		int ret;

		if (asprintf(&reader->paths[i], "%s/%s", directory, source_names[i]) < 0) {
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

static void reader_free(struct reader *reader)
{
	merges_file_free(&reader->merges);
	for (int i = 0; i < N_SOURCES; i++) {
		json_decref(reader->json[i]);
		free(reader->paths[i]);
	}
}

/* The id of a token by its text, or TOKEN_NONE. */
static uint32_t find_token(const struct reader *reader, const char *text)
{
	const json_t *id = json_object_get(reader->json[VOCAB], text);

	return id ? (uint32_t)json_integer_value(id) : TOKEN_NONE;
}

/* Put a token of file `source` into the table. `text` lives as long as the reader. */
static int add_token(struct reader *reader, enum source source, const char *text, json_int_t id,
		     enum token_type type)
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

static int load_vocab(struct reader *reader)
{
	const char *text;
	json_t *id;

	json_object_foreach(reader->json[VOCAB], text, id) {
		int ret;

		if (!json_is_integer(id))
			return error_set(reader->err, -EINVAL,
					 "%s: the id of token \"%.80s\" is not a whole number",
					 reader->paths[VOCAB], text);
		ret = add_token(reader, VOCAB, text, json_integer_value(id), TOKEN_NORMAL);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* A token of added_tokens.json or added_tokens_decoder. */
static int add_added_token(struct reader *reader, enum source source, const char *text,
			   json_int_t id, enum token_type type)
{
	uint32_t known = find_token(reader, text);

	if (known != TOKEN_NONE && known != id)
		return error_set(reader->err, -EINVAL,
				 "%s: token \"%.80s\" has id %lld, but it had id %u before",
				 reader->paths[source], text, (long long)id, known);
	if (known == TOKEN_NONE &&
	    json_object_set_new(reader->json[VOCAB], text, json_integer(id)) < 0)
		return error_no_memory(reader->err, reader->paths[source]);
	return add_token(reader, source, text, id, type);
}

static int load_added_tokens(struct reader *reader)
{
	const char *text;
	json_t *id;

	json_object_foreach(reader->json[ADDED_TOKENS], text, id) {
		int ret;

		if (!json_is_integer(id))
			return error_set(reader->err, -EINVAL,
					 "%s: the id of token \"%.80s\" is not a whole number",
					 reader->paths[ADDED_TOKENS], text);
		ret = add_added_token(reader, ADDED_TOKENS, text, json_integer_value(id),
				      TOKEN_USER_DEFINED);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The text of a special token, given as a string or as an object with "content". */
static int special_text(struct reader *reader, enum source source, const char *key,
			const json_t *value, const char **text)
{
	static const char *const unsupported[] = { "lstrip", "rstrip", "single_word" };
	const char *path = reader->paths[source];

	for (size_t i = 0; i < sizeof(unsupported) / sizeof(*unsupported); i++)
		if (json_is_true(json_object_get(value, unsupported[i])))
			return error_set(reader->err, -ENOTSUP,
					 "%s: \"%.80s\" asks for %s, which is not supported", path,
					 key, unsupported[i]);
	if (json_is_object(value))
		value = json_object_get(value, "content");
	*text = json_string_value(value);
	if (!*text)
		return error_set(reader->err, -EINVAL,
				 "%s: \"%.80s\" is neither a string nor an object with a string "
				 "\"content\"", path, key);
	return 0;
}

/* added_tokens_decoder: {"50265": {"content": "<image>", "special": true}, ...} */
static int load_added_tokens_decoder(struct reader *reader)
{
	json_t *decoder = json_object_get(reader->json[CONFIG], "added_tokens_decoder");
	const char *path = reader->paths[CONFIG];
	const char *key;
	json_t *value;

	json_object_foreach(decoder, key, value) {
		bool special = false;
		const char *text;
		char *end;
		long long id = strtoll(key, &end, 10);
		int ret;

		if (end == key || *end)
			return error_set(reader->err, -EINVAL,
					 "%s: added_tokens_decoder: \"%.80s\" is not an id", path,
					 key);
		ret = special_text(reader, CONFIG, key, value, &text);
		if (ret == 0)
			ret = json_get_bool_or(value, "special", path, &special, reader->err);
		if (ret == 0)
			ret = add_added_token(reader, CONFIG, text, id,
					      special ? TOKEN_CONTROL : TOKEN_USER_DEFINED);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The member `key` of the file that decides about it; NULL when no file has it. */
static const json_t *deciding(const struct reader *reader, const char *key, enum source *source)
{
	bool config_first = json_object_get(reader->json[CONFIG], "added_tokens_decoder") != NULL;
	const json_t *value;

	*source = config_first ? CONFIG : SPECIAL_TOKENS_MAP;
	value = json_object_get(reader->json[*source], key);
	if (value)
		return value;
	*source = config_first ? SPECIAL_TOKENS_MAP : CONFIG;
	return json_object_get(reader->json[*source], key);
}

static int mark_special(struct reader *reader, enum source source, const char *key,
			const json_t *value, uint32_t *id)
{
	const char *text;
	int ret = special_text(reader, source, key, value, &text);

	if (ret < 0)
		return ret;
	*id = find_token(reader, text);
	if (*id == TOKEN_NONE)
		return error_set(reader->err, -EINVAL,
				 "%s: \"%s\" is \"%.80s\", which is neither in %s nor in %s",
				 reader->paths[source], key, text, source_names[VOCAB],
				 source_names[ADDED_TOKENS]);
	reader->vocabulary->types[*id] = TOKEN_CONTROL;
	return 0;
}

/* A token that has a name: its id, TOKEN_NONE when there is none. */
static int load_named(struct reader *reader, const char *key, const char *const *defaults,
		      uint32_t *id)
{
	enum source source;
	const json_t *value = deciding(reader, key, &source);

	*id = TOKEN_NONE;
	if (json_is_null(value))
		return 0;
	if (value)
		return mark_special(reader, source, key, value, id);
	for (; *defaults && *id == TOKEN_NONE; defaults++)
		*id = find_token(reader, *defaults);
	if (*id != TOKEN_NONE)
		reader->vocabulary->types[*id] = TOKEN_CONTROL;
	return 0;
}

static int load_additional(struct reader *reader)
{
	static const char key[] = "additional_special_tokens";
	enum source source;
	const json_t *list = deciding(reader, key, &source);
	const json_t *value;
	size_t i;

	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list))
		return error_set(reader->err, -EINVAL, "%s: \"%s\" is not a list",
				 reader->paths[source], key);
	json_array_foreach(list, i, value) {
		uint32_t id;
		int ret = mark_special(reader, source, key, value, &id);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static int load_special(struct reader *reader)
{
	static const char *const end_of_text[] = { "</s>", "<|endoftext|>", NULL };
	static const char *const padding[] = { "<pad>", NULL };
	static const char *const none[] = { NULL };
	struct vocabulary *vocabulary = reader->vocabulary;
	uint32_t ignored;
	const struct {
		const char *key;
		const char *const *defaults;
		uint32_t *id;
	} named[] = {
		{ "bos_token", end_of_text, &vocabulary->bos },
		{ "eos_token", end_of_text, &vocabulary->eos },
		{ "unk_token", end_of_text, &vocabulary->unknown },
		{ "pad_token", padding, &vocabulary->pad },
		{ "cls_token", none, &ignored },
		{ "sep_token", none, &ignored },
		{ "mask_token", none, &ignored },
	};

	for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++) {
		int ret = load_named(reader, named[i].key, named[i].defaults, named[i].id);

		if (ret < 0)
			return ret;
	}
	return load_additional(reader);
}

/* tokenizer_config.json without its special tokens. */
static int load_config(struct reader *reader)
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
static int vocabulary_pack(struct reader *reader)
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

static int vocabulary_allocate(uint32_t n_rows, const char *directory,
			       struct vocabulary **result, struct error *err)
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
	struct reader reader = { .err = err };
	int ret;

	ret = vocabulary_allocate(n_rows, directory, &reader.vocabulary, err);
	if (ret < 0)
		return ret;
	ret = open_sources(&reader, directory);
	if (ret == 0)
		ret = load_vocab(&reader);
	if (ret == 0)
		ret = load_added_tokens(&reader);
	if (ret == 0)
		ret = load_added_tokens_decoder(&reader);
	if (ret == 0)
		ret = load_special(&reader);
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
