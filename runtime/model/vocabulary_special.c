// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tokens that are recognised inside text: those that were added to vocab.json's,
 * and those that have a name or are listed as special. See vocabulary.c for which
 * file decides.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/vocabulary_reader.h"

/* A token of added_tokens.json or added_tokens_decoder. */
static int add_added_token(struct vocabulary_reader *reader, enum vocabulary_source source,
			   const char *text, json_int_t id, enum token_type type)
{
	uint32_t known = vocabulary_find_token(reader, text);

	if (known != TOKEN_NONE && known != id)
		return error_set(reader->err, -EINVAL,
				 "%s: token \"%.80s\" has id %lld, but it had id %u before",
				 reader->paths[source], text, (long long)id, known);
	if (known == TOKEN_NONE &&
	    json_object_set_new(reader->json[VOCAB], text, json_integer(id)) < 0)
		return error_no_memory(reader->err, reader->paths[source]);
	return vocabulary_add_token(reader, source, text, id, type);
}

static int load_added_tokens(struct vocabulary_reader *reader)
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
static int special_text(struct vocabulary_reader *reader, enum vocabulary_source source,
			const char *key, const json_t *value, const char **text)
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
static int load_added_tokens_decoder(struct vocabulary_reader *reader)
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

		if (key[0] < '0' || key[0] > '9' || *end)
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
static const json_t *deciding(const struct vocabulary_reader *reader, const char *key,
			      enum vocabulary_source *source)
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

static int mark_special(struct vocabulary_reader *reader, enum vocabulary_source source,
			const char *key, const json_t *value, uint32_t *id)
{
	const char *text;
	int ret = special_text(reader, source, key, value, &text);

	if (ret < 0)
		return ret;
	*id = vocabulary_find_token(reader, text);
	if (*id == TOKEN_NONE)
		return error_set(reader->err, -EINVAL,
				 "%s: \"%s\" is \"%.80s\", which is neither in %s nor in %s",
				 reader->paths[source], key, text, vocabulary_source_names[VOCAB],
				 vocabulary_source_names[ADDED_TOKENS]);
	reader->vocabulary->types[*id] = TOKEN_CONTROL;
	return 0;
}

/* A token that has a name: its id, TOKEN_NONE when there is none. */
static int load_named(struct vocabulary_reader *reader, const char *key,
		      const char *const *defaults, uint32_t *id)
{
	enum vocabulary_source source;
	const json_t *value = deciding(reader, key, &source);

	*id = TOKEN_NONE;
	if (json_is_null(value))
		return 0;
	if (value)
		return mark_special(reader, source, key, value, id);
	for (; *defaults && *id == TOKEN_NONE; defaults++)
		*id = vocabulary_find_token(reader, *defaults);
	if (*id != TOKEN_NONE)
		reader->vocabulary->types[*id] = TOKEN_CONTROL;
	return 0;
}

static int load_additional(struct vocabulary_reader *reader)
{
	static const char key[] = "additional_special_tokens";
	enum vocabulary_source source;
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

static int load_all_named(struct vocabulary_reader *reader)
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
	return 0;
}

int vocabulary_read_special(struct vocabulary_reader *reader)
{
	int ret = load_added_tokens(reader);

	if (ret == 0)
		ret = load_added_tokens_decoder(reader);
	if (ret == 0)
		ret = load_all_named(reader);
	if (ret == 0)
		ret = load_additional(reader);
	return ret;
}
