// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pairs counted one by one: a token with a fired neurons costs a * (a - 1) / 2
 * increments. They are done neuron by neuron, so that all increments of a while
 * go to one row of the matrix, which stays in the cache: for every token for
 * which the neuron fired, the rest of that token's list is walked.
 */
#include "placement/coactivation_count.h"

#include <stdlib.h>

#include "base/bits.h"

/* After the last neuron of each token's list. */
#define END_OF_TOKEN UINT32_MAX

struct sparse_count {
	const struct coactivation_batch *batch;
	uint32_t *lists; /* fired neurons of all tokens, ascending, END_OF_TOKEN after each */
	/* Neuron i stands in `lists` at places[first[i]] .. places[first[i + 1] - 1]. */
	uint32_t *places;
	uint32_t *first; /* (n_neurons + 1) */
};

static void fill_lists(struct sparse_count *count)
{
	const struct coactivation_batch *batch = count->batch;
	size_t n = batch->n_neurons;
	size_t words = bits_words(n);
	uint32_t end = 0;

	for (uint32_t t = 0; t < batch->n_tokens; t++) {
		const uint64_t *fired = batch->fired + t * words;

		for (size_t i = bits_next(fired, n, 0); i < n; i = bits_next(fired, n, i + 1)) {
			count->places[count->first[i]++] = end;
			count->lists[end++] = (uint32_t)i;
		}
		count->lists[end++] = END_OF_TOKEN;
	}
	/* Filling moved each start to the start of the next neuron: move them back. */
	for (size_t i = n; i > 0; i--)
		count->first[i] = count->first[i - 1];
	count->first[0] = 0;
}

static int make_lists(struct sparse_count *count, struct error *err)
{
	const struct coactivation_batch *batch = count->batch;
	uint32_t n_fired = 0; /* below 2^30: batches and layers are small enough */

	count->first = malloc((batch->n_neurons + 1) * sizeof(*count->first));
	if (!count->first)
		return error_no_memory(err, "counting pairs of neurons");
	for (uint32_t i = 0; i < batch->n_neurons; i++) {
		count->first[i] = n_fired;
		n_fired += batch->frequency[i];
	}
	count->first[batch->n_neurons] = n_fired;
	count->lists = malloc(((size_t)n_fired + batch->n_tokens) * sizeof(*count->lists));
	count->places = malloc(((size_t)n_fired + 1) * sizeof(*count->places));
	if (!count->lists || !count->places)
		return error_no_memory(err, "counting pairs of neurons");
	fill_lists(count);
	return 0;
}

static void count_row(const struct sparse_count *count, uint32_t i)
{
	uint32_t *row = count->batch->pairs + (size_t)i * count->batch->n_neurons;

	for (uint32_t k = count->first[i]; k < count->first[i + 1]; k++) {
		const uint32_t *other = count->lists + count->places[k] + 1;

		for (; *other != END_OF_TOKEN; other++)
			row[*other]++;
	}
}

static void count_steps(void *arg, size_t begin, size_t end)
{
	const struct sparse_count *count = arg;
	uint32_t n = count->batch->n_neurons;

	for (size_t step = begin; step < end; step++) {
		uint32_t i = (uint32_t)step;
		uint32_t counterpart = triangle_counterpart(n, i);

		count_row(count, i);
		if (counterpart != i)
			count_row(count, counterpart);
	}
}

int coactivation_count_sparse(const struct coactivation_batch *batch, struct error *err)
{
	struct sparse_count count = { .batch = batch };
	int ret = make_lists(&count, err);

	if (ret == 0)
		thread_pool_run(batch->pool, triangle_steps(batch->n_neurons), 16, count_steps,
				&count);
	free(count.lists);
	free(count.places);
	free(count.first);
	return ret;
}
