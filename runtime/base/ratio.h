/* SPDX-License-Identifier: GPL-2.0-only */
/* Shares and means of counts that may be none. */
#ifndef COLINK_BASE_RATIO_H
#define COLINK_BASE_RATIO_H

/* part / whole, and 0 of nothing. */
static inline double ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

#endif
