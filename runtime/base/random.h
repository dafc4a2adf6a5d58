/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reproducible pseudo-random numbers: xoshiro256** (Blackman and Vigna, 2018),
 * seeded by splitmix64. The same seed gives the same numbers on every machine.
 */
#ifndef COLINK_BASE_RANDOM_H
#define COLINK_BASE_RANDOM_H

#include <stdint.h>

struct random_state {
	uint64_t s[4];
};

void random_seed(struct random_state *state, uint64_t seed);

/* 64 uniform bits. */
uint64_t random_next(struct random_state *state);

/* Uniform in [0, limit), without bias; limit > 0. */
uint64_t random_below(struct random_state *state, uint64_t limit);

/* Uniform in [0, 1), 53 bits. */
double random_unit(struct random_state *state);

/* Normal, mean 0, deviation 1 (polar method). */
double random_normal(struct random_state *state);

/* A uniformly random permutation of 0 .. n-1 into order[n]. */
void random_permutation(struct random_state *state, uint32_t *order, uint32_t n);

#endif
