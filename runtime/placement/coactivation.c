// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counting goes batch by batch of tokens, so that what a batch needs beside the
 * matrix stays small and in the cache. For each batch the cheaper of two ways is
 * taken (coactivation_count.h); they give the same counts.
 */
#include "placement/coactivation.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/bits.h"
#include "placement/coactivation_count.h"

/* Neurons: two sides of a square tile of pairs are 2 * 16 KiB. */
#define MIRROR_TILE 64

static void count_frequency(const uint64_t *fired, uint32_t n_tokens, uint32_t n_neurons,
			    uint32_t *frequency)
{
	size_t words = bits_words(n_neurons);

	for (uint32_t i = 0; i < n_neurons; i++)
		frequency[i] = 0;
	for (uint32_t t = 0; t < n_tokens; t++, fired += words)
		for (size_t i = bits_next(fired, n_neurons, 0); i < n_neurons;
		     i = bits_next(fired, n_neurons, i + 1))
			frequency[i]++;
}

static bool sparse_is_cheaper(const struct coactivation_batch *batch)
{
	size_t words = bits_words(batch->n_neurons);
	double increments = 0;

	for (uint32_t t = 0; t < batch->n_tokens; t++) {
		double fired = (double)bits_count(batch->fired + t * words, words);

		increments += fired * fired / 2;
	}
	return increments * coactivation_words_per_increment() <
	       (double)batch->n_neurons * batch->n_neurons / 2 * COACTIVATION_BATCH_WORDS;
}

static int count_batch(const struct coactivation_batch *batch, struct error *err)
{
	if (sparse_is_cheaper(batch))
		return coactivation_count_sparse(batch, err);
	return coactivation_count_dense(batch, err);
}

/* Tile rows begin .. end-1 of the lower triangle from the upper one. */
static void mirror(void *arg, size_t begin, size_t end)
{
	const struct coactivation *coactivation = arg;
	size_t n = coactivation->n_neurons;
	uint32_t *pairs = coactivation->pairs;

	for (size_t row_tile = begin * MIRROR_TILE; row_tile < end * MIRROR_TILE && row_tile < n;
	     row_tile += MIRROR_TILE) {
		size_t row_end = n - row_tile < MIRROR_TILE ? n : row_tile + MIRROR_TILE;

		for (size_t column_tile = 0; column_tile < row_end; column_tile += MIRROR_TILE)
			for (size_t i = row_tile; i < row_end; i++)
				for (size_t j = column_tile; j < column_tile + MIRROR_TILE && j < i;
				     j++)
					pairs[i * n + j] = pairs[j * n + i];
	}
}

static int count_all_batches(const struct activity *activity, struct thread_pool *pool,
			     uint32_t *batch_frequency, struct coactivation *coactivation,
			     struct error *err)
{
	struct coactivation_batch batch = {
		.n_neurons = activity->n_neurons,
		.frequency = batch_frequency,
		.pairs = coactivation->pairs,
		.pool = pool,
	};

	for (uint64_t t = 0; t < activity->n_tokens; t += batch.n_tokens) {
		uint64_t rest = activity->n_tokens - t;
		int ret;

		batch.n_tokens = rest < COACTIVATION_BATCH_TOKENS ? (uint32_t)rest
								  : COACTIVATION_BATCH_TOKENS;
		batch.fired = activity->fired + t * bits_words(activity->n_neurons);
		count_frequency(batch.fired, batch.n_tokens, batch.n_neurons, batch_frequency);
		for (uint32_t i = 0; i < batch.n_neurons; i++)
			coactivation->frequency[i] += batch_frequency[i];
		ret = count_batch(&batch, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int coactivation_count(const struct activity *activity, struct thread_pool *pool,
		       struct coactivation *result, struct error *err)
{
	struct coactivation coactivation = {
		.n_neurons = activity->n_neurons,
		.n_tokens = activity->n_tokens,
	};
	size_t n = activity->n_neurons;
	uint32_t *batch_frequency = NULL;
	int ret;

	if (activity->n_tokens > UINT32_MAX)
		return error_set(err, -EOVERFLOW, "%llu tokens are too many to count pairs in",
				 (unsigned long long)activity->n_tokens);
	coactivation.frequency = calloc(n, sizeof(uint32_t));
	coactivation.pairs = calloc(n, n * sizeof(uint32_t));
	batch_frequency = malloc(n * sizeof(uint32_t));
	if (!coactivation.frequency || !coactivation.pairs || !batch_frequency) {
		ret = error_set(err, -ENOMEM,
				"out of memory: %zu MiB to count pairs of %zu neurons",
				n * n * sizeof(uint32_t) >> 20, n);
		goto out;
	}
	ret = count_all_batches(activity, pool, batch_frequency, &coactivation, err);
	if (ret < 0)
		goto out;
	thread_pool_run(pool, (n + MIRROR_TILE - 1) / MIRROR_TILE, 1, mirror, &coactivation);
	*result = coactivation;
out:
	free(batch_frequency);
	if (ret < 0)
		coactivation_free(&coactivation);
	return ret;
}

void coactivation_free(struct coactivation *coactivation)
{
	free(coactivation->frequency);
	free(coactivation->pairs);
	coactivation->frequency = NULL;
	coactivation->pairs = NULL;
}

void coactivation_friends(const struct coactivation *coactivation, uint32_t n_friends,
			  struct thread_pool *pool, uint32_t *friends)
{
	size_t n = coactivation->n_neurons;

	(void)pool;
	for (size_t i = 0; i < n; i++) {
		uint32_t m = 0;
		uint64_t key[64];
		for (size_t j = 0; j < n; j++) {
			uint64_t c = coactivation->pairs[i * n + j];
			if (!c)
				continue;
			c = c << 32 | (UINT32_MAX - j);
			if (m < n_friends || c > key[m - 1]) {
				uint32_t q = m < n_friends ? m++ : m - 1;
				for (; q && key[q - 1] < c; q--)
					key[q] = key[q - 1];
				key[q] = c;
			}
		}
		for (uint32_t k = 0; k < n_friends; k++)
			friends[i * n_friends + k] = k < m ? UINT32_MAX - (uint32_t)key[k] : COACTIVATION_NO_FRIEND;
	}
}
