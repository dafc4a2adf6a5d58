// SPDX-License-Identifier: GPL-2.0-only
/* A hash table with linear probing, at most half full; the hash is XXH3. */
#include "model/token_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* The slot that holds the text, or the free one where it belongs. */
static uint32_t *slot_of(const struct token_index *index, const char *text, size_t length)
{
	size_t slot = XXH3_64bits(text, length) & index->mask;

	while (index->slots[slot] != TOKEN_NONE) {
		const char *other = index->vocabulary->tokens[index->slots[slot]];

		if (strncmp(other, text, length) == 0 && other[length] == '\0')
			break;
		slot = (slot + 1) & index->mask;
	}
	return &index->slots[slot];
}

int token_index_build(const struct vocabulary *vocabulary, const char *origin,
		      struct token_index *index, struct error *err)
{
	size_t n_slots = 2;

	while (n_slots < 2 * (size_t)vocabulary->n_tokens)
		n_slots *= 2;
	index->vocabulary = vocabulary;
	index->mask = n_slots - 1;
	index->slots = malloc(n_slots * sizeof(*index->slots));
	if (!index->slots)
		return error_no_memory(err, origin);
	memset(index->slots, 0xff, n_slots * sizeof(*index->slots)); /* TOKEN_NONE */
	for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
		const char *text = vocabulary->tokens[id];
		uint32_t *slot;

		if (vocabulary->types[id] == TOKEN_UNUSED)
			continue;
		slot = slot_of(index, text, strlen(text));
		if (*slot != TOKEN_NONE) {
			int ret = error_set(err, -EINVAL,
					    "%s: tokens %u and %u have the same text \"%.80s\"",
					    origin, *slot, id, text);

			token_index_free(index);
			return ret;
		}
		*slot = id;
	}
	return 0;
}

void token_index_free(struct token_index *index)
{
	free(index->slots);
	index->slots = NULL;
}

uint32_t token_index_find(const struct token_index *index, const char *text, size_t length)
{
	return *slot_of(index, text, length);
}
