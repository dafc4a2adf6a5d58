// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sequence is a doubly linked list in an array; a binary heap holds every
 * neighbouring pair that has a rank, ordered by rank, then position. A pass takes
 * all pairs of the best rank off the heap before it merges any: a merge may bring
 * up a pair of a better rank (nothing forbids such a list of merges), and that
 * one has to wait for the next pass.
 *
 * Pairs are never removed from the heap when a neighbour changes; a pair that is
 * no longer what its merge asks for is skipped when its turn comes. This is safe
 * because a symbol only ever grows: a pair that has changed does not come back.
 *
 * A sequence of n symbols starts with n-1 pairs at most, and each of at most n-1
 * merges takes one off and adds two, so that 2n entries suffice for the heap.
 */
#include "model/bpe.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NOWHERE UINT32_MAX
#define NO_MERGE UINT32_MAX
#define SMALLEST_CAPACITY 64

struct bpe {
	struct bpe_merge *merges;
	uint32_t *slots; /* rank of the merge, NO_MERGE when free; open addressing */
	size_t mask; /* slots - 1, a power of two minus one, at least twice the merges */
};

struct bpe_symbol {
	uint32_t id;
	uint32_t previous; /* NOWHERE for the first */
	uint32_t next; /* NOWHERE for the last, and for one merged into its left neighbour */
};

/* The slot that holds the pair, or the free one where it belongs. */
static uint32_t *slot_of(const struct bpe *bpe, uint32_t left, uint32_t right)
{
	uint64_t hash = ((uint64_t)left << 32 | right) * UINT64_C(0x9e3779b97f4a7c15);
	size_t slot = (hash ^ hash >> 32) & bpe->mask;

	while (bpe->slots[slot] != NO_MERGE) {
		const struct bpe_merge *merge = &bpe->merges[bpe->slots[slot]];

		if (merge->left == left && merge->right == right)
			break;
		slot = (slot + 1) & bpe->mask;
	}
	return &bpe->slots[slot];
}

int bpe_create(const struct bpe_merge *merges, uint32_t n_merges, struct bpe **result,
	       uint32_t *duplicate)
{
	struct bpe *bpe = calloc(1, sizeof(*bpe));
	size_t n_slots = 2;

	if (!bpe)
		return -ENOMEM;
	while (n_slots < 2 * (size_t)n_merges)
		n_slots *= 2;
	bpe->mask = n_slots - 1;
	bpe->slots = malloc(n_slots * sizeof(*bpe->slots));
	bpe->merges = malloc((n_merges + (size_t)1) * sizeof(*merges));
	if (!bpe->slots || !bpe->merges) {
		bpe_destroy(bpe);
		return -ENOMEM;
	}
	memset(bpe->slots, 0xff, n_slots * sizeof(*bpe->slots)); /* NO_MERGE */
	for (uint32_t rank = 0; rank < n_merges; rank++) {
		uint32_t *slot = slot_of(bpe, merges[rank].left, merges[rank].right);

		if (*slot != NO_MERGE) {
			*duplicate = rank;
			bpe_destroy(bpe);
			return -EEXIST;
		}
		bpe->merges[rank] = merges[rank];
		*slot = rank;
	}
	*result = bpe;
	return 0;
}

void bpe_destroy(struct bpe *bpe)
{
	if (!bpe)
		return;
	free(bpe->merges);
	free(bpe->slots);
	free(bpe);
}

void bpe_workspace_free(struct bpe_workspace *workspace)
{
	free(workspace->symbols);
	free(workspace->heap);
	free(workspace->pass);
	*workspace = (struct bpe_workspace){ 0 };
}

static int reserve(struct bpe_workspace *workspace, size_t count)
{
	size_t capacity = workspace->capacity ? workspace->capacity : SMALLEST_CAPACITY;

	if (count <= workspace->capacity)
		return 0;
	while (capacity < count)
		capacity *= 2;
	bpe_workspace_free(workspace);
	workspace->symbols = calloc(capacity, sizeof(*workspace->symbols));
	workspace->heap = calloc(capacity, 2 * sizeof(*workspace->heap));
	workspace->pass = calloc(capacity, 2 * sizeof(*workspace->pass));
	if (!workspace->symbols || !workspace->heap || !workspace->pass) {
		bpe_workspace_free(workspace);
		return -ENOMEM;
	}
	workspace->capacity = capacity;
	return 0;
}

static void heap_push(uint64_t *heap, size_t *n, uint64_t entry)
{
	size_t at = (*n)++;

	while (at > 0 && heap[(at - 1) / 2] > entry) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = entry;
}

static void heap_pop(uint64_t *heap, size_t *n)
{
	uint64_t last = heap[--*n];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < *n && heap[child + 1] < heap[child])
			child++;
		if (child >= *n || heap[child] >= last)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
}

/* Put the pair of `left` and its right neighbour on the heap, if it has a rank. */
static void offer(const struct bpe *bpe, struct bpe_workspace *w, size_t *n_heap, uint32_t left)
{
	uint32_t right = w->symbols[left].next;
	uint32_t rank;

	if (right == NOWHERE)
		return;
	rank = *slot_of(bpe, w->symbols[left].id, w->symbols[right].id);
	if (rank != NO_MERGE)
		heap_push(w->heap, n_heap, (uint64_t)rank << 32 | left);
}

/* Merge `left` with its right neighbour, unless the pair is not what it was. */
static void merge_at(const struct bpe *bpe, struct bpe_workspace *w, size_t *n_heap,
		     const struct bpe_merge *merge, uint32_t left)
{
	struct bpe_symbol *symbol = &w->symbols[left];
	struct bpe_symbol *gone;

	if (symbol->id != merge->left || symbol->next == NOWHERE)
		return;
	gone = &w->symbols[symbol->next];
	if (gone->id != merge->right)
		return;
	symbol->id = merge->result;
	symbol->next = gone->next;
	gone->next = NOWHERE;
	if (symbol->next != NOWHERE)
		w->symbols[symbol->next].previous = left;
	offer(bpe, w, n_heap, left);
	if (symbol->previous != NOWHERE)
		offer(bpe, w, n_heap, symbol->previous);
}

int64_t bpe_apply(const struct bpe *bpe, struct bpe_workspace *w, uint32_t *ids, size_t count)
{
	size_t n_heap = 0;
	size_t left = 0;

	if (count < 2)
		return (int64_t)count;
	if (reserve(w, count) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		w->symbols[i] = (struct bpe_symbol){
			.id = ids[i],
			.previous = i ? i - 1 : NOWHERE,
			.next = i + 1 < count ? i + 1 : NOWHERE,
		};
	for (uint32_t i = 0; i < count; i++)
		offer(bpe, w, &n_heap, i);
	while (n_heap) {
		uint32_t rank = (uint32_t)(w->heap[0] >> 32);
		size_t n_pass = 0;

		while (n_heap && w->heap[0] >> 32 == rank) {
			w->pass[n_pass++] = (uint32_t)w->heap[0];
			heap_pop(w->heap, &n_heap);
		}
		for (size_t i = 0; i < n_pass; i++)
			merge_at(bpe, w, &n_heap, &bpe->merges[rank], w->pass[i]);
	}
	for (uint32_t i = 0; i != NOWHERE; i = w->symbols[i].next)
		ids[left++] = w->symbols[i].id;
	return (int64_t)left;
}
