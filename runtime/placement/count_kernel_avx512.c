// SPDX-License-Identifier: GPL-2.0-only
/*
 * AVX-512 with VPOPCNTDQ: four rows and four columns at a time, whose 16 sums stay in
 * registers.
 */
#ifdef __x86_64__
#include <immintrin.h>

#include "placement/count_kernels.h"

/*
 * The sums of four accumulators, whose lanes are small, as four numbers of 16 bits: they
 * are put beside each other first, so that one reduction does for all four.
 */
static inline uint64_t four_sums(__m512i a, __m512i b, __m512i c, __m512i d)
{
	__m512i low = _mm512_add_epi64(a, _mm512_slli_epi64(b, 16));
	__m512i high = _mm512_add_epi64(c, _mm512_slli_epi64(d, 16));
	__m512i all = _mm512_add_epi64(low, _mm512_slli_epi64(high, 32));

	return (uint64_t)_mm512_reduce_add_epi64(all);
}

static inline __m512i add_common(__m512i sum, __m512i a, __m512i b)
{
	return _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_and_si512(a, b)));
}

static inline void count_four(const uint64_t *rows, const uint64_t *columns, size_t n_words,
			      uint16_t *counts, size_t stride)
{
	__m512i sum[4][4];

	for (int r = 0; r < 4; r++)
		for (int c = 0; c < 4; c++)
			sum[r][c] = _mm512_setzero_si512();
	for (size_t w = 0; w < n_words; w += 8) {
		__m512i column[4];

		for (int c = 0; c < 4; c++)
			column[c] = _mm512_load_si512(columns + c * n_words + w);
		for (int r = 0; r < 4; r++) {
			__m512i row = _mm512_load_si512(rows + r * n_words + w);

			for (int c = 0; c < 4; c++)
				sum[r][c] = add_common(sum[r][c], row, column[c]);
		}
	}
	for (int r = 0; r < 4; r++) {
		uint64_t four = four_sums(sum[r][0], sum[r][1], sum[r][2], sum[r][3]);

		__builtin_memcpy(counts + r * stride, &four, sizeof(four));
	}
}

static void count(const uint64_t *rows, size_t n_rows, const uint64_t *columns, size_t n_columns,
		  size_t n_words, uint16_t *counts, size_t stride)
{
	for (size_t c = 0; c < n_columns; c += 4)
		for (size_t r = 0; r < n_rows; r += 4)
			count_four(rows + r * n_words, columns + c * n_words, n_words,
				   counts + r * stride + c, stride);
}

const struct count_kernel count_kernel_avx512 = {
	.name = "avx512",
	.words_per_increment = 8,
	.count = count,
};
#endif
