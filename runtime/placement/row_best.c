// SPDX-License-Identifier: GPL-2.0-only
/*
 * A row is gone through in pieces that are long enough for vectors: what is found of each is
 * only its highest count, and of the best piece, in the end, where that is.
 */
#include "placement/row_best.h"

#include <stddef.h>

#define PIECE 64

static uint16_t highest_narrow(const uint16_t *counts, const uint16_t *open, uint32_t n)
{
	uint16_t most = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint16_t count = counts[i] & open[i];

		most = count > most ? count : most;
	}
	return most;
}

static uint32_t highest_wide(const uint32_t *counts, const uint16_t *open, uint32_t n)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < n; i++) {
		/* With its sign kept, the mask has as many bits as are needed. */
		uint32_t count = counts[i] & (uint32_t)(int16_t)open[i];

		most = count > most ? count : most;
	}
	return most;
}

static uint32_t piece_length(uint32_t begin, uint32_t row_length)
{
	return row_length - begin < PIECE ? row_length - begin : PIECE;
}

static uint32_t best_narrow(const uint16_t *row, const uint16_t *open, uint32_t length,
			    uint32_t *best)
{
	uint16_t most = 0;
	uint32_t at = 0;

	for (uint32_t begin = 0; begin < length; begin += PIECE) {
		uint32_t n = piece_length(begin, length);
		uint16_t count = highest_narrow(row + begin, open + begin, n);

		if (count > most) {
			most = count;
			at = begin;
		}
	}
	while (most && (row[at] & open[at]) != most)
		at++;
	*best = at;
	return most;
}

static uint32_t best_wide(const uint32_t *row, const uint16_t *open, uint32_t length,
			  uint32_t *best)
{
	uint32_t most = 0;
	uint32_t at = 0;

	for (uint32_t begin = 0; begin < length; begin += PIECE) {
		uint32_t n = piece_length(begin, length);
		uint32_t count = highest_wide(row + begin, open + begin, n);

		if (count > most) {
			most = count;
			at = begin;
		}
	}
	while (most && (!open[at] || row[at] != most))
		at++;
	*best = at;
	return most;
}

uint32_t row_best(const struct coactivation *coactivation, uint32_t neuron, const uint16_t *open,
		  uint32_t *other)
{
	size_t row = coactivation_at(coactivation, neuron);
	uint32_t first = neuron + 1;
	uint32_t length = coactivation->n_neurons - first;
	uint32_t count, at;

	if (coactivation->narrow)
		count = best_narrow(coactivation->narrow + row, open + first, length, &at);
	else
		count = best_wide(coactivation->wide + row, open + first, length, &at);
	if (count)
		*other = first + at;
	return count;
}
