// SPDX-License-Identifier: GPL-2.0-only
/*
 * 2-opt and Or-opt with lists of friends, as Johnson and McGeoch describe them (Local Search in
 * Combinatorial Optimization, 1997). Slots in front of the first and behind the last one exist
 * and are linked to nothing, so that ends need no rules of their own.
 */
#include "bench/path_search.h"

#include <stdbool.h>
#include <stdlib.h>

#define N_FRIENDS 10
#define LONGEST_MOVED 3

struct path {
	long n;
	uint32_t *pairs;		/* (n, n) */
	uint32_t *neuron;		/* (n), by slot */
	uint32_t *slot;			/* (n), by neuron */
	uint32_t (*friends)[N_FRIENDS]; /* (n), the best one first, itself where there is none */
};

static int64_t count(const struct path *path, long slot, long other)
{
	if (slot < 0 || other < 0 || slot >= path->n || other >= path->n)
		return 0;
	return path->pairs[(size_t)path->neuron[slot] * (size_t)path->n + path->neuron[other]];
}

static void reverse(struct path *path, long first, long last)
{
	for (; first < last; first++, last--) {
		uint32_t neuron = path->neuron[first];

		path->neuron[first] = path->neuron[last];
		path->neuron[last] = neuron;
		path->slot[path->neuron[first]] = (uint32_t)first;
		path->slot[path->neuron[last]] = (uint32_t)last;
	}
	if (first == last)
		path->slot[path->neuron[first]] = (uint32_t)first;
}

/* Reverse what lies between two slots so that they, or their neighbours, become neighbours. */
static bool try_reversal(struct path *path, long low, long high)
{
	const long first[] = { low + 1, low }, last[] = { high, high - 1 };

	for (int side = 0; side < 2; side++) {
		int64_t gain = count(path, first[side] - 1, last[side]) +
			       count(path, first[side], last[side] + 1) -
			       count(path, first[side] - 1, first[side]) -
			       count(path, last[side], last[side] + 1);

		if (gain > 0) {
			reverse(path, first[side], last[side]);
			return true;
		}
	}
	return false;
}

/* Put slots first .. last behind slot `to`, or in front of it; turned round if asked for. */
static void move(struct path *path, long first, long last, long to, bool behind, bool turned)
{
	if (turned)
		reverse(path, first, last);
	if (to > last) {
		to -= !behind;
		reverse(path, first, last);
		reverse(path, last + 1, to);
		reverse(path, first, to);
	} else {
		to += behind;
		reverse(path, to, first - 1);
		reverse(path, first, last);
		reverse(path, to, last);
	}
}

/* Move slots of which `end` is one, and `other` the last or the first, beside the slot `to`. */
static bool try_move(struct path *path, long end, long other, long to)
{
	const long first = end < other ? end : other, last = end < other ? other : end;
	const int64_t left = count(path, first - 1, first) + count(path, last, last + 1) -
			     count(path, first - 1, last + 1);

	if (first < 0 || last >= path->n || (to >= first && to <= last))
		return false;
	for (int side = -1; side <= 1; side += 2) {
		const long beyond = to + side;
		int64_t gain;

		if (beyond >= first && beyond <= last)
			continue;
		gain = count(path, end, to) + count(path, other, beyond) - count(path, to, beyond) -
		       left;
		if (gain > 0) {
			/* Behind `to` the stretch has to begin with `end`, in front to end so. */
			move(path, first, last, to, side > 0, (side > 0) != (end == first));
			return true;
		}
	}
	return false;
}

static bool improve_neuron(struct path *path, uint32_t neuron)
{
	for (int f = 0; f < N_FRIENDS; f++) {
		const long slot = path->slot[neuron];
		const long friend = path->slot[path->friends[neuron][f]];
		const int64_t gain = count(path, slot, friend);

		if (friend == slot ||
		    (gain <= count(path, slot, slot - 1) && gain <= count(path, slot, slot + 1)))
			return false;
		if (try_reversal(path, slot < friend ? slot : friend,
				 slot < friend ? friend : slot))
			return true;
		for (long length = 0; length < LONGEST_MOVED; length++)
			if (try_move(path, slot, slot + length, friend) ||
			    try_move(path, slot, slot - length, friend))
				return true;
	}
	return false;
}

static void find_friends(struct path *path)
{
	for (long i = 0; i < path->n; i++) {
		const uint32_t *row = path->pairs + (size_t)i * (size_t)path->n;
		uint32_t *friends = path->friends[i];
		int n = 0;

		for (uint32_t j = 0; j < path->n; j++) {
			int f;

			if (!row[j] || (n == N_FRIENDS && row[j] <= row[friends[n - 1]]))
				continue;
			n += n < N_FRIENDS;
			for (f = n - 1; f > 0 && row[friends[f - 1]] < row[j]; f--)
				friends[f] = friends[f - 1];
			friends[f] = j;
		}
		for (; n < N_FRIENDS; n++)
			friends[n] = (uint32_t)i;
	}
}

void path_search_improve(const struct coactivation *coactivation, uint32_t *slot_to_neuron)
{
	const size_t n = coactivation->n_neurons;
	struct path path = {
		.n = (long)n,
		.pairs = malloc(n * n * sizeof(*path.pairs)),
		.neuron = slot_to_neuron,
		.slot = malloc(n * sizeof(*path.slot)),
		.friends = malloc(n * sizeof(*path.friends)),
	};
	bool improved = true;

	if (!path.slot || !path.friends || !path.pairs)
		abort();
	for (uint32_t i = 0; i < n; i++)
		coactivation_row(coactivation, i, path.pairs + i * n);
	for (uint32_t slot = 0; slot < n; slot++)
		path.slot[slot_to_neuron[slot]] = slot;
	find_friends(&path);
	while (improved) {
		improved = false;
		for (uint32_t neuron = 0; neuron < n; neuron++)
			while (improve_neuron(&path, neuron))
				improved = true;
	}
	free(path.pairs);
	free(path.slot);
	free(path.friends);
}
