// SPDX-License-Identifier: GPL-2.0-only
/*
 * Least squares with weights, repeated with the weights that the residuals give. Huber's
 * loss is convex, so whichever start leads to the same end; a few dozen repeats are more
 * than it takes.
 */
#include "storage/device_fit.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/median.h"

#define REPEATS 40
/* Where samples begin to count less, in deviations: Huber's usual choice. */
#define HUBER 1.345
/* From the median of distances to the deviation, if noise were normal. */
#define DEVIATIONS 1.4826
/* Samples that agree better than this are all as good. */
#define LEAST_DEVIATION 1e-4
/* A break-even gap beyond this means that b is 0, but for rounding. */
#define MOST_BREAK_EVEN_MIB 1024

static double time_of(struct device_cost cost, double bytes)
{
	return cost.a_us + cost.b_us_per_mib * bytes / 1048576;
}

double device_fit_error(struct device_cost cost, struct device_point point)
{
	return time_of(cost, point.bytes) / point.us - 1;
}

/*
 * Least squares of a / t + b * mib / t = 1. With `a` below 0 no device can be meant: then it
 * is 0, and b alone is fitted.
 */
static struct device_cost solve(const struct device_point *points, const double *weights, size_t n)
{
	double aa = 0, ab = 0, bb = 0, a1 = 0, b1 = 0, determinant;
	struct device_cost cost;

	for (size_t i = 0; i < n; i++) {
		double a = 1 / points[i].us, b = points[i].bytes / 1048576 / points[i].us;

		aa += weights[i] * a * a;
		ab += weights[i] * a * b;
		bb += weights[i] * b * b;
		a1 += weights[i] * a;
		b1 += weights[i] * b;
	}
	determinant = aa * bb - ab * ab;
	cost.a_us = (a1 * bb - b1 * ab) / determinant;
	cost.b_us_per_mib = (b1 * aa - a1 * ab) / determinant;
	if (!(cost.a_us >= 0))
		cost = (struct device_cost){ .a_us = 0, .b_us_per_mib = b1 / bb };
	return cost;
}

/* `scratch` has room for n. */
static void reweigh(const struct device_point *points, size_t n, struct device_cost cost,
		    double *weights, double *scratch)
{
	double limit;

	for (size_t i = 0; i < n; i++)
		scratch[i] = fabs(device_fit_error(cost, points[i]));
	limit = HUBER * fmax(DEVIATIONS * median(scratch, n), LEAST_DEVIATION);
	for (size_t i = 0; i < n; i++) {
		double distance = fabs(device_fit_error(cost, points[i]));

		weights[i] = distance > limit ? limit / distance : 1;
	}
}

static int check_points(const struct device_point *points, size_t n, struct error *err)
{
	bool sizes_differ = false;

	for (size_t i = 0; i < n; i++) {
		if (!(points[i].bytes > 0 && points[i].us > 0 && isfinite(points[i].bytes) &&
		      isfinite(points[i].us)))
			return error_set(err, -EINVAL, "%g bytes in %g us are no sample of a "
					 "device", points[i].bytes, points[i].us);
		sizes_differ |= points[i].bytes != points[0].bytes;
	}
	if (!sizes_differ)
		return error_set(err, -EINVAL, "a device cost takes reads of two sizes at least");
	return 0;
}

int device_fit(const struct device_point *points, size_t n, struct device_cost *result,
	       struct error *err)
{
	struct device_cost cost = { 0 };
	double *weights, *scratch;
	int ret;

	ret = check_points(points, n, err);
	if (ret < 0)
		return ret;
	weights = malloc(n * sizeof(*weights));
	scratch = malloc(n * sizeof(*scratch));
	if (!weights || !scratch) {
		ret = error_no_memory(err, "the fit of a device cost");
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		weights[i] = 1;
	for (int i = 0; i < REPEATS; i++) {
		cost = solve(points, weights, n);
		reweigh(points, n, cost, weights, scratch);
	}
	if (!(cost.b_us_per_mib * MOST_BREAK_EVEN_MIB > cost.a_us))
		ret = error_set(err, -EDOM, "large reads take no longer than small ones: that is "
				"not how a device behaves");
	else
		*result = cost;
out:
	free(weights);
	free(scratch);
	return ret;
}
