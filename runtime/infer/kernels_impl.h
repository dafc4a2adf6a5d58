/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernels' one implementation, in GCC's vector types. Included by one file
 * per instruction set, which defines before:
 *   KERNELS        the name of the struct kernels to define
 *   KERNELS_NAME   its name as a string
 *   LANES          f32 elements of a vector
 *   vec            a vector of LANES floats
 *   load_f16(p)    LANES halves at p, widened to a vec
 *   fold(v)        the sum of a vec's elements, always in the same order
 *
 * The dot product of one row and one token always runs the same way: one vector
 * of partial sums over the whole vectors, folded in a fixed order, then the rest
 * one by one. Tiles of rows and tokens only share loads.
 */
#include <string.h>

#include "base/half.h"
#include "infer/kernels.h"

/* Rows and tokens computed together: 4 x 4 sums fit the registers of AVX2. */
#define TILE 4

static inline vec load_f32(const float *p)
{
	vec v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store_f32(float *p, vec v)
{
	memcpy(p, &v, sizeof(v));
}

/*
 * Sums of n_rows x n_tokens products, both at most TILE. Always inlined with
 * constant counts, so that the loops unroll and the sums stay in registers. `next` (or NULL)
 * are TILE rows to be brought nearer meanwhile: a row of a large model is a page, at whose
 * end processors stop looking ahead.
 */
static inline __attribute__((always_inline)) void
dot_tile(float *out, size_t out_stride, const uint16_t *const *rows, size_t n_rows, const float *x,
	 size_t x_stride, size_t n_tokens, size_t n, const uint16_t *const *next)
{
	vec sums[TILE][TILE] = { 0 };
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES) {
		vec weights[TILE];

		for (size_t r = 0; next && r < TILE; r++)
			__builtin_prefetch(next[r] + i);
		for (size_t r = 0; r < n_rows; r++)
			weights[r] = load_f16(rows[r] + i);
		for (size_t t = 0; t < n_tokens; t++) {
			vec values = load_f32(x + t * x_stride + i);

			for (size_t r = 0; r < n_rows; r++)
				sums[r][t] += weights[r] * values;
		}
	}
	for (size_t r = 0; r < n_rows; r++) {
		for (size_t t = 0; t < n_tokens; t++) {
			float sum = fold(sums[r][t]);

			for (size_t k = i; k < n; k++)
				sum += f16_to_f32(rows[r][k]) * x[t * x_stride + k];
			out[t * out_stride + r] = sum;
		}
	}
}

static void dot_rows(float *out, size_t out_stride, const uint16_t *const *rows, size_t n_rows,
		     const float *x, size_t x_stride, size_t n_tokens, size_t n)
{
	size_t r, t;

	for (r = 0; r + TILE <= n_rows; r += TILE) {
		for (t = 0; t + TILE <= n_tokens; t += TILE)
			dot_tile(out + t * out_stride + r, out_stride, rows + r, TILE,
				 x + t * x_stride, x_stride, TILE, n, NULL);
		/* With one token loading the weights is all that takes time. */
		if (n_tokens == 1 && r + 2 * TILE <= n_rows)
			dot_tile(out + r, out_stride, rows + r, TILE, x, x_stride, 1, n,
				 rows + r + TILE);
		else
			for (; t < n_tokens; t++)
				dot_tile(out + t * out_stride + r, out_stride, rows + r, TILE,
					 x + t * x_stride, x_stride, 1, n, NULL);
	}
	for (; r < n_rows; r++) {
		for (t = 0; t + TILE <= n_tokens; t += TILE)
			dot_tile(out + t * out_stride + r, out_stride, rows + r, 1,
				 x + t * x_stride, x_stride, TILE, n, NULL);
		for (; t < n_tokens; t++)
			dot_tile(out + t * out_stride + r, out_stride, rows + r, 1,
				 x + t * x_stride, x_stride, 1, n, NULL);
	}
}

static void add_rows(float *y, const float *a, const uint16_t *const *rows, size_t n_rows, size_t n)
{
	size_t i;

	/* A few vectors of y stay in registers while all rows pass by. */
	for (i = 0; i + TILE * LANES <= n; i += TILE * LANES) {
		vec sums[TILE];

		for (size_t k = 0; k < TILE; k++)
			sums[k] = load_f32(y + i + k * LANES);
		for (size_t r = 0; r < n_rows; r++)
			for (size_t k = 0; k < TILE; k++)
				sums[k] += a[r] * load_f16(rows[r] + i + k * LANES);
		for (size_t k = 0; k < TILE; k++)
			store_f32(y + i + k * LANES, sums[k]);
	}
	for (; i < n; i++) {
		float sum = y[i];

		for (size_t r = 0; r < n_rows; r++)
			sum += a[r] * f16_to_f32(rows[r][i]);
		y[i] = sum;
	}
}

static float dot_f32(const float *a, const float *b, size_t n)
{
	vec sums = { 0 };
	float sum;
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES)
		sums += load_f32(a + i) * load_f32(b + i);
	sum = fold(sums);
	for (; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static void add_f32(float *y, float a, const float *x, size_t n)
{
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES)
		store_f32(y + i, load_f32(y + i) + a * load_f32(x + i));
	for (; i < n; i++)
		y[i] += a * x[i];
}

static void widen(float *to, const uint16_t *from, size_t n)
{
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES)
		store_f32(to + i, load_f16(from + i));
	for (; i < n; i++)
		to[i] = f16_to_f32(from[i]);
}

const struct kernels KERNELS = {
	.name = KERNELS_NAME,
	.dot_rows = dot_rows,
	.add_rows = add_rows,
	.dot_f32 = dot_f32,
	.add_f32 = add_f32,
	.widen = widen,
};
