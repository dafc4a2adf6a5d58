// SPDX-License-Identifier: GPL-2.0-only
/*
 * The most frequent companions of every neuron, in one pass over the matrix. It is done for a
 * strip of neighbouring neurons at a time: first the lower neurons' rows, of which the strip
 * is a short piece, then the strip's own rows. Others come in ascending order to each neuron,
 * so what has as high a count as the last of its list comes too late.
 */
#include <stdbool.h>

#include "placement/coactivation.h"

#define STRIP 64 /* neurons: a piece of a row is two or four lines of the cache */

/* A neuron's list so far. */
struct friend_list {
	uint32_t *friends;
	uint32_t counts[COACTIVATION_MOST_FRIENDS];
	uint32_t n;
};

struct strip {
	const struct coactivation *coactivation;
	uint32_t n_friends; /* wanted */
	uint32_t first, n; /* its neurons */
	uint32_t lowest[STRIP]; /* counts from here on come into the neuron's list */
	struct friend_list lists[STRIP];
};

static void insert(struct strip *strip, uint32_t neuron, uint32_t other, uint32_t count)
{
	struct friend_list *list = &strip->lists[neuron - strip->first];
	uint32_t at = list->n < strip->n_friends ? list->n++ : strip->n_friends - 1;

	for (; at && list->counts[at - 1] < count; at--) {
		list->counts[at] = list->counts[at - 1];
		list->friends[at] = list->friends[at - 1];
	}
	list->counts[at] = count;
	list->friends[at] = other;
	if (list->n == strip->n_friends)
		strip->lowest[neuron - strip->first] = list->counts[list->n - 1] + 1;
}

static uint32_t count_at(const struct coactivation *coactivation, size_t at)
{
	return coactivation->narrow ? coactivation->narrow[at] : coactivation->wide[at];
}

/* Most pieces have nothing for any list: that is found out without a branch for each. */
static bool any_comes_in(const struct strip *strip, size_t at)
{
	const struct coactivation *coactivation = strip->coactivation;
	uint32_t any = 0;

	if (strip->n < STRIP)
		return true;
	if (coactivation->narrow)
		for (uint32_t i = 0; i < STRIP; i++)
			any |= coactivation->narrow[at + i] >= strip->lowest[i];
	else
		for (uint32_t i = 0; i < STRIP; i++)
			any |= coactivation->wide[at + i] >= strip->lowest[i];
	return any;
}

/* Neurons below the strip, as others of all in it. */
static void add_lower(struct strip *strip)
{
	for (uint32_t other = 0; other < strip->first; other++) {
		size_t at = coactivation_at(strip->coactivation, other) + strip->first - other - 1;

		if (!any_comes_in(strip, at))
			continue;
		for (uint32_t i = 0; i < strip->n; i++) {
			uint32_t count = count_at(strip->coactivation, at + i);

			if (count >= strip->lowest[i])
				insert(strip, strip->first + i, other, count);
		}
	}
}

static void add_within(struct strip *strip, uint32_t neuron)
{
	for (uint32_t other = strip->first; other < neuron; other++) {
		uint32_t count = coactivation_pair(strip->coactivation, other, neuron);

		if (count >= strip->lowest[neuron - strip->first])
			insert(strip, neuron, other, count);
	}
}

/* The highest of a piece of a row. */
static uint32_t highest(const struct coactivation *coactivation, size_t at, uint32_t n)
{
	uint32_t most = 0;

	if (coactivation->narrow) {
		uint16_t narrow = 0;

		for (uint32_t i = 0; i < n; i++)
			narrow = coactivation->narrow[at + i] > narrow
					 ? coactivation->narrow[at + i]
					 : narrow;
		return narrow;
	}
	for (uint32_t i = 0; i < n; i++)
		most = coactivation->wide[at + i] > most ? coactivation->wide[at + i] : most;
	return most;
}

static void add_higher(struct strip *strip, uint32_t neuron)
{
	const struct coactivation *coactivation = strip->coactivation;
	const uint32_t *lowest = &strip->lowest[neuron - strip->first];
	size_t row = coactivation_at(coactivation, neuron);
	uint32_t length = coactivation->n_neurons - neuron - 1;

	for (uint32_t begin = 0; begin < length; begin += STRIP) {
		uint32_t n = length - begin < STRIP ? length - begin : STRIP;

		if (highest(coactivation, row + begin, n) < *lowest)
			continue;
		for (uint32_t i = begin; i < begin + n; i++) {
			uint32_t count = count_at(coactivation, row + i);

			if (count >= *lowest)
				insert(strip, neuron, neuron + 1 + i, count);
		}
	}
}

struct finding {
	const struct coactivation *coactivation;
	uint32_t n_friends;
	uint32_t *friends;
};

static void find_friends(void *arg, size_t begin, size_t end)
{
	const struct finding *finding = arg;
	uint32_t n = finding->coactivation->n_neurons;

	for (size_t s = begin; s < end; s++) {
		struct strip strip = {
			.coactivation = finding->coactivation,
			.n_friends = finding->n_friends,
			.first = (uint32_t)(s * STRIP),
		};

		strip.n = n - strip.first < STRIP ? n - strip.first : STRIP;
		for (uint32_t i = 0; i < strip.n; i++) {
			strip.lowest[i] = 1;
			strip.lists[i].friends =
				finding->friends + (strip.first + i) * (size_t)finding->n_friends;
		}
		add_lower(&strip);
		for (uint32_t i = 0; i < strip.n; i++) {
			add_within(&strip, strip.first + i);
			add_higher(&strip, strip.first + i);
			for (uint32_t k = strip.lists[i].n; k < strip.n_friends; k++)
				strip.lists[i].friends[k] = COACTIVATION_NO_FRIEND;
		}
	}
}

void coactivation_friends(const struct coactivation *coactivation, uint32_t n_friends,
			  struct thread_pool *pool, uint32_t *friends)
{
	struct finding finding = { coactivation, n_friends, friends };

	thread_pool_run(pool, (coactivation->n_neurons + STRIP - 1) / STRIP, 1, find_friends,
			&finding);
}
