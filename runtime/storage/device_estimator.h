/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device cost that follows the device: exponentially forgotten least squares of
 * a * ios + b * bytes against the time that the device was busy with them, each
 * observation as a share of its time.
 *
 * What a model reads differs little from token to token, so that often only the sum of
 * both terms is told well, not which of the two has grown. Therefore it is in the sums, with
 * a small weight, that a / b is as at first: where the observations do not tell a from b,
 * both grow alike and the break-even gap stays as it was.
 *
 * Guards: an observation moves a and b by a tenth at most, one that is far too slow or too
 * fast counts as a bad fit and not by how bad, and neither gets further from the first cost
 * than DEVICE_ESTIMATOR_RANGE times.
 *
 * A device limited by I/Os or by bytes, whichever binds, is followed as well: where bytes
 * bind, a falls and b grows, the gap shrinks, and reading over gaps stops.
 */
#ifndef COLINK_STORAGE_DEVICE_ESTIMATOR_H
#define COLINK_STORAGE_DEVICE_ESTIMATOR_H

#include <stdint.h>

#include "storage/device.h"

#define DEVICE_ESTIMATOR_RANGE 16.0

struct device_estimator {
	struct device_cost cost; /* as it is now; read it at any time */
	uint64_t observations;
	/* For itself: what a and b are shares of, and the sums of the normal equations. */
	struct device_cost unit;
	double ratio; /* of the first a and b, in units */
	double aa, ab, bb, a1, b1;
};

/* The cost has to be possible (device_cost_is_possible()). */
void device_estimator_init(struct device_estimator *estimator, struct device_cost cost);

/* A device that was never idle took `us` for so many I/Os and bytes. Zeros are ignored. */
void device_estimator_observe(struct device_estimator *estimator, uint64_t ios, uint64_t bytes,
			      double us);

#endif
