/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets of small integers as arrays of 64-bit words. The caller owns the words. */
#ifndef COLINK_BASE_BITS_H
#define COLINK_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Words needed for a set of the integers 0 .. n-1. */
static inline size_t bits_words(size_t n)
{
	return (n + 63) / 64;
}

static inline bool bits_test(const uint64_t *set, size_t i)
{
	return set[i / 64] >> (i % 64) & 1;
}

static inline void bits_set(uint64_t *set, size_t i)
{
	set[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline void bits_clear(uint64_t *set, size_t i)
{
	set[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

/* How many integers are in the set of `words` words. */
static inline size_t bits_count(const uint64_t *set, size_t words)
{
	size_t count = 0;

	for (size_t w = 0; w < words; w++)
		count += (size_t)__builtin_popcountll(set[w]);
	return count;
}

/*
 * The smallest member >= from, or n when there is none. `n` is the size given
 * to bits_words(); bits at n and above must be clear.
 *
 *	for (size_t i = bits_next(set, n, 0); i < n; i = bits_next(set, n, i + 1))
 */
static inline size_t bits_next(const uint64_t *set, size_t n, size_t from)
{
	size_t word = from / 64;
	uint64_t rest;

	if (from >= n)
		return n;
	rest = set[word] & ~UINT64_C(0) << (from % 64);
	while (!rest) {
		if (++word == bits_words(n))
			return n;
		rest = set[word];
	}
	return word * 64 + (size_t)__builtin_ctzll(rest);
}

#endif
