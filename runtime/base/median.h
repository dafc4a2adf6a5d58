/* SPDX-License-Identifier: GPL-2.0-only */
/* The middle of some figures, which one noisy run among them does not move; and their tail. */
#ifndef COLINK_BASE_MEDIAN_H
#define COLINK_BASE_MEDIAN_H

#include <stddef.h>

/* Of n > 0 values, which it sorts. Of an even number: the mean of the two in the middle. */
double median(double *values, size_t n);

/* The value that `share` of the n > 0 sorted ones do not exceed (nearest rank). */
double percentile(const double *sorted, size_t n, double share);

#endif
