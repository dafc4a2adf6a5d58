/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The merge loop of byte pair encoding, on token ids. While some neighbouring
 * pair has a rank: take the pair with the best (lowest) rank, and replace all
 * its occurrences, from left to right and without overlap, by the merged token.
 * Only then look for the next best pair, as GPT-2's encoder does.
 */
#ifndef COLINK_MODEL_BPE_H
#define COLINK_MODEL_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The rank of a merge is its index: 0 is the best. */
struct bpe_merge {
	uint32_t left;
	uint32_t right;
	uint32_t result; /* the token whose text is left's followed by right's */
};

/* Merges that can be looked up by their pair. Immutable. */
struct bpe;

/*
 * Copies the merges. A pair that is there twice gives -EEXIST and the rank of
 * the second one in *duplicate; otherwise only memory can be missing (-ENOMEM).
 */
int bpe_create(const struct bpe_merge *merges, uint32_t n_merges, struct bpe **bpe,
	       uint32_t *duplicate);
void bpe_destroy(struct bpe *bpe);

/* Memory for bpe_apply(), grown as needed and used again. Start from {0}; one per thread. */
struct bpe_workspace {
	struct bpe_symbol *symbols; /* the sequence as a linked list */
	uint64_t *heap; /* rank << 32 | position of the left symbol */
	uint32_t *pass; /* positions at which the best pair occurs */
	size_t capacity; /* longest sequence that fits */
};

void bpe_workspace_free(struct bpe_workspace *workspace);

/*
 * Merge ids[count] in place; returns how many are left, or -ENOMEM. `count` is
 * at most BPE_MAX_COUNT. Time is n log n, memory 36 bytes per id.
 */
#define BPE_MAX_COUNT INT32_MAX
int64_t bpe_apply(const struct bpe *bpe, struct bpe_workspace *workspace, uint32_t *ids,
		  size_t count);

#endif
