/* SPDX-License-Identifier: GPL-2.0-only */
/* Time that only goes forward, for measuring how long something takes. */
#ifndef COLINK_BASE_CLOCK_H
#define COLINK_BASE_CLOCK_H

#include <time.h>

/* Milliseconds since some moment that stays the same while the machine runs. */
static inline double clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/* Seconds since the mark, a clock_ms(), which moves on. */
static inline double clock_lap_s(double *mark_ms)
{
	double now = clock_ms(), seconds = (now - *mark_ms) / 1e3;

	*mark_ms = now;
	return seconds;
}

#endif
