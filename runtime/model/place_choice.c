// SPDX-License-Identifier: GPL-2.0-only
#include "model/place_choice.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

/* Once more after the first choice, and again if that has changed anything. */
#define PASSES 2
/* Bundles: more costs as much as more than a layer has. */
#define MAX_IO 4294967296.0

/* A set of positions, and how far it matters where the next one is. */
struct chosen_positions {
	uint64_t *set;
	size_t n;
	double io; /* bundles: the most that a gap costs */
	size_t reach; /* positions: a gap as long costs that */
};

int place_choice_create(uint32_t n_neurons, struct place_choice *choice, struct error *err)
{
	choice->neurons = malloc(((size_t)n_neurons + 1) * sizeof(*choice->neurons));
	choice->chosen = malloc(((size_t)n_neurons + 1) * sizeof(*choice->chosen));
	if (choice->neurons && choice->chosen)
		return 0;
	place_choice_free(choice);
	return error_no_memory(err, "choosing places of neurons");
}

void place_choice_free(struct place_choice *choice)
{
	free(choice->neurons);
	free(choice->chosen);
	*choice = (struct place_choice){ 0 };
}

/* Positions between this one and the next chosen one before it; `reach` if none is nearer. */
static size_t gap_before(const struct chosen_positions *chosen, size_t position)
{
	size_t word = position / 64;
	uint64_t rest = chosen->set[word] & ((UINT64_C(1) << (position % 64)) - 1);

	while (!rest) {
		if (word == 0 || position - word * 64 >= chosen->reach)
			return chosen->reach;
		rest = chosen->set[--word];
	}
	return position - 1 - (word * 64 + 63 - (size_t)__builtin_clzll(rest));
}

static size_t gap_behind(const struct chosen_positions *chosen, size_t position)
{
	size_t next = position + 1, word = next / 64;
	size_t words = bits_words(chosen->n);
	uint64_t rest;

	if (next >= chosen->n)
		return chosen->reach;
	rest = chosen->set[word] >> (next % 64);
	if (rest)
		return (size_t)__builtin_ctzll(rest);
	while (++word < words && word * 64 - next < chosen->reach)
		if (chosen->set[word])
			return word * 64 - next + (size_t)__builtin_ctzll(chosen->set[word]);
	return chosen->reach;
}

static double gap_cost(const struct chosen_positions *chosen, size_t gap)
{
	return (double)gap < chosen->io ? (double)gap : chosen->io;
}

/* What reading one more position adds; less than nothing if it is read over anyway. */
static double added_cost(const struct chosen_positions *chosen, size_t position)
{
	size_t before = gap_before(chosen, position), behind = gap_behind(chosen, position);

	return gap_cost(chosen, before) + gap_cost(chosen, behind) -
	       gap_cost(chosen, before + 1 + behind);
}

/* The cheapest of the neuron's places; of equal ones the first. */
static uint32_t cheapest(const struct chosen_positions *chosen, const struct places *places,
			 uint32_t neuron)
{
	uint32_t best = places->positions[places->first[neuron]];
	double least = added_cost(chosen, best);

	for (uint32_t i = places->first[neuron] + 1; i < places->first[neuron + 1]; i++) {
		double cost = added_cost(chosen, places->positions[i]);

		if (cost < least) {
			least = cost;
			best = places->positions[i];
		}
	}
	return best;
}

/* What has one place only; returns how many have not. */
static uint32_t choose_single(struct place_choice *choice, const struct places *places,
			      const uint64_t *wanted, const struct chosen_positions *chosen)
{
	size_t n = places->n_neurons;
	uint32_t several = 0;

	for (size_t i = bits_next(wanted, n, 0); i < n; i = bits_next(wanted, n, i + 1)) {
		if (places_count(places, (uint32_t)i) == 1)
			bits_set(chosen->set, places->positions[places->first[i]]);
		else
			choice->neurons[several++] = (uint32_t)i;
	}
	return several;
}

static bool choose_again(struct place_choice *choice, const struct places *places, uint32_t several,
			 const struct chosen_positions *chosen)
{
	bool changed = false;

	for (uint32_t i = 0; i < several; i++) {
		uint32_t was = choice->chosen[i];

		bits_clear(chosen->set, was);
		choice->chosen[i] = cheapest(chosen, places, choice->neurons[i]);
		bits_set(chosen->set, choice->chosen[i]);
		changed |= choice->chosen[i] != was;
	}
	return changed;
}

void place_choice_make(struct place_choice *choice, const struct places *places,
		       const uint64_t *wanted, double io_bundles, uint64_t *set)
{
	const double io = io_bundles < MAX_IO ? io_bundles : MAX_IO;
	const struct chosen_positions chosen = {
		.set = set,
		.n = places->n_positions,
		.io = io,
		.reach = (size_t)io + 1,
	};
	uint32_t several;

	memset(set, 0, bits_words(chosen.n) * sizeof(*set));
	several = choose_single(choice, places, wanted, &chosen);
	for (uint32_t i = 0; i < several; i++) {
		choice->chosen[i] = cheapest(&chosen, places, choice->neurons[i]);
		bits_set(set, choice->chosen[i]);
	}
	for (int pass = 0; pass < PASSES; pass++)
		if (!choose_again(choice, places, several, &chosen))
			break;
}
