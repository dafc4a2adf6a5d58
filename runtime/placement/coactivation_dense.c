// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pairs counted by bit operations: of the neurons that fire often, some at a time
 * with all higher ones, by the kernel of the instruction set.
 */
#include <string.h>

#include "placement/coactivation_private.h"

/* Counts of a tile with so many columns stay in the L2 cache until they are added. */
#define DENSE_COLUMNS 1024

struct dense_scratch {
	uint64_t rows[DENSE_ROWS * BATCH_WORDS];
	uint16_t counts[DENSE_ROWS][DENSE_COLUMNS];
};

size_t dense_scratch_bytes(void)
{
	return sizeof(struct dense_scratch);
}

/* The counts of one row with columns begin .. end - 1, as far as they are higher. */
static void add_row(const struct coactivation_batch *batch, uint32_t neuron,
		    const uint16_t *counts, uint32_t begin, uint32_t end)
{
	uint32_t first = neuron < begin ? begin : neuron + 1;

	if (first < end)
		coactivation_add(batch->to, neuron, first, counts + (first - begin), end - first);
}

void dense_count(const struct coactivation_batch *batch, uint32_t tile, void *memory)
{
	struct dense_scratch *scratch = memory;
	const uint32_t *neurons = batch->dense + (size_t)tile * DENSE_ROWS;
	uint32_t rest = batch->n_dense - tile * DENSE_ROWS;
	uint32_t n_rows = rest < DENSE_ROWS ? rest : DENSE_ROWS;
	uint32_t n = batch->to->n_neurons, end;
	size_t words = batch->n_words;

	memset(scratch->rows, 0, sizeof(scratch->rows));
	for (uint32_t r = 0; r < n_rows; r++)
		memcpy(scratch->rows + r * words, batch->neurons + neurons[r] * words,
		       words * sizeof(uint64_t));
	for (uint32_t begin = neurons[0] / COUNT_BLOCK * COUNT_BLOCK; begin < n; begin = end) {
		uint32_t columns = n - begin < DENSE_COLUMNS ? n - begin : DENSE_COLUMNS;

		end = begin + columns;
		/* The bits of neurons behind the last are there, up to a whole block, and clear. */
		batch->kernel->count(scratch->rows, DENSE_ROWS, batch->neurons + begin * words,
				     (columns + COUNT_BLOCK - 1) / COUNT_BLOCK * COUNT_BLOCK, words,
				     scratch->counts[0], DENSE_COLUMNS);
		for (uint32_t r = 0; r < n_rows; r++)
			add_row(batch, neurons[r], scratch->counts[r], begin, end);
	}
}
