// SPDX-License-Identifier: GPL-2.0-only
/*
 * For each token the fired neurons of each cell of a side are counted first; a pair of cells
 * then gets the product of two counts. A token costs at most n_cells^2 steps, however many
 * neurons fire, and the neurons' own matrix is not needed.
 */
#include "placement/pair_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

/* Tokens that are counted before the threads share the rows. */
#define BATCH_TOKENS 256

struct mapping {
	const struct activity *activity;
	uint32_t n_cells, slots_per_cell;
	uint32_t *neuron_to_cell; /* (n_neurons) */
	uint32_t *fired; /* (BATCH_TOKENS, n_cells): how many of the cell's neurons */
	uint32_t n_tokens; /* of the batch */
	uint64_t *sums; /* (n_cells, n_cells): pairs that fired, each in both directions */
};

static void count_batch(struct mapping *mapping, uint64_t first)
{
	const struct activity *activity = mapping->activity;
	size_t n = activity->n_neurons, words = bits_words(n);
	uint64_t rest = activity->n_tokens - first;

	mapping->n_tokens = rest < BATCH_TOKENS ? (uint32_t)rest : BATCH_TOKENS;
	memset(mapping->fired, 0,
	       (size_t)mapping->n_tokens * mapping->n_cells * sizeof(*mapping->fired));
	for (uint32_t t = 0; t < mapping->n_tokens; t++) {
		const uint64_t *set = activity->fired + (first + t) * words;
		uint32_t *fired = mapping->fired + (size_t)t * mapping->n_cells;

		for (size_t i = bits_next(set, n, 0); i < n; i = bits_next(set, n, i + 1))
			fired[mapping->neuron_to_cell[i]]++;
	}
}

static void add_rows(void *arg, size_t begin, size_t end)
{
	const struct mapping *mapping = arg;
	size_t n_cells = mapping->n_cells;

	for (size_t row = begin; row < end; row++) {
		uint64_t *sums = mapping->sums + row * n_cells;

		for (uint32_t t = 0; t < mapping->n_tokens; t++) {
			const uint32_t *fired = mapping->fired + t * n_cells;
			uint64_t mine = fired[row];

			if (!mine)
				continue;
			for (size_t column = 0; column < n_cells; column++)
				sums[column] += mine * fired[column];
			sums[row] -= mine; /* each with itself */
		}
	}
}

static uint32_t slots_of(const struct mapping *mapping, uint32_t cell)
{
	uint32_t rest = mapping->activity->n_neurons - cell * mapping->slots_per_cell;

	return rest < mapping->slots_per_cell ? rest : mapping->slots_per_cell;
}

static void take_means(const struct mapping *mapping, float *shares)
{
	double n_tokens = (double)mapping->activity->n_tokens;

	for (uint32_t row = 0; row < mapping->n_cells; row++)
		for (uint32_t column = 0; column < mapping->n_cells; column++) {
			size_t at = (size_t)row * mapping->n_cells + column;
			double pairs = (double)slots_of(mapping, row) *
				       (slots_of(mapping, column) - (row == column));

			shares[at] = pairs > 0 && n_tokens > 0
					     ? (float)((double)mapping->sums[at] / pairs / n_tokens)
					     : 0;
		}
}

int pair_map_make(const struct activity *activity, const uint32_t *slot_to_neuron,
		  uint32_t max_cells, struct thread_pool *pool, struct pair_map *map,
		  struct error *err)
{
	uint32_t n = activity->n_neurons;
	uint32_t slots_per_cell = (n + max_cells - 1) / max_cells;
	uint32_t n_cells = (n + slots_per_cell - 1) / slots_per_cell;
	struct mapping mapping = {
		.activity = activity,
		.n_cells = n_cells,
		.slots_per_cell = slots_per_cell,
		.neuron_to_cell = malloc(n * sizeof(uint32_t)),
		.fired = malloc((size_t)BATCH_TOKENS * n_cells * sizeof(uint32_t)),
		.sums = calloc((size_t)n_cells * n_cells, sizeof(uint64_t)),
	};
	float *shares = malloc((size_t)n_cells * n_cells * sizeof(*shares));
	int ret = 0;

	if (!mapping.neuron_to_cell || !mapping.fired || !mapping.sums || !shares) {
		free(shares);
		ret = error_no_memory(err, "a map of pairs");
		goto out;
	}
	for (uint32_t slot = 0; slot < n; slot++)
		mapping.neuron_to_cell[slot_to_neuron[slot]] = slot / slots_per_cell;
	for (uint64_t first = 0; first < activity->n_tokens; first += BATCH_TOKENS) {
		count_batch(&mapping, first);
		thread_pool_run(pool, n_cells, 1, add_rows, &mapping);
	}
	take_means(&mapping, shares);
	*map = (struct pair_map){ n_cells, slots_per_cell, shares };
out:
	free(mapping.neuron_to_cell);
	free(mapping.fired);
	free(mapping.sums);
	return ret;
}

void pair_map_free(struct pair_map *map)
{
	free(map->shares);
	map->shares = NULL;
}
