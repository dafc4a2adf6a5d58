/* SPDX-License-Identifier: GPL-2.0-only */
/* The middle of some figures, which one noisy run among them does not move. */
#ifndef COLINK_BASE_MEDIAN_H
#define COLINK_BASE_MEDIAN_H

#include <stddef.h>

/* Of n > 0 values, which it sorts. Of an even number: the mean of the two in the middle. */
double median(double *values, size_t n);

#endif
