// SPDX-License-Identifier: GPL-2.0-only
/*
 * A batch of tokens: its bits are turned from one row for each token to one for each
 * neuron, neurons are divided into those that fire often and the others, and threads
 * take their pairs in pieces of about the same length.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/amount.h"
#include "base/bits.h"
#include "placement/coactivation_private.h"

/* Lists of tokens with more neurons than this share are not worth their memory. */
#define LISTED_SHARE 8

static size_t list_room(uint32_t n_neurons)
{
	return (size_t)n_neurons * BATCH_TOKENS / LISTED_SHARE;
}

static size_t thread_bytes(void)
{
	size_t dense = dense_scratch_bytes(), sparse = sparse_scratch_bytes();

	return amount_round_up(dense > sparse ? dense : sparse, 64);
}

uint64_t batch_bytes(uint32_t n_neurons, unsigned int n_threads)
{
	uint64_t words = bits_words(n_neurons);

	return 64 * words * BATCH_WORDS * sizeof(uint64_t) +
	       2 * (uint64_t)n_neurons * sizeof(uint32_t) +
	       (BATCH_TOKENS + list_room(n_neurons)) * sizeof(uint32_t) +
	       (BATCH_TOKENS * words + 1) * sizeof(uint32_t) +
	       n_threads * thread_bytes();
}

int batch_create(uint32_t n_neurons, struct thread_pool *pool, struct coactivation *to,
		 struct coactivation_batch *batch, struct error *err)
{
	size_t words = bits_words(n_neurons);

	*batch = (struct coactivation_batch){
		.kernel = count_kernel_best(),
		.pool = pool,
		.to = to,
		.room = list_room(n_neurons),
		.scratch_bytes = thread_bytes(),
	};
	batch->neurons = aligned_alloc(64, 64 * words * BATCH_WORDS * sizeof(uint64_t));
	batch->frequency = malloc(n_neurons * sizeof(uint32_t));
	batch->token_fires = malloc(BATCH_TOKENS * sizeof(uint32_t));
	batch->dense = malloc(n_neurons * sizeof(uint32_t));
	batch->list = malloc(batch->room * sizeof(uint32_t));
	batch->places = malloc((BATCH_TOKENS * words + 1) * sizeof(uint32_t));
	batch->scratch = aligned_alloc(64, thread_pool_size(pool) * batch->scratch_bytes);
	if (!batch->neurons || !batch->frequency || !batch->token_fires || !batch->dense ||
	    !batch->list || !batch->places || !batch->scratch) {
		batch_free(batch);
		return error_no_memory(err, "counting pairs of neurons");
	}
	return 0;
}

void batch_free(struct coactivation_batch *batch)
{
	free(batch->neurons);
	free(batch->frequency);
	free(batch->token_fires);
	free(batch->dense);
	free(batch->list);
	free(batch->places);
	free(batch->scratch);
}

/* Bit j of word i becomes bit i of word j, by halves of ever smaller squares. */
static void transpose(uint64_t square[64])
{
	uint64_t low = UINT64_C(0x00000000ffffffff);

	for (unsigned int width = 32; width; width >>= 1, low ^= low << width)
		for (unsigned int i = 0; i < 64; i = (i + width + 1) & ~width) {
			uint64_t swapped = (square[i] >> width ^ square[i + width]) & low;

			square[i] ^= swapped << width;
			square[i + width] ^= swapped;
		}
}

/* Neurons 64 * begin .. 64 * end - 1: their bits, and how many these are. */
static void turn(void *arg, size_t begin, size_t end)
{
	struct coactivation_batch *batch = arg;
	size_t n = batch->to->n_neurons, words = bits_words(n);
	uint64_t square[64];

	for (size_t word = begin; word < end; word++) {
		uint64_t *neurons = batch->neurons + word * 64 * batch->n_words;

		for (size_t w = 0; w < batch->n_words; w++) {
			for (size_t t = 0; t < 64; t++)
				square[t] = 64 * w + t < batch->n_tokens
						    ? batch->fired[(64 * w + t) * words + word]
						    : 0;
			transpose(square);
			for (size_t i = 0; i < 64; i++)
				neurons[i * batch->n_words + w] = square[i];
		}
		for (size_t i = word * 64; i < word * 64 + 64 && i < n; i++)
			batch->frequency[i] = (uint32_t)bits_count(
				batch->neurons + i * batch->n_words, batch->n_words);
	}
}

static void count_fires(void *arg, size_t begin, size_t end)
{
	struct coactivation_batch *batch = arg;
	size_t words = bits_words(batch->to->n_neurons);

	for (size_t t = begin; t < end; t++)
		batch->token_fires[t] = (uint32_t)bits_count(batch->fired + t * words, words);
}

/*
 * A neuron that fired f times costs f increments for each neuron of such tokens' lists,
 * or n_words words for each neuron. Lists are as long as that of the mean fire.
 */
static uint32_t choose_dense_from(const struct coactivation_batch *batch)
{
	size_t n = batch->to->n_neurons;
	double fires = 0, squares = 0, most;

	for (uint32_t t = 0; t < batch->n_tokens; t++) {
		double fired = batch->token_fires[t];

		fires += fired;
		squares += fired * fired;
	}
	if (fires == 0 || fires > (double)batch->room)
		return 0;
	most = (double)batch->n_words / batch->kernel->words_per_increment * (double)n /
	       (squares / fires);
	return most < BATCH_TOKENS ? (uint32_t)most + 1 : BATCH_TOKENS + 1;
}

/* What threads take pieces from: first the tiles of the dense neurons, then the others. */
struct pieces {
	const struct coactivation_batch *batch;
	size_t n_tiles;
	size_t n; /* of all pieces */
	atomic_size_t next;
};

/* Each index is a thread's own scratch. */
static void count_pieces(void *arg, size_t begin, size_t end)
{
	struct pieces *pieces = arg;
	const struct coactivation_batch *batch = pieces->batch;

	for (size_t i = begin; i < end; i++) {
		void *scratch = (char *)batch->scratch + i * batch->scratch_bytes;
		size_t piece;

		while ((piece = atomic_fetch_add(&pieces->next, 1)) < pieces->n)
			if (piece < pieces->n_tiles)
				dense_count(batch, (uint32_t)piece, scratch);
			else
				sparse_count(batch, piece - pieces->n_tiles, scratch);
	}
}

static void divide(struct coactivation_batch *batch, uint32_t dense_from)
{
	uint32_t n = batch->to->n_neurons;

	batch->dense_from = dense_from;
	batch->n_dense = 0;
	for (uint32_t i = 0; i < n; i++) {
		batch->to->frequency[i] += batch->frequency[i];
		if (batch->frequency[i] && batch->frequency[i] >= dense_from)
			batch->dense[batch->n_dense++] = i;
	}
}

static void begin(struct coactivation_batch *batch, const uint64_t *fired, uint32_t n_tokens)
{
	batch->fired = fired;
	batch->n_tokens = n_tokens;
	batch->n_words = amount_round_up(bits_words(n_tokens), COUNT_WORDS);
	thread_pool_run(batch->pool, bits_words(batch->to->n_neurons), 1, turn, batch);
	thread_pool_run(batch->pool, n_tokens, 64, count_fires, batch);
}

static void finish(struct coactivation_batch *batch, uint32_t dense_from)
{
	struct pieces pieces = { .batch = batch };

	divide(batch, dense_from);
	if (dense_from > 1)
		sparse_prepare(batch);
	pieces.n_tiles = (batch->n_dense + DENSE_ROWS - 1) / DENSE_ROWS;
	pieces.n = pieces.n_tiles + (dense_from > 1 ? bits_words(batch->to->n_neurons) : 0);
	thread_pool_run(batch->pool, thread_pool_size(batch->pool), 1, count_pieces, &pieces);
}

void batch_count_from(struct coactivation_batch *batch, const uint64_t *fired, uint32_t n_tokens,
		      uint32_t dense_from)
{
	begin(batch, fired, n_tokens);
	finish(batch, dense_from);
}

void batch_count(struct coactivation_batch *batch, const uint64_t *fired, uint32_t n_tokens)
{
	begin(batch, fired, n_tokens);
	finish(batch, choose_dense_from(batch));
}
