// SPDX-License-Identifier: GPL-2.0-only
/* The matrix of counts: its upper triangle, row after row. */
#include "placement/coactivation.h"

#include <errno.h>
#include <stdlib.h>

#include "base/amount.h"
#include "placement/coactivation_private.h"

static uint64_t n_pairs(uint32_t n_neurons)
{
	return (uint64_t)n_neurons * (n_neurons - 1) / 2;
}

static size_t bytes_per_pair(uint64_t n_tokens)
{
	return n_tokens <= UINT16_MAX ? sizeof(uint16_t) : sizeof(uint32_t);
}

uint64_t coactivation_bytes(uint32_t n_neurons, uint64_t n_tokens)
{
	return amount_sum(amount_product(n_pairs(n_neurons), bytes_per_pair(n_tokens)),
			  n_neurons * sizeof(uint32_t));
}

int coactivation_create(uint32_t n_neurons, uint64_t n_tokens, struct coactivation *result,
			struct error *err)
{
	struct coactivation coactivation = { .n_neurons = n_neurons, .n_tokens = n_tokens };
	/* One neuron has no pair, but needs an address all the same. */
	size_t pairs = n_pairs(n_neurons) + 1;

	if (n_tokens > UINT32_MAX)
		return error_set(err, -EOVERFLOW, "%llu tokens are too many to count pairs in",
				 (unsigned long long)n_tokens);
	coactivation.frequency = calloc(n_neurons, sizeof(*coactivation.frequency));
	if (bytes_per_pair(n_tokens) == sizeof(*coactivation.narrow))
		coactivation.narrow = calloc(pairs, sizeof(*coactivation.narrow));
	else
		coactivation.wide = calloc(pairs, sizeof(*coactivation.wide));
	if (!coactivation.frequency || (!coactivation.narrow && !coactivation.wide)) {
		coactivation_free(&coactivation);
		return error_set(
			err, -ENOMEM, "out of memory: %llu MiB to count pairs of %u neurons",
			(unsigned long long)(coactivation_bytes(n_neurons, n_tokens) >> 20),
			n_neurons);
	}
	*result = coactivation;
	return 0;
}

void coactivation_free(struct coactivation *coactivation)
{
	free(coactivation->frequency);
	free(coactivation->narrow);
	free(coactivation->wide);
	coactivation->frequency = NULL;
	coactivation->narrow = NULL;
	coactivation->wide = NULL;
}

void coactivation_add(struct coactivation *coactivation, uint32_t neuron, uint32_t first,
		      const uint16_t *counts, uint32_t n)
{
	size_t at = coactivation_at(coactivation, neuron) + first - neuron - 1;

	if (coactivation->narrow)
		for (uint32_t i = 0; i < n; i++)
			coactivation->narrow[at + i] += counts[i];
	else
		for (uint32_t i = 0; i < n; i++)
			coactivation->wide[at + i] += counts[i];
}

void coactivation_row(const struct coactivation *coactivation, uint32_t neuron, uint32_t *row)
{
	for (uint32_t other = 0; other < coactivation->n_neurons; other++)
		row[other] = coactivation_pair(coactivation, neuron, other);
}
