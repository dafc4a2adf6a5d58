// SPDX-License-Identifier: GPL-2.0-only
/*
 * Building a tokenizer turns the vocabulary's text into numbers once: what each
 * token decodes to, which token each byte is, which pair of tokens merges into
 * which.
 *
 * A normal token whose text is not made of byte symbols (checkpoints pad their
 * vocabularies with such) cannot come out of encoding; it decodes to its text.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "model/byte_symbols.h"
#include "model/token_index.h"
#include "model/tokenizer_private.h"

static bool is_special(uint8_t type)
{
	return type == TOKEN_CONTROL || type == TOKEN_USER_DEFINED;
}

/* Write the bytes behind symbols; false when `text` is not made of byte symbols. */
static bool decode_symbols(const char *text, char *out, size_t *length)
{
	*length = 0;
	while (*text) {
		uint32_t symbol;
		int byte;

		text += utf8_decode(text, &symbol);
		byte = byte_from_symbol(symbol);
		if (byte == BYTE_SYMBOL_NONE)
			return false;
		out[(*length)++] = (char)byte;
	}
	return true;
}

/* Fill tokens[] and the arena; byte symbols only get shorter when decoded. */
static int decode_tokens(struct tokenizer *tokenizer, const struct vocabulary *vocabulary,
			 const char *origin, struct error *err)
{
	size_t room = 1;
	char *out;

	tokenizer->n_tokens = vocabulary->n_tokens;
	for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
		size_t length = strlen(vocabulary->tokens[id]);

		if (utf8_valid_prefix(vocabulary->tokens[id], length) != length)
			return error_set(err, -EINVAL, "%s: token %u is not UTF-8", origin, id);
		if (length == 0)
			return error_set(err, -EINVAL, "%s: token %u is empty", origin, id);
		room += length;
	}
	tokenizer->arena = malloc(room);
	tokenizer->tokens = calloc(vocabulary->n_tokens + (size_t)1, sizeof(*tokenizer->tokens));
	if (!tokenizer->arena || !tokenizer->tokens)
		return error_no_memory(err, origin);
	out = tokenizer->arena;
	for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
		struct token *token = &tokenizer->tokens[id];
		const char *text = vocabulary->tokens[id];
		uint8_t type = vocabulary->types[id];

		token->bytes = out;
		token->shown = type != TOKEN_CONTROL && type != TOKEN_UNUSED;
		if (type != TOKEN_NORMAL || !decode_symbols(text, out, &token->length)) {
			token->length = strlen(text);
			memcpy(out, text, token->length);
		}
		out += token->length;
	}
	return 0;
}

static int find_bytes(struct tokenizer *tokenizer, const struct token_index *index,
		      const char *origin, struct error *err)
{
	for (unsigned int byte = 0; byte < 256; byte++) {
		char symbol[4];
		size_t length = utf8_encode(byte_to_symbol((uint8_t)byte), symbol);

		tokenizer->byte_ids[byte] = token_index_find(index, symbol, length);
		if (tokenizer->byte_ids[byte] == TOKEN_NONE)
			return error_set(err, -EINVAL,
					 "%s: no token for the byte 0x%02x (\"%.*s\")", origin,
					 byte, (int)length, symbol);
	}
	return 0;
}

/* One line "left right"; `joined` has room for both. */
static int find_merge(const struct token_index *index, const char *text, char *joined,
		      struct bpe_merge *merge, const char **missing)
{
	const char *blank = strchr(text, ' ');
	size_t left, right;

	*missing = text;
	if (!blank)
		return -EINVAL;
	left = (size_t)(blank - text);
	right = strlen(blank + 1);
	memcpy(joined, text, left);
	memcpy(joined + left, blank + 1, right + 1);
	merge->result = token_index_find(index, joined, left + right);
	merge->left = token_index_find(index, text, left);
	merge->right = token_index_find(index, blank + 1, right);
	if (merge->left == TOKEN_NONE)
		*missing = "its left half";
	else if (merge->right == TOKEN_NONE)
		*missing = "its right half";
	else if (merge->result == TOKEN_NONE)
		*missing = "its result";
	else
		return 0;
	return -ENOENT;
}

static int resolve_merges(const struct vocabulary *vocabulary, const struct token_index *index,
			  struct bpe_merge *merges, char *joined, const char *origin,
			  struct error *err)
{
	for (uint32_t rank = 0; rank < vocabulary->n_merges; rank++) {
		const char *text = vocabulary->merges[rank];
		const char *missing;
		int ret = find_merge(index, text, joined, &merges[rank], &missing);

		if (ret == -EINVAL)
			return error_set(err, -EINVAL,
					 "%s: merge %u \"%.80s\" is not two tokens with a blank "
					 "between them", origin, rank, text);
		if (ret < 0)
			return error_set(err, -EINVAL, "%s: merge %u \"%.80s\": %s is not a token",
					 origin, rank, text, missing);
	}
	return 0;
}

static int load_merges(struct tokenizer *tokenizer, const struct vocabulary *vocabulary,
		       const struct token_index *index, const char *origin, struct error *err)
{
	struct bpe_merge *merges = calloc(vocabulary->n_merges + (size_t)1, sizeof(*merges));
	size_t longest = 0;
	uint32_t twice = 0;
	char *joined;
	int ret;

	for (uint32_t rank = 0; rank < vocabulary->n_merges; rank++) {
		size_t length = strlen(vocabulary->merges[rank]);

		longest = length > longest ? length : longest;
	}
	joined = malloc(longest + 1);
	if (!merges || !joined) {
		ret = error_no_memory(err, origin);
		goto out;
	}
	ret = resolve_merges(vocabulary, index, merges, joined, origin, err);
	if (ret < 0)
		goto out;
	ret = bpe_create(merges, vocabulary->n_merges, &tokenizer->bpe, &twice);
	if (ret == -EEXIST)
		ret = error_set(err, -EINVAL, "%s: merge %u \"%.80s\" is there twice", origin,
				twice, vocabulary->merges[twice]);
	else if (ret < 0)
		error_no_memory(err, origin);
out:
	free(joined);
	free(merges);
	return ret;
}

static int load_special(struct tokenizer *tokenizer, const struct vocabulary *vocabulary,
			const char *origin, struct error *err)
{
	struct special_tokens *special = &tokenizer->special;
	size_t count = 0;

	for (uint32_t id = 0; id < vocabulary->n_tokens; id++)
		count += is_special(vocabulary->types[id]);
	special->tokens = calloc(count + 1, sizeof(*special->tokens));
	if (!special->tokens)
		return error_no_memory(err, origin);
	for (uint32_t id = 0; id < vocabulary->n_tokens; id++)
		if (is_special(vocabulary->types[id]))
			special->tokens[special->count++] = (struct special_token){
				.text = tokenizer->tokens[id].bytes,
				.length = tokenizer->tokens[id].length,
				.id = id,
			};
	special_tokens_sort(special);
	return 0;
}

static int check_named(const struct vocabulary *vocabulary, const char *origin, struct error *err)
{
	if (vocabulary->bos != TOKEN_NONE && vocabulary->bos >= vocabulary->n_tokens)
		return error_set(err, -EINVAL, "%s: bos is token %u of %u", origin,
				 vocabulary->bos, vocabulary->n_tokens);
	if (vocabulary->eos != TOKEN_NONE && vocabulary->eos >= vocabulary->n_tokens)
		return error_set(err, -EINVAL, "%s: eos is token %u of %u", origin,
				 vocabulary->eos, vocabulary->n_tokens);
	if (vocabulary->add_bos && vocabulary->bos == TOKEN_NONE)
		return error_set(err, -EINVAL, "%s: texts start with bos, but there is no bos",
				 origin);
	return 0;
}

int tokenizer_create(const struct vocabulary *vocabulary, const char *origin,
		     struct tokenizer **result, struct error *err)
{
	struct tokenizer *tokenizer;
	struct token_index index;
	int ret;

	ret = check_named(vocabulary, origin, err);
	if (ret < 0)
		return ret;
	tokenizer = calloc(1, sizeof(*tokenizer));
	if (!tokenizer)
		return error_no_memory(err, origin);
	tokenizer->bos = vocabulary->bos;
	tokenizer->eos = vocabulary->eos;
	tokenizer->add_bos = vocabulary->add_bos;
	ret = token_index_build(vocabulary, origin, &index, err);
	if (ret < 0)
		goto destroy;
	ret = decode_tokens(tokenizer, vocabulary, origin, err);
	if (ret == 0)
		ret = find_bytes(tokenizer, &index, origin, err);
	if (ret == 0)
		ret = load_merges(tokenizer, vocabulary, &index, origin, err);
	if (ret == 0)
		ret = load_special(tokenizer, vocabulary, origin, err);
	if (ret == 0)
		ret = pretokenizer_create(true, &tokenizer->pretokenizer, err);
	token_index_free(&index);
	if (ret < 0)
		goto destroy;
	*result = tokenizer;
	return 0;
destroy:
	tokenizer_destroy(tokenizer);
	return ret;
}
