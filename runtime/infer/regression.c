// SPDX-License-Identifier: GPL-2.0-only
#include "infer/regression.h"

#include <cblas.h>
#include <errno.h>
#include <lapacke.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "infer/covariance.h"

/*
 * About the variance that rounding `down` and `up` to f16 adds to a score, in units
 * of the score's own: each entry is off by up to 2^-11 of itself, evenly spread.
 */
#define ROUNDING_VARIANCE (2.0 / 3 * 0x1p-22)
/* Keeps error_sd above 0 for a neuron without weights. */
#define LEAST_VARIANCE 1e-12

/* Matrices on the way; (rank, width) ones have a row for each dimension that is kept. */
struct work {
	const struct regression *in;
	double tau;
	double *square;	 /* (width, width): W^T W, then what its eigenvectors are taken of */
	double *product; /* (width, width): a product, then the error covariance of y */
	double *down;	 /* (rank, width) */
	double *y_map;	 /* (rank, width): y is about y_map^T down x, means left out */
	float *up;	 /* (rank, n_neurons) */
};

static int work_create(struct work *work, const struct regression *in, struct error *err)
{
	size_t square = in->width * in->width * sizeof(double);
	size_t thin = in->rank * in->width * sizeof(double);

	*work = (struct work){ .in = in };
	work->square = calloc(1, square);
	work->product = malloc(square);
	work->down = malloc(thin);
	work->y_map = malloc(thin);
	work->up = malloc(in->rank * in->n_neurons * sizeof(float));
	if (!work->square || !work->product || !work->down || !work->y_map || !work->up)
		return error_no_memory(err, "matrices of a regression");
	return 0;
}

static void work_destroy(struct work *work)
{
	free(work->square);
	free(work->product);
	free(work->down);
	free(work->y_map);
	free(work->up);
}

/*
 * in->xx + tau I = L L^T, L in the lower triangle of in->xx. The covariance comes
 * from sums with rounding errors: should those outweigh tau, a larger one is tried.
 */
static int factor(struct work *work, struct error *err)
{
	size_t d = work->in->width;
	double *diagonal = malloc(d * sizeof(double));
	double *xx = work->in->xx;
	double trace = 0;
	int info;

	if (!diagonal)
		return error_no_memory(err, "matrices of a regression");
	for (size_t i = 0; i < d; i++) {
		diagonal[i] = xx[i * d + i];
		trace += diagonal[i];
	}
	/* Inputs that never change foretell nothing, which any tau will find. */
	work->tau = trace > 0 ? REGRESSION_RIDGE * trace / (double)d : 1;
	info = isfinite(trace) ? 1 : -1;
	for (double limit = work->tau / REGRESSION_RIDGE; info > 0 && work->tau <= limit;) {
		for (size_t i = 0; i < d; i++) {
			for (size_t j = 0; j < i; j++)
				xx[i * d + j] = xx[j * d + i];
			xx[i * d + i] = diagonal[i] + work->tau;
		}
		/* What LAPACK takes for the upper triangle by columns is the lower one by rows. */
		info = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'U', (lapack_int)d, xx, (lapack_int)d);
		if (info > 0)
			work->tau *= 10;
	}
	free(diagonal);
	if (info)
		return error_set(err, -ERANGE,
				 "the covariance of the inputs cannot be factored: "
				 "the trace holds infinite or huge inputs");
	return 0;
}

/* square = W^T W: the rows of W, taken for a stream of vectors. */
static int weights_gram(const struct compute *compute, struct work *work, struct error *err)
{
	const struct regression *in = work->in;
	struct vector_block *block;
	int ret = vector_block_create(in->width, &block, err);

	if (ret < 0)
		return ret;
	for (size_t row = 0; row < in->n_neurons; row += COVARIANCE_BLOCK) {
		size_t left = in->n_neurons - row;

		vector_block_fill(compute, block, in->weights + row * in->width,
				  left < COVARIANCE_BLOCK ? left : COVARIANCE_BLOCK);
		covariance_add(compute, work->square, block, block);
	}
	covariance_mirror(work->square, in->width);
	vector_block_free(block);
	return 0;
}

/* down's rows = the last, that is strongest, eigenvectors of the matrix in `square`. */
static int strongest_directions(struct work *work, struct error *err)
{
	lapack_int d = (lapack_int)work->in->width, rank = (lapack_int)work->in->rank;
	double *values = malloc(work->in->width * sizeof(*values));
	lapack_int *support = malloc(2 * work->in->rank * sizeof(*support)), found = 0;
	int info, ret = 0;

	if (!values || !support) {
		ret = error_no_memory(err, "matrices of a regression");
		goto out;
	}
	info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'L', d, work->square, d, 0, 0,
			      d - rank + 1, d, 0, &found, values, work->down, d, support);
	if (info || found != rank)
		ret = error_set(err, -ERANGE,
				"no eigenvectors for a regression of rank %d (LAPACK "
				"dsyevr: %d): the trace holds infinite or huge inputs",
				(int)rank, info);
out:
	free(support);
	free(values);
	return ret;
}

/* down and y_map; leaves Z in in->xy. */
static int reduce(struct work *work, struct error *err)
{
	const struct regression *in = work->in;
	int d = (int)in->width, rank = (int)in->rank, ret;

	cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, d, d, 1,
		    in->xx, d, in->xy, d);
	cblas_dsymm(CblasRowMajor, CblasRight, CblasLower, d, d, 1, work->square, d, in->xy, d, 0,
		    work->product, d);
	cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, d, d, d, 1, work->product, d, in->xy,
		    d, 0, work->square, d);
	ret = strongest_directions(work, err);
	if (ret < 0)
		return ret;
	cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rank, d, d, 1, work->down, d, in->xy,
		    d, 0, work->y_map, d);
	cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, rank, d, 1,
		    in->xx, d, work->down, d);
	return 0;
}

/*
 * product = the covariance of y - y_map^T down x. As down (Cxx + tau I) down^T = I
 * and down Cxy = y_map, it is Cyy - y_map^T (I + tau down down^T) y_map. Z and W^T W
 * are not needed any more; their memory is used for what is in between.
 */
static void error_covariance(struct work *work)
{
	const struct regression *in = work->in;
	int d = (int)in->width, rank = (int)in->rank;
	double *overlap = work->square, *inner = in->xy;

	cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rank, rank, d, work->tau, work->down,
		    d, work->down, d, 0, overlap, rank);
	memcpy(inner, work->y_map, in->rank * in->width * sizeof(double));
	cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rank, d, rank, 1, overlap, rank,
		    work->y_map, d, 1, inner, d);
	memcpy(work->product, in->yy, in->width * in->width * sizeof(double));
	cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, d, d, rank, -1, work->y_map, d, inner,
		    d, 1, work->product, d);
}

static void narrow(float *to, const double *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (float)from[i];
}

/* up = W y_map^T, but for the turn: a row for each dimension that is kept. */
static int map_to_neurons(const struct compute *compute, struct work *work, struct error *err)
{
	const struct regression *in = work->in;
	float *y_map = malloc(in->rank * in->width * sizeof(*y_map));

	if (!y_map)
		return error_no_memory(err, "matrices of a regression");
	narrow(y_map, work->y_map, in->rank * in->width);
	linear(compute, work->up, in->weights, NULL, y_map, in->rank, in->n_neurons, in->width);
	free(y_map);
	return 0;
}

static int estimate_errors(const struct compute *compute, const struct work *work, float *error_sd,
			   struct error *err)
{
	const struct regression *in = work->in;
	double *variances = malloc(in->n_neurons * sizeof(*variances));
	int ret;

	if (!variances)
		return error_no_memory(err, "matrices of a regression");
	ret = covariance_of_rows(compute, in->weights, in->n_neurons, in->width, work->product,
				 variances, err);
	for (size_t j = 0; ret == 0 && j < in->n_neurons; j++) {
		double explained = 0; /* what `down` gives has variance 1 in each dimension */

		for (size_t k = 0; k < in->rank; k++)
			explained += (double)work->up[k * in->n_neurons + j] *
				     work->up[k * in->n_neurons + j];
		error_sd[j] = (float)sqrt(fmax(variances[j], 0) + ROUNDING_VARIANCE * explained +
					  LEAST_VARIANCE);
	}
	free(variances);
	return ret;
}

static double largest_down(const struct work *work, size_t k)
{
	double largest = 0;

	for (size_t i = 0; i < work->in->width; i++)
		largest = fmax(largest, fabs(work->down[k * work->in->width + i]));
	return largest;
}

static double largest_up(const struct work *work, size_t k)
{
	double largest = 0;

	for (size_t j = 0; j < work->in->n_neurons; j++)
		largest = fmax(largest, fabsf(work->up[k * work->in->n_neurons + j]));
	return largest;
}

static bool finite_half(uint16_t half)
{
	return (half & 0x7c00) != 0x7c00;
}

/*
 * down and up in f16. Each dimension may be scaled on one side as long as the
 * other makes up for it: a power of two brings their largest entries together,
 * which keeps both away from the ends of f16's range.
 */
static int round_map(const struct work *work, const struct predictor_layer *map, struct error *err)
{
	const struct regression *in = work->in;
	bool finite = true;

	for (size_t k = 0; k < in->rank; k++) {
		double down = largest_down(work, k), up = largest_up(work, k);
		int shift = down > 0 && up > 0 ? (int)lrint(log2(up / down) / 2) : 0;

		for (size_t i = 0; i < in->width; i++) {
			double value = ldexp(work->down[k * in->width + i], shift);

			map->down[k * in->width + i] = f32_to_f16((float)value);
			finite &= finite_half(map->down[k * in->width + i]);
		}
		for (size_t j = 0; j < in->n_neurons; j++) {
			float value = ldexpf(work->up[k * in->n_neurons + j], -shift);

			map->up[j * in->rank + k] = f32_to_f16(value);
			finite &= finite_half(map->up[j * in->rank + k]);
		}
	}
	if (!finite)
		return error_set(err, -ERANGE,
				 "the predictor has entries beyond the range of f16: "
				 "the trace holds infinite or huge inputs");
	return 0;
}

/* bias = b + W mean(y) - up down mean(x), with the map as rounded. */
static int fit_bias(const struct compute *compute, const struct regression *in,
		    const struct predictor_layer *map, struct error *err)
{
	float *mean = malloc(in->width * sizeof(*mean));
	float *hidden = malloc(in->rank * sizeof(*hidden));
	float *score = malloc(in->n_neurons * sizeof(*score));
	int ret = 0;

	if (!mean || !hidden || !score) {
		ret = error_no_memory(err, "matrices of a regression");
		goto out;
	}
	narrow(mean, in->mean_y, in->width);
	linear(compute, map->bias, in->weights, in->bias, mean, 1, in->n_neurons, in->width);
	narrow(mean, in->mean_x, in->width);
	linear(compute, hidden, map->down, NULL, mean, 1, in->rank, in->width);
	linear(compute, score, map->up, NULL, hidden, 1, in->n_neurons, in->rank);
	for (size_t j = 0; j < in->n_neurons; j++)
		map->bias[j] -= score[j];
out:
	free(score);
	free(hidden);
	free(mean);
	return ret;
}

int regression_fit(const struct compute *compute, const struct regression *regression,
		   const struct predictor_layer *map, float *error_sd, struct error *err)
{
	struct work work;
	int ret = work_create(&work, regression, err);

	if (ret == 0)
		ret = factor(&work, err);
	if (ret == 0)
		ret = weights_gram(compute, &work, err);
	if (ret == 0)
		ret = reduce(&work, err);
	if (ret < 0)
		goto out;
	error_covariance(&work);
	ret = map_to_neurons(compute, &work, err);
	if (ret == 0)
		ret = estimate_errors(compute, &work, error_sd, err);
	if (ret == 0)
		ret = round_map(&work, map, err);
	if (ret == 0)
		ret = fit_bias(compute, regression, map, err);
out:
	work_destroy(&work);
	return ret;
}
