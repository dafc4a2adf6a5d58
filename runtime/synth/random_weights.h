/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random f16 weights, as fast as memory: +-[s, 2s) with s a power of two, uniform in size.
 * Signs and fractions are random bits, and the exponent is the same for all.
 */
#ifndef COLINK_SYNTH_RANDOM_WEIGHTS_H
#define COLINK_SYNTH_RANDOM_WEIGHTS_H

#include <math.h>
#include <stdint.h>

#include "base/random.h"

/* Mean square of such a weight, in units of s^2. */
#define RANDOM_WEIGHTS_POWER (7.0 / 3)

/* log2 of s near 1 / (2 sqrt(n)): a sum over n inputs of size 1 has a size below 1 then. */
static inline int random_weights_scale(uint32_t n)
{
	return (int)floor(-log2(2 * sqrt(n)));
}

/* Four weights in place: fill with as many words as are needed. */
static inline uint64_t random_weights(struct random_state *random, int scale)
{
	const uint64_t kept = UINT64_C(0x83ff83ff83ff83ff);

	return (random_next(random) & kept) |
	       (uint64_t)(scale + 15) * UINT64_C(0x0400040004000400);
}

#endif
