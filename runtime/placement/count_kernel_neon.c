// SPDX-License-Identifier: GPL-2.0-only
/*
 * 64-bit ARM counts the bits of bytes: four rows and four columns at a time. A byte holds
 * the sum of 31 of its kind, so sums are widened once per 16 vectors.
 */
#ifdef __aarch64__
#include <arm_neon.h>

#include "placement/count_kernels.h"

#define VECTORS 16 /* between two widenings */

static inline uint8x16_t load(const uint64_t *words)
{
	return vreinterpretq_u8_u64(vld1q_u64(words));
}

static inline void count_four(const uint64_t *rows, const uint64_t *columns, size_t n_words,
			      uint16_t *counts, size_t stride)
{
	uint16x8_t sum[4][4];

	for (int r = 0; r < 4; r++)
		for (int c = 0; c < 4; c++)
			sum[r][c] = vdupq_n_u16(0);
	for (size_t begin = 0; begin < n_words; begin += 2 * VECTORS) {
		size_t end = n_words - begin < 2 * VECTORS ? n_words : begin + 2 * VECTORS;

		for (int r = 0; r < 4; r++) {
			uint8x16_t bytes[4] = { vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0),
						vdupq_n_u8(0) };

			for (size_t w = begin; w < end; w += 2) {
				uint8x16_t row = load(rows + r * n_words + w);

				for (int c = 0; c < 4; c++)
					bytes[c] = vaddq_u8(
						bytes[c],
						vcntq_u8(vandq_u8(row, load(columns + c * n_words +
									    w))));
			}
			for (int c = 0; c < 4; c++)
				sum[r][c] = vpadalq_u8(sum[r][c], bytes[c]);
		}
	}
	for (int r = 0; r < 4; r++)
		for (int c = 0; c < 4; c++)
			counts[r * stride + c] = vaddvq_u16(sum[r][c]);
}

static void count(const uint64_t *rows, size_t n_rows, const uint64_t *columns, size_t n_columns,
		  size_t n_words, uint16_t *counts, size_t stride)
{
	for (size_t c = 0; c < n_columns; c += 4)
		for (size_t r = 0; r < n_rows; r += 4)
			count_four(rows + r * n_words, columns + c * n_words, n_words,
				   counts + r * stride + c, stride);
}

const struct count_kernel count_kernel_neon = {
	.name = "neon",
	.words_per_increment = 4,
	.count = count,
};
#endif
