/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tokens and merges of a byte-level BPE, as data: what vocab.json,
 * merges.txt, special_tokens_map.json, tokenizer_config.json and
 * added_tokens.json say, and what a GGUF file keeps under tokenizer.ggml.*.
 */
#ifndef COLINK_MODEL_VOCABULARY_H
#define COLINK_MODEL_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* GGUF's numbers (tokenizer.ggml.token_type). */
enum token_type {
	TOKEN_NORMAL = 1,
	TOKEN_CONTROL = 3, /* a special token: recognised in text, not shown in output */
	TOKEN_USER_DEFINED = 4, /* an added token: recognised in text, shown in output */
	TOKEN_UNUSED = 5, /* an embedding row without a token (opt: 50265 tokens, 50272 rows) */
};

#define TOKEN_NONE UINT32_MAX

struct vocabulary {
	uint32_t n_tokens;
	/*
	 * Text of each id, NUL-terminated UTF-8. Normal tokens are in GPT-2's byte
	 * symbols (one code point per byte); control and added tokens are literal.
	 */
	const char **tokens;
	uint8_t *types; /* enum token_type of each id */
	uint32_t n_merges;
	const char **merges; /* "left right", best first */
	uint32_t bos; /* token ids; TOKEN_NONE where there is none */
	uint32_t eos;
	uint32_t pad;
	uint32_t unknown;
	bool add_bos; /* an encoded text starts with bos */
	char *text; /* the memory behind the strings; belongs to the vocabulary */
};

/*
 * Read a Hugging Face directory. `n_rows` is the number of embedding rows: ids
 * at and above it are refused, ids without a token become TOKEN_UNUSED with the
 * text "[unused ID]". Which file decides about special tokens, and what holds
 * where none does, is told in vocabulary.c; what would change the ids and is not
 * supported (add_prefix_space, tokens that swallow blanks) is refused (-ENOTSUP).
 * That merges are made of tokens is checked by tokenizer_create(). The caller
 * calls vocabulary_free().
 */
int vocabulary_load(const char *directory, uint32_t n_rows, struct vocabulary **vocabulary,
		    struct error *err);
void vocabulary_free(struct vocabulary *vocabulary);

#endif
