// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pairs counted by bit operations: the batch is turned into one row of bits per
 * neuron, and a pair's count is the population count of the AND of two rows.
 * Pairs are visited in square tiles, both sides of which stay in the L1 cache.
 *
 * x86's baseline has no population count instruction: the inner loop is compiled
 * three times and picked at run time. It has a fixed length so that the compiler
 * can unroll and vectorize it.
 */
#include "placement/coactivation_count.h"

#include <stdlib.h>

#include "base/bits.h"

#define TILE 32 /* neurons: two sides of 16 KiB */

typedef uint32_t count_common_function(const uint64_t *a, const uint64_t *b);

static inline __attribute__((always_inline)) uint32_t count_common_words(const uint64_t *a,
									 const uint64_t *b)
{
	uint64_t common = 0;

	for (int w = 0; w < COACTIVATION_BATCH_WORDS; w++)
		common += (uint64_t)__builtin_popcountll(a[w] & b[w]);
	return (uint32_t)common;
}

static uint32_t count_common_portable(const uint64_t *a, const uint64_t *b)
{
	return count_common_words(a, b);
}

#ifdef __x86_64__
__attribute__((target("popcnt"))) static uint32_t count_common_popcnt(const uint64_t *a,
								      const uint64_t *b)
{
	return count_common_words(a, b);
}

__attribute__((target("avx512f,avx512vpopcntdq"))) static uint32_t
count_common_avx512(const uint64_t *a, const uint64_t *b)
{
	return count_common_words(a, b);
}
#endif

/*
 * What one increment of the sparse way costs, in words of this one, was measured
 * with 2048 and 8192 neurons of which 3 to 24 % fired.
 */
struct dense_method {
	count_common_function *count_common;
	double words_per_increment;
};

static struct dense_method pick_method(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx512vpopcntdq"))
		return (struct dense_method){ count_common_avx512, 4 };
	if (__builtin_cpu_supports("popcnt"))
		return (struct dense_method){ count_common_popcnt, 1.5 };
	return (struct dense_method){ count_common_portable, 0.35 };
#else
	return (struct dense_method){ count_common_portable, 1 };
#endif
}

double coactivation_words_per_increment(void)
{
	return pick_method().words_per_increment;
}

struct dense_count {
	const struct coactivation_batch *batch;
	uint64_t *neurons; /* (n_neurons, COACTIVATION_BATCH_WORDS), bit t: fired for token t */
	count_common_function *count_common;
};

static void fill_neurons(const struct dense_count *count)
{
	const struct coactivation_batch *batch = count->batch;
	size_t n = batch->n_neurons;
	size_t words = bits_words(n);

	for (uint32_t t = 0; t < batch->n_tokens; t++) {
		const uint64_t *fired = batch->fired + t * words;

		for (size_t i = bits_next(fired, n, 0); i < n; i = bits_next(fired, n, i + 1))
			bits_set(count->neurons + i * COACTIVATION_BATCH_WORDS, t);
	}
}

/* The pairs of a tile that lie above the diagonal. */
static void count_tile(const struct dense_count *count, uint32_t row_tile, uint32_t column_tile)
{
	uint32_t n = count->batch->n_neurons;
	uint32_t row_end = n - row_tile < TILE ? n : row_tile + TILE;
	uint32_t column_end = n - column_tile < TILE ? n : column_tile + TILE;

	for (uint32_t i = row_tile; i < row_end; i++) {
		const uint64_t *neuron = count->neurons + (size_t)i * COACTIVATION_BATCH_WORDS;
		uint32_t *row = count->batch->pairs + (size_t)i * n;

		for (uint32_t j = i < column_tile ? column_tile : i + 1; j < column_end; j++)
			row[j] += count->count_common(
				neuron, count->neurons + (size_t)j * COACTIVATION_BATCH_WORDS);
	}
}

static void count_tile_row(const struct dense_count *count, uint32_t row_tile)
{
	for (uint32_t column_tile = row_tile; column_tile < count->batch->n_neurons;
	     column_tile += TILE)
		count_tile(count, row_tile, column_tile);
}

static uint32_t tile_rows(uint32_t n_neurons)
{
	return (n_neurons + TILE - 1) / TILE;
}

static void count_steps(void *arg, size_t begin, size_t end)
{
	const struct dense_count *count = arg;
	uint32_t rows = tile_rows(count->batch->n_neurons);

	for (size_t step = begin; step < end; step++) {
		uint32_t i = (uint32_t)step;
		uint32_t counterpart = triangle_counterpart(rows, i);

		count_tile_row(count, i * TILE);
		if (counterpart != i)
			count_tile_row(count, counterpart * TILE);
	}
}

int coactivation_count_dense(const struct coactivation_batch *batch, struct error *err)
{
	struct dense_count count = { .batch = batch, .count_common = pick_method().count_common };

	count.neurons = calloc(batch->n_neurons, COACTIVATION_BATCH_WORDS * sizeof(uint64_t));
	if (!count.neurons)
		return error_no_memory(err, "counting pairs of neurons");
	fill_neurons(&count);
	thread_pool_run(batch->pool, triangle_steps(tile_rows(batch->n_neurons)), 1, count_steps,
			&count);
	free(count.neurons);
	return 0;
}
