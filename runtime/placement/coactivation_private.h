/* SPDX-License-Identifier: GPL-2.0-only */
/* How counts come into being; private to coactivation*.c and the tests. */
#ifndef COLINK_PLACEMENT_COACTIVATION_PRIVATE_H
#define COLINK_PLACEMENT_COACTIVATION_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/thread_pool.h"
#include "placement/coactivation.h"
#include "placement/count_kernels.h"

/* All zeros, wide enough for `n_tokens`. The caller calls coactivation_free(). */
int coactivation_create(uint32_t n_neurons, uint64_t n_tokens, struct coactivation *coactivation,
			struct error *err);

/*
 * To the counts of `neuron` with first, first + 1 ... first + n - 1, all of them
 * higher. Different neurons may be added to at the same time.
 */
void coactivation_add(struct coactivation *coactivation, uint32_t neuron, uint32_t first,
		      const uint16_t *counts, uint32_t n);

/* A neuron's bits of a batch are 64 words: 512 bytes. */
#define BATCH_WORDS COUNT_MAX_WORDS
#define BATCH_TOKENS (64 * BATCH_WORDS)

/*
 * Some tokens, and all that counting their pairs needs beside the counts. Each
 * neuron's pairs with the higher ones are counted as is cheaper for it: by bit
 * operations, which cost the same whatever fired (coactivation_dense.c), or by an
 * increment for each pair that fired (coactivation_sparse.c).
 */
struct coactivation_batch {
	const struct count_kernel *kernel;
	struct thread_pool *pool;
	struct coactivation *to;

	uint32_t n_tokens; /* 1 to BATCH_TOKENS */
	const uint64_t *fired; /* (n_tokens, bits_words(n_neurons)) */

	size_t n_words; /* of a neuron's bits, a multiple of COUNT_WORDS */
	uint64_t *neurons; /* (n_neurons rounded up to 64, n_words), bit t: fired for token t */
	uint32_t *frequency; /* (n_neurons), of this batch */
	uint32_t *token_fires; /* (n_tokens): how many neurons fired */

	/* Neurons that fire for so many tokens of the batch, or more, are counted densely. */
	uint32_t dense_from;
	uint32_t *dense; /* (n_dense) neurons, ascending */
	uint32_t n_dense;

	/*
	 * Of neurons that are counted sparsely: all tokens' neurons, ascending in each;
	 * and where in this list, for each token and each 64 neurons, the first of
	 * these or of later ones stands. It has an end: the place of token n_tokens.
	 */
	uint32_t *list; /* (room) */
	size_t room;
	uint32_t *places; /* (BATCH_TOKENS * bits_words(n_neurons) + 1) */

	void *scratch; /* (n_threads, scratch_bytes), aligned to 64 */
	size_t scratch_bytes;
};

int batch_create(uint32_t n_neurons, struct thread_pool *pool, struct coactivation *to,
		 struct coactivation_batch *batch, struct error *err);
void batch_free(struct coactivation_batch *batch);

/* The most that a batch takes, without the tokens in `fired`. */
uint64_t batch_bytes(uint32_t n_neurons, unsigned int n_threads);

/* Add the pairs of these tokens to `to`. dense_from is chosen by batch_count() alone. */
void batch_count(struct coactivation_batch *batch, const uint64_t *fired, uint32_t n_tokens);
void batch_count_from(struct coactivation_batch *batch, const uint64_t *fired, uint32_t n_tokens,
		      uint32_t dense_from);

/* DENSE_ROWS neurons of batch->dense at a time. */
#define DENSE_ROWS COUNT_MAX_ROWS
size_t dense_scratch_bytes(void);
void dense_count(const struct coactivation_batch *batch, uint32_t tile, void *scratch);

/* 64 neurons at a time, of which those below dense_from are counted. */
size_t sparse_scratch_bytes(void);
void sparse_prepare(struct coactivation_batch *batch);
void sparse_count(const struct coactivation_batch *batch, size_t word, void *scratch);

#endif
