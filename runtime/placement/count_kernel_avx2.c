// SPDX-License-Identifier: GPL-2.0-only
/*
 * AVX2 has no population count: a shuffle looks the count of each half byte up in a
 * table. Two rows and two columns at a time; bytes hold the sums of a call's words.
 */
#ifdef __x86_64__
#include <immintrin.h>

#include "placement/count_kernels.h"

_Static_assert(COUNT_MAX_WORDS / 4 * 8 <= UINT8_MAX, "a byte holds the bits of its kind");

/* Of each byte, at most 8. */
static inline __m256i count_bytes(__m256i x)
{
	const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
					       0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
	const __m256i low = _mm256_set1_epi8(15);

	return _mm256_add_epi8(
		_mm256_shuffle_epi8(table, _mm256_and_si256(x, low)),
		_mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), low)));
}

static inline uint16_t fold(__m256i sums)
{
	__m128i half = _mm_add_epi64(_mm256_castsi256_si128(sums),
				     _mm256_extracti128_si256(sums, 1));

	return (uint16_t)(_mm_cvtsi128_si64(half) + _mm_extract_epi64(half, 1));
}

static inline __m256i load(const uint64_t *words)
{
	return _mm256_load_si256((const __m256i *)words);
}

static inline void count_two(const uint64_t *rows, const uint64_t *columns, size_t n_words,
			     uint16_t *counts, size_t stride)
{
	const __m256i zero = _mm256_setzero_si256();
	__m256i sum[2][2] = { { zero, zero }, { zero, zero } };

	for (size_t w = 0; w < n_words; w += 4)
		for (int r = 0; r < 2; r++)
			for (int c = 0; c < 2; c++) {
				__m256i common = _mm256_and_si256(load(rows + r * n_words + w),
								  load(columns + c * n_words + w));

				sum[r][c] = _mm256_add_epi8(sum[r][c], count_bytes(common));
			}
	for (int r = 0; r < 2; r++)
		for (int c = 0; c < 2; c++)
			counts[r * stride + c] = fold(_mm256_sad_epu8(sum[r][c], zero));
}

static void count(const uint64_t *rows, size_t n_rows, const uint64_t *columns, size_t n_columns,
		  size_t n_words, uint16_t *counts, size_t stride)
{
	for (size_t c = 0; c < n_columns; c += 2)
		for (size_t r = 0; r < n_rows; r += 2)
			count_two(rows + r * n_words, columns + c * n_words, n_words,
				  counts + r * stride + c, stride);
}

const struct count_kernel count_kernel_avx2 = {
	.name = "avx2",
	.words_per_increment = 4,
	.count = count,
};
#endif
