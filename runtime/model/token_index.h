/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a token's text to its id, for all tokens of a vocabulary but the unused
 * ones. Needed only while a tokenizer is built.
 */
#ifndef COLINK_MODEL_TOKEN_INDEX_H
#define COLINK_MODEL_TOKEN_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/vocabulary.h"

struct token_index {
	const struct vocabulary *vocabulary;
	uint32_t *slots; /* ids, TOKEN_NONE when free; open addressing */
	size_t mask; /* slots - 1, a power of two minus one */
};

/*
 * The vocabulary must outlive the index. A text that two tokens share is refused
 * (-EINVAL); `origin` is for messages.
 */
int token_index_build(const struct vocabulary *vocabulary, const char *origin,
		      struct token_index *index, struct error *err);
void token_index_free(struct token_index *index);

/* The id of the token with these bytes, or TOKEN_NONE. */
uint32_t token_index_find(const struct token_index *index, const char *text, size_t length);

#endif
