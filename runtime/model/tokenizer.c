// SPDX-License-Identifier: GPL-2.0-only
/*
 * Encoding and decoding. Special tokens cut the text first, then the pattern cuts
 * what is between them into pieces, then the bytes of each piece merge. The text
 * of tokens is not looked at any more, but for the special ones.
 */
#include "model/tokenizer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "model/tokenizer_private.h"

void tokenizer_destroy(struct tokenizer *tokenizer)
{
	if (!tokenizer)
		return;
	pretokenizer_destroy(tokenizer->pretokenizer);
	bpe_destroy(tokenizer->bpe);
	free(tokenizer->special.tokens);
	free(tokenizer->tokens);
	free(tokenizer->arena);
	free(tokenizer);
}

uint32_t tokenizer_bos(const struct tokenizer *tokenizer)
{
	return tokenizer->bos;
}

uint32_t tokenizer_eos(const struct tokenizer *tokenizer)
{
	return tokenizer->eos;
}

size_t tokenizer_bytes(const struct tokenizer *tokenizer, uint32_t id, const char **bytes)
{
	*bytes = "";
	if (id >= tokenizer->n_tokens || !tokenizer->tokens[id].shown)
		return 0;
	*bytes = tokenizer->tokens[id].bytes;
	return tokenizer->tokens[id].length;
}

/* An encoding under way: the ids so far, and the scratch memory. */
struct encoding {
	const struct tokenizer *tokenizer;
	struct splitter *splitter;
	struct bpe_workspace workspace;
	uint32_t *ids;
	size_t count;
	size_t capacity;
};

/* Make room for `more` ids. */
static int encoding_reserve(struct encoding *encoding, size_t more, struct error *err)
{
	size_t capacity = encoding->capacity ? encoding->capacity : 64;
	uint32_t *ids;

	if (more <= encoding->capacity - encoding->count)
		return 0;
	while (capacity - encoding->count < more)
		capacity *= 2;
	ids = realloc(encoding->ids, capacity * sizeof(*ids));
	if (!ids)
		return error_no_memory(err, "encoding text");
	encoding->ids = ids;
	encoding->capacity = capacity;
	return 0;
}

/* A piece becomes one id per byte behind the others, and these merge in place. */
static int encode_piece(struct encoding *encoding, const char *piece, size_t length,
			struct error *err)
{
	int ret = encoding_reserve(encoding, length, err);
	uint32_t *ids;
	int64_t left;

	if (ret < 0)
		return ret;
	ids = encoding->ids + encoding->count;
	for (size_t i = 0; i < length; i++)
		ids[i] = encoding->tokenizer->byte_ids[(uint8_t)piece[i]];
	left = bpe_apply(encoding->tokenizer->bpe, &encoding->workspace, ids, length);
	if (left < 0)
		return error_no_memory(err, "encoding text");
	encoding->count += (size_t)left;
	return 0;
}

/* Text without special tokens. */
static int encode_plain(struct encoding *encoding, const char *text, size_t length,
			struct error *err)
{
	size_t from = 0;

	while (from < length) {
		size_t end;
		int ret = splitter_next(encoding->splitter, text, length, from, &end, err);

		if (ret == 0)
			ret = encode_piece(encoding, text + from, end - from, err);
		if (ret < 0)
			return ret;
		from = end;
	}
	return 0;
}

static int encode_id(struct encoding *encoding, uint32_t id, struct error *err)
{
	int ret = encoding_reserve(encoding, 1, err);

	if (ret == 0)
		encoding->ids[encoding->count++] = id;
	return ret;
}

static int encode_text(struct encoding *encoding, const char *text, size_t length,
		       struct error *err)
{
	size_t from = 0;
	int ret = 0;

	while (ret == 0 && from < length) {
		size_t offset = length;
		const struct special_token *token = special_tokens_next(
			&encoding->tokenizer->special, text, length, from, &offset);

		ret = encode_plain(encoding, text + from, offset - from, err);
		if (ret == 0 && token)
			ret = encode_id(encoding, token->id, err);
		from = offset + (token ? token->length : 0);
	}
	return ret;
}

int tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
		     bool add_bos, uint32_t **ids, size_t *count, struct error *err)
{
	struct encoding encoding = { .tokenizer = tokenizer };
	size_t valid = utf8_valid_prefix(text, length);
	int ret;

	if (valid != length)
		return error_set(err, -EILSEQ, "the text is not UTF-8: byte 0x%02x at offset %zu",
				 (uint8_t)text[valid], valid);
	if (length > BPE_MAX_COUNT)
		return error_set(err, -EFBIG, "a text of %zu bytes: at most %d fit at once", length,
				 BPE_MAX_COUNT);
	ret = splitter_create(tokenizer->pretokenizer, &encoding.splitter, err);
	if (ret < 0)
		return ret;
	ret = encoding_reserve(&encoding, 1, err);
	if (ret == 0 && add_bos && tokenizer->add_bos)
		ret = encode_id(&encoding, tokenizer->bos, err);
	if (ret == 0)
		ret = encode_text(&encoding, text, length, err);
	bpe_workspace_free(&encoding.workspace);
	splitter_destroy(encoding.splitter);
	if (ret < 0) {
		free(encoding.ids);
		return ret;
	}
	*ids = encoding.ids;
	*count = encoding.count;
	return 0;
}
