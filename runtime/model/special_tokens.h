/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tokens that are recognised inside text by their literal text (control and
 * added tokens): at the leftmost place where one starts, the longest one.
 */
#ifndef COLINK_MODEL_SPECIAL_TOKENS_H
#define COLINK_MODEL_SPECIAL_TOKENS_H

#include <stddef.h>
#include <stdint.h>

struct special_token {
	const char *text; /* not empty */
	size_t length;
	uint32_t id;
};

struct special_tokens {
	struct special_token *tokens; /* sorted by their bytes after special_tokens_sort() */
	size_t count;
	size_t first[257]; /* tokens whose first byte is b: first[b] .. first[b + 1] - 1 */
};

/* Prepare for searching, once tokens[count] are set. */
void special_tokens_sort(struct special_tokens *special);

/* The next one at or after `from`: its token and its offset; NULL when there is none. */
const struct special_token *special_tokens_next(const struct special_tokens *special,
						const char *text, size_t length, size_t from,
						size_t *offset);

#endif
