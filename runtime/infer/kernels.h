/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of a transformer: products of f16 weights with f32 vectors,
 * accumulated in f32. The same source is compiled once per instruction set
 * (kernels_impl.h) and picked at run time.
 *
 * Every result depends on its own inputs alone: computing many tokens or rows
 * together, on any number of threads, gives the same bits as one at a time.
 * Across instruction sets the last bits differ. All functions are thread-safe.
 */
#ifndef COLINK_INFER_KERNELS_H
#define COLINK_INFER_KERNELS_H

#include <stddef.h>
#include <stdint.h>

struct kernels {
	const char *name; /* "avx512", "avx2", "neon", "portable" */

	/*
	 * out[t * out_stride + r] = dot(rows[r], x[t * x_stride ...]) for r < n_rows
	 * and t < n_tokens; vectors have n elements. Rows may lie anywhere.
	 */
	void (*dot_rows)(float *out, size_t out_stride, const uint16_t *const *rows, size_t n_rows,
			 const float *x, size_t x_stride, size_t n_tokens, size_t n);

	/* y[i] += sum over r, in ascending order, of a[r] * rows[r][i]; i < n. */
	void (*add_rows)(float *y, const float *a, const uint16_t *const *rows, size_t n_rows,
			 size_t n);

	/* The same for f32 vectors: a plain dot product, and y += a * x. */
	float (*dot_f32)(const float *a, const float *b, size_t n);
	void (*add_f32)(float *y, float a, const float *x, size_t n);

	/* to[i] = from[i] widened to f32. */
	void (*widen)(float *to, const uint16_t *from, size_t n);
};

/* The best set for this CPU. */
const struct kernels *kernels_best(void);

/* One by name, or NULL when this CPU or build does not have it (for tests). */
const struct kernels *kernels_find(const char *name);

#endif
