/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sums and products of sizes in bytes that do not wrap: what is too large for 64 bits stays
 * at AMOUNT_MOST, which no memory has. So a model with absurd sizes is found too large, not
 * small.
 */
#ifndef COLINK_BASE_AMOUNT_H
#define COLINK_BASE_AMOUNT_H

#include <stdint.h>

#define AMOUNT_MOST UINT64_MAX

static inline uint64_t amount_sum(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? AMOUNT_MOST : sum;
}

static inline uint64_t amount_product(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? AMOUNT_MOST : product;
}

/* The next multiple of `unit`, which is not 0. */
static inline uint64_t amount_round_up(uint64_t amount, uint64_t unit)
{
	return amount_product(amount / unit + (amount % unit != 0), unit);
}

#endif
