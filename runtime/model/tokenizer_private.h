/* SPDX-License-Identifier: GPL-2.0-only */
/* What building a tokenizer leaves behind for encoding and decoding. */
#ifndef COLINK_MODEL_TOKENIZER_PRIVATE_H
#define COLINK_MODEL_TOKENIZER_PRIVATE_H

#include "model/bpe.h"
#include "model/pretokenizer.h"
#include "model/special_tokens.h"
#include "model/tokenizer.h"

struct token {
	const char *bytes; /* in the tokenizer's arena */
	size_t length;
	bool shown; /* whether decoding writes it */
};

struct tokenizer {
	uint32_t n_tokens;
	struct token *tokens; /* (n_tokens) */
	char *arena;
	uint32_t byte_ids[256]; /* the token of each byte */
	struct special_tokens special;
	struct bpe *bpe;
	struct pretokenizer *pretokenizer;
	uint32_t bos;
	uint32_t eos;
	bool add_bos;
};

#endif
