/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sums of outer products of long streams of f16 vectors: second moments of
 * traced inputs, and W^T W of a weight matrix, row by row.
 *
 * Blocks of vectors are multiplied by the kernels of kernels.h, in f32, and
 * blocks are added up in f64. A product of two sums over N vectors of width d
 * costs 2 N d^2 operations (N d^2 when both are the same), on all threads. The
 * result does not depend on the number of threads.
 */
#ifndef COLINK_INFER_COVARIANCE_H
#define COLINK_INFER_COVARIANCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "infer/linear.h"

/* Vectors that are added up in f32. */
#define COVARIANCE_BLOCK 512

/* Up to COVARIANCE_BLOCK vectors, turned round so that an element's values lie together. */
struct vector_block {
	size_t width; /* elements of a vector */
	size_t n_vectors;
	uint16_t *halves; /* (width, COVARIANCE_BLOCK) */
	float *floats; /* the same values */
};

int vector_block_create(size_t width, struct vector_block **block, struct error *err);
void vector_block_free(struct vector_block *block);

/* `vectors` is (n_vectors, width); n_vectors is at most COVARIANCE_BLOCK. */
void vector_block_fill(const struct compute *compute, struct vector_block *block,
		       const uint16_t *vectors, size_t n_vectors);

/* sums[i] += each vector's element i. */
void vector_block_sum(const struct vector_block *block, double *sums);

/*
 * sums[i][j] += x's element i times y's element j, over all vectors of the block.
 * sums is (width, width). When x is y, only j <= i is sure to be added; call
 * covariance_mirror() in the end.
 */
void covariance_add(const struct compute *compute, double *sums, const struct vector_block *x,
		    const struct vector_block *y);

/* Copy the lower triangle to the upper one. */
void covariance_mirror(double *sums, size_t width);

/* From sums over n vectors to the covariance, given the means of both sides. */
void covariance_centre(double *sums, size_t width, double n, const double *mean_x,
		       const double *mean_y);

/*
 * variances[j] (n_rows) = w^T covariance w, w being row j of weights (n_rows, width):
 * the variance of what the row gives of vectors with this covariance (width, width),
 * which is symmetric. Fails with -ENOMEM.
 */
int covariance_of_rows(const struct compute *compute, const uint16_t *weights, size_t n_rows,
		       size_t width, const double *covariance, double *variances,
		       struct error *err);

#endif
