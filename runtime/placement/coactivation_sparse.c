// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pairs counted one by one, of the neurons that fire seldom: for every token for
 * which the neuron fired, the rest of that token's list is walked. All increments
 * of a while go to one row of counts, which stays in the cache; the lists do not,
 * and are fetched ahead.
 */
#include "base/bits.h"
#include "placement/coactivation_private.h"

#define CACHE_LINE 64

/* Neurons of a list that come after a certain one. */
struct span {
	uint32_t begin, end;
};

struct sparse_scratch {
	struct span spans[BATCH_TOKENS];
};

size_t sparse_scratch_bytes(void)
{
	return sizeof(struct sparse_scratch);
}

static void make_lists(void *arg, size_t begin, size_t end)
{
	const struct coactivation_batch *batch = arg;
	size_t words = bits_words(batch->to->n_neurons);

	for (size_t t = begin; t < end; t++) {
		uint32_t place = batch->places[t * words];

		for (size_t word = 0; word < words; word++) {
			batch->places[t * words + word] = place;
			for (uint64_t rest = batch->fired[t * words + word]; rest; rest &= rest - 1)
				batch->list[place++] =
					(uint32_t)(word * 64 + __builtin_ctzll(rest));
		}
	}
}

void sparse_prepare(struct coactivation_batch *batch)
{
	size_t words = bits_words(batch->to->n_neurons);
	uint32_t place = 0;

	for (size_t t = 0; t < batch->n_tokens; t++) {
		batch->places[t * words] = place;
		place += batch->token_fires[t];
	}
	batch->places[batch->n_tokens * words] = place;
	thread_pool_run(batch->pool, batch->n_tokens, 64, make_lists, batch);
}

static uint32_t find_spans(const struct coactivation_batch *batch, uint32_t neuron,
			   struct span *spans)
{
	size_t words = bits_words(batch->to->n_neurons);
	const uint64_t *tokens = batch->neurons + neuron * batch->n_words;
	uint64_t up_to = ~UINT64_C(0) >> (63 - neuron % 64);
	uint32_t n = 0;

	for (size_t t = bits_next(tokens, batch->n_tokens, 0); t < batch->n_tokens;
	     t = bits_next(tokens, batch->n_tokens, t + 1)) {
		size_t at = t * words + neuron / 64;

		spans[n].begin = batch->places[at] +
				 (uint32_t)__builtin_popcountll(batch->fired[at] & up_to);
		spans[n++].end = batch->places[(t + 1) * words];
	}
	return n;
}

static void fetch(const uint32_t *list, struct span span)
{
	for (uint32_t k = span.begin; k < span.end; k += CACHE_LINE / sizeof(*list))
		__builtin_prefetch(list + k);
}

/* The count with neuron j is counts[row + j]. */
static void add_narrow(uint16_t *counts, size_t row, const uint32_t *list, const struct span *spans,
		       uint32_t n)
{
	for (uint32_t s = 0; s < n; s++) {
		if (s + 1 < n)
			fetch(list, spans[s + 1]);
		for (uint32_t k = spans[s].begin; k < spans[s].end; k++)
			counts[row + list[k]]++;
	}
}

static void add_wide(uint32_t *counts, size_t row, const uint32_t *list, const struct span *spans,
		     uint32_t n)
{
	for (uint32_t s = 0; s < n; s++) {
		if (s + 1 < n)
			fetch(list, spans[s + 1]);
		for (uint32_t k = spans[s].begin; k < spans[s].end; k++)
			counts[row + list[k]]++;
	}
}

void sparse_count(const struct coactivation_batch *batch, size_t word, void *memory)
{
	struct sparse_scratch *scratch = memory;
	uint32_t n = batch->to->n_neurons;

	for (uint32_t i = (uint32_t)(word * 64); i < word * 64 + 64 && i < n; i++) {
		size_t row = coactivation_at(batch->to, i) - i - 1;
		uint32_t n_spans;

		if (!batch->frequency[i] || batch->frequency[i] >= batch->dense_from)
			continue;
		n_spans = find_spans(batch, i, scratch->spans);
		if (batch->to->narrow)
			add_narrow(batch->to->narrow, row, batch->list, scratch->spans, n_spans);
		else
			add_wide(batch->to->wide, row, batch->list, scratch->spans, n_spans);
	}
}
