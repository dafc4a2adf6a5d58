// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tokens are sorted, so those that begin with the same bytes are neighbours.
 * Reading a text byte by byte narrows the range of candidates by bisection; the
 * first of a range is the one that ends here, if any does. Most positions of a
 * text fall out at the first byte.
 */
#include "model/special_tokens.h"

#include <stdlib.h>
#include <string.h>

static int compare_tokens(const void *left, const void *right)
{
	const struct special_token *a = left;
	const struct special_token *b = right;
	int order = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);

	if (order)
		return order;
	return (a->length > b->length) - (a->length < b->length);
}

void special_tokens_sort(struct special_tokens *special)
{
	size_t at = 0;

	if (special->count)
		qsort(special->tokens, special->count, sizeof(*special->tokens), compare_tokens);
	for (unsigned int byte = 0; byte < 256; byte++) {
		special->first[byte] = at;
		while (at < special->count && (uint8_t)special->tokens[at].text[0] == byte)
			at++;
	}
	special->first[256] = at;
}

/*
 * The first token in [low, high), which share their first `depth` bytes and are
 * all longer, whose next byte is at least `byte` (up to 256: behind all).
 */
static size_t bisect(const struct special_tokens *special, size_t low, size_t high, size_t depth,
		     unsigned int byte)
{
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((uint8_t)special->tokens[middle].text[depth] < byte)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The longest token that `text` starts with, or NULL. */
static const struct special_token *longest(const struct special_tokens *special, const char *text,
					   size_t length)
{
	const struct special_token *found = NULL;
	size_t low = special->first[(uint8_t)text[0]];
	size_t high = special->first[(uint8_t)text[0] + 1];

	for (size_t depth = 1; low < high; depth++) {
		if (special->tokens[low].length == depth)
			found = &special->tokens[low++];
		if (depth == length)
			break;
		low = bisect(special, low, high, depth, (uint8_t)text[depth]);
		high = bisect(special, low, high, depth, (uint8_t)text[depth] + 1u);
	}
	return found;
}

const struct special_token *special_tokens_next(const struct special_tokens *special,
						const char *text, size_t length, size_t from,
						size_t *offset)
{
	for (size_t at = from; special->count && at < length; at++) {
		const struct special_token *token = longest(special, text + at, length - at);

		if (token) {
			*offset = at;
			return token;
		}
	}
	return NULL;
}
