/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device cost from measured times: the a and b for which a + b * bytes is, as a share
 * of the time, closest to what an I/O of each size took. As a share, since a microsecond is
 * much for an I/O of 4 KiB and nothing for one of 1 MiB.
 *
 * The machine is noisy: with Huber's weights ("Robust Estimation of a Location Parameter",
 * 1964) a sample that is far off pulls no harder than one that is a little off, so that some
 * slow ones among many move the fit by a per cent or two, not by as much as they are slow.
 */
#ifndef COLINK_STORAGE_DEVICE_FIT_H
#define COLINK_STORAGE_DEVICE_FIT_H

#include <stddef.h>

#include "base/error.h"
#include "storage/device.h"

/* A sample: with many of this size in flight, one took so long. */
struct device_point {
	double bytes; /* of an I/O, above 0 */
	double us; /* of the device's time, above 0 */
};

/*
 * Fit to `n` points. Fails with -EINVAL when they are not of two sizes at least or one is
 * not a finite number above 0, and with -EDOM when larger I/Os take no longer than small
 * ones: there is no b then, and no break-even. Where I/Os as such are free, a is 0.
 * Thread-safe.
 */
int device_fit(const struct device_point *points, size_t n, struct device_cost *cost,
	       struct error *err);

/* What the cost says of an I/O of that size against what it took, as a share: 0.1 is 10 % more. */
double device_fit_error(struct device_cost cost, struct device_point point);

#endif
