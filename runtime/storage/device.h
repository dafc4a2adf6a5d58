/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an I/O costs: t = a * ios + b * bytes. The ratio a/b, in bytes, is the
 * break-even gap: reading over a shorter gap is cheaper than another I/O.
 */
#ifndef COLINK_STORAGE_DEVICE_H
#define COLINK_STORAGE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct device_cost {
	double a_us; /* microseconds per I/O */
	double b_us_per_mib; /* microseconds per MiB */
};

/* The fit to a UFS 4.0 phone in arXiv 2410.19274: a/b is 16 KiB. */
#define DEVICE_COST_UFS4 ((struct device_cost){ .a_us = 8.5, .b_us_per_mib = 540 })

/*
 * Whether a device can cost that: up to a second for an I/O, from 1 us (a TB/s) to a quarter
 * of an hour for a MiB. What a file says is checked by this before anybody computes with it.
 */
static inline bool device_cost_is_possible(struct device_cost cost)
{
	return cost.a_us >= 0 && cost.a_us <= 1e6 && cost.b_us_per_mib >= 1 &&
	       cost.b_us_per_mib <= 1e9;
}

static inline uint64_t device_break_even_bytes(struct device_cost cost)
{
	return (uint64_t)(cost.a_us / cost.b_us_per_mib * 1048576);
}

static inline double device_time_us(struct device_cost cost, uint64_t ios, uint64_t bytes)
{
	return cost.a_us * (double)ios + cost.b_us_per_mib * (double)bytes / 1048576;
}

#endif
