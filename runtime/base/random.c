// SPDX-License-Identifier: GPL-2.0-only
#include "base/random.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void random_seed(struct random_state *state, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		state->s[i] = splitmix64(&seed);
}

static uint64_t rotate_left(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

uint64_t random_next(struct random_state *state)
{
	uint64_t *s = state->s;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint64_t random_below(struct random_state *state, uint64_t limit)
{
	uint64_t threshold = -limit % limit; /* 2^64 mod limit values are refused */
	uint64_t x;

	do {
		x = random_next(state);
	} while (x < threshold);
	return x % limit;
}

double random_unit(struct random_state *state)
{
	return (double)(random_next(state) >> 11) * 0x1p-53;
}

double random_normal(struct random_state *state)
{
	double u, v, s;

	do {
		u = 2 * random_unit(state) - 1;
		v = 2 * random_unit(state) - 1;
		s = u * u + v * v;
	} while (s >= 1 || s == 0);
	return u * sqrt(-2 * log(s) / s);
}

void random_permutation(struct random_state *state, uint32_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = (uint32_t)random_below(state, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
}
