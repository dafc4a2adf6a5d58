// SPDX-License-Identifier: GPL-2.0-only
/*
 * Population counts in plain C, without an instruction for them: eight words are added
 * up by full adders, bit by bit, before the bits of a sum are counted, which is what
 * costs.
 */
#include "placement/count_kernels.h"

_Static_assert(COUNT_WORDS == 8, "a group of words is added up at once");

/* How many bits of a word are set, by sums of ever wider fields. */
static inline uint64_t count_bits(uint64_t x)
{
	x -= x >> 1 & UINT64_C(0x5555555555555555);
	x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
	x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return x * UINT64_C(0x0101010101010101) >> 56;
}

/* Bit by bit: *sum becomes a + b + *sum modulo 2; returns the carry. */
static inline uint64_t add_bits(uint64_t *sum, uint64_t a, uint64_t b)
{
	uint64_t odd = *sum ^ a;
	uint64_t carry = (*sum & a) | (odd & b);

	*sum = odd ^ b;
	return carry;
}

static uint16_t count_common(const uint64_t *a, const uint64_t *b, size_t n_words)
{
	uint64_t ones = 0, twos = 0, fours = 0, eights = 0;

	for (size_t w = 0; w < n_words; w += 8) {
		uint64_t two_a, two_b, four_a, four_b;

		two_a = add_bits(&ones, a[w] & b[w], a[w + 1] & b[w + 1]);
		two_b = add_bits(&ones, a[w + 2] & b[w + 2], a[w + 3] & b[w + 3]);
		four_a = add_bits(&twos, two_a, two_b);
		two_a = add_bits(&ones, a[w + 4] & b[w + 4], a[w + 5] & b[w + 5]);
		two_b = add_bits(&ones, a[w + 6] & b[w + 6], a[w + 7] & b[w + 7]);
		four_b = add_bits(&twos, two_a, two_b);
		eights += count_bits(add_bits(&fours, four_a, four_b));
	}
	return (uint16_t)(8 * eights + 4 * count_bits(fours) + 2 * count_bits(twos) +
			  count_bits(ones));
}

static void count(const uint64_t *rows, size_t n_rows, const uint64_t *columns, size_t n_columns,
		  size_t n_words, uint16_t *counts, size_t stride)
{
	/* Blocks of columns that stay in the cache while all rows pass. */
	for (size_t block = 0; block < n_columns; block += COUNT_BLOCK)
		for (size_t r = 0; r < n_rows; r++)
			for (size_t c = block; c < block + COUNT_BLOCK; c++)
				counts[r * stride + c] = count_common(
					rows + r * n_words, columns + c * n_words, n_words);
}

const struct count_kernel count_kernel_portable = {
	.name = "portable",
	.words_per_increment = 2,
	.count = count,
};
