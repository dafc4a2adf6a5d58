/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of counting pairs: neurons are rows of bits, a bit for each token
 * of a batch, and the count of a pair is how many bits two rows have in common. The
 * same counts by each instruction set, of which the best is picked at run time; the
 * portable one is the reference of the tests.
 */
#ifndef COLINK_PLACEMENT_COUNT_KERNELS_H
#define COLINK_PLACEMENT_COUNT_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* What sizes have to be multiples of: neurons of a block, and words of a neuron. */
#define COUNT_BLOCK 32
#define COUNT_WORDS 8

/* Most that one call takes: tokens, so that counts fit into 16 bits, and neurons. */
#define COUNT_MAX_WORDS 64
#define COUNT_MAX_ROWS 32

struct count_kernel {
	const char *name; /* "avx512", "avx2", "neon", "portable" */

	/*
	 * What counting a pair by increments costs (coactivation_sparse.c), for each
	 * increment, in words of this way: below 1 where this way is slow.
	 */
	double words_per_increment;

	/*
	 * counts[r * stride + c] = bits common to row r and column c. Both are
	 * (.., n_words) and aligned to 64 bytes; n_rows and n_columns are multiples of
	 * COUNT_BLOCK, n_words of COUNT_WORDS, at most COUNT_MAX_ROWS and
	 * COUNT_MAX_WORDS. Thread-safe, if each thread has its own scratch.
	 */
	void (*count)(const uint64_t *rows, size_t n_rows, const uint64_t *columns,
		      size_t n_columns, size_t n_words, uint16_t *counts, size_t stride);
};

/* The best for this CPU. */
const struct count_kernel *count_kernel_best(void);

/* One by name, or NULL where this CPU or build does not have it (for tests). */
const struct count_kernel *count_kernel_find(const char *name);

extern const struct count_kernel count_kernel_portable;
#ifdef __x86_64__
extern const struct count_kernel count_kernel_avx2;
extern const struct count_kernel count_kernel_avx512;
#endif
#ifdef __aarch64__
extern const struct count_kernel count_kernel_neon;
#endif

#endif
