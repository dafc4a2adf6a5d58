/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reduced-rank ridge regression of a layer's activations before relu,
 *   a = W y + b,
 * on a vector x, from the covariances of x and y (Izenman 1975, "Reduced-rank
 * regression for the multivariate linear model").
 *
 * With L L^T = Cxx + tau I and Z = L^-1 Cxy, the ridge regression of y on the
 * whitened x is Z, that of a is Z W^T, and the best map of rank r goes through
 * the r first eigenvectors u of Z W^T W Z^T:
 *   down = u^T L^-1, up = W (u^T Z)^T, bias = b + W mean(y) - up down mean(x)
 * Since y has d elements and a has many more, all but W^T W and the last product
 * are matrices of d x d; about 12 d^3 + 3 n d^2 operations. The former are
 * LAPACK's, which runs on threads of its own, if at all.
 */
#ifndef COLINK_INFER_REGRESSION_H
#define COLINK_INFER_REGRESSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "infer/linear.h"
#include "infer/predictor.h"

/* tau, in units of the mean variance of an element of x. */
#define REGRESSION_RIDGE 1e-4

struct regression {
	size_t width; /* elements of x and of y */
	size_t n_neurons;
	size_t rank; /* at most width */
	double *xx; /* (width, width) covariance; overwritten */
	double *xy; /* (width, width) covariance, rows by x; overwritten */
	const double *yy; /* (width, width) covariance */
	const double *mean_x;
	const double *mean_y;
	const uint16_t *weights; /* W: (n_neurons, width) f16 */
	const float *bias; /* b */
};

/*
 * Fills `map`, whose scores up . (down . x) + bias estimate a, and error_sd
 * (n_neurons): the standard deviation of the estimate's error, what rounding of
 * the map to f16 adds included; more than 0. Fails with -ENOMEM, or -ERANGE when
 * the covariances or the map are not finite.
 */
int regression_fit(const struct compute *compute, const struct regression *regression,
		   const struct predictor_layer *map, float *error_sd, struct error *err);

#endif
