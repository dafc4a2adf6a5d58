// SPDX-License-Identifier: GPL-2.0-only
#include "placement/place_choice.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

/* Once more after the first choice, and again if that has changed anything. */
#define PASSES 2
/* Bundles: more costs as much as more than a layer has. */
#define MAX_IO 4294967296.0

/* A set of slots, and how far it matters where the next one is. */
struct chosen_slots {
	uint64_t *set;
	size_t n;
	double io; /* bundles: the most that a gap costs */
	size_t reach; /* slots: a gap as long costs that */
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

/* Slots between this one and the next chosen one before it; `reach` if none is nearer. */
static size_t gap_before(const struct chosen_slots *slots, size_t slot)
{
	size_t word = slot / 64;
	uint64_t rest = slots->set[word] & ((UINT64_C(1) << (slot % 64)) - 1);

	while (!rest) {
		if (word == 0 || slot - word * 64 >= slots->reach)
			return slots->reach;
		rest = slots->set[--word];
	}
	return slot - 1 - (word * 64 + 63 - (size_t)__builtin_clzll(rest));
}

static size_t gap_behind(const struct chosen_slots *slots, size_t slot)
{
	size_t next = slot + 1, word = next / 64;
	size_t words = bits_words(slots->n);
	uint64_t rest;

	if (next >= slots->n)
		return slots->reach;
	rest = slots->set[word] >> (next % 64);
	if (rest)
		return (size_t)__builtin_ctzll(rest);
	while (++word < words && word * 64 - next < slots->reach)
		if (slots->set[word])
			return word * 64 - next + (size_t)__builtin_ctzll(slots->set[word]);
	return slots->reach;
}

static double gap_cost(const struct chosen_slots *slots, size_t gap)
{
	return (double)gap < slots->io ? (double)gap : slots->io;
}

/* What reading one more slot adds; less than nothing if it is read over anyway. */
static double added_cost(const struct chosen_slots *slots, size_t slot)
{
	size_t before = gap_before(slots, slot), behind = gap_behind(slots, slot);

	return gap_cost(slots, before) + gap_cost(slots, behind) -
	       gap_cost(slots, before + 1 + behind);
}

/* The cheapest of the neuron's places; of equal ones the first. */
static uint32_t cheapest(const struct chosen_slots *slots, const struct places *places,
			 uint32_t neuron)
{
	uint32_t best = places->slots[places->first[neuron]];
	double least = added_cost(slots, best);

	for (uint32_t i = places->first[neuron] + 1; i < places->first[neuron + 1]; i++) {
		double cost = added_cost(slots, places->slots[i]);

		if (cost < least) {
			least = cost;
			best = places->slots[i];
		}
	}
	return best;
}

/* What has one place only; returns how many have not. */
static uint32_t choose_single(struct place_choice *choice, const struct places *places,
			      const uint64_t *wanted, const struct chosen_slots *slots)
{
	size_t n = places->n_neurons;
	uint32_t several = 0;

	for (size_t i = bits_next(wanted, n, 0); i < n; i = bits_next(wanted, n, i + 1)) {
		if (places_count(places, (uint32_t)i) == 1)
			bits_set(slots->set, places->slots[places->first[i]]);
		else
			choice->neurons[several++] = (uint32_t)i;
	}
	return several;
}

static bool choose_again(struct place_choice *choice, const struct places *places, uint32_t several,
			 const struct chosen_slots *slots)
{
	bool changed = false;

	for (uint32_t i = 0; i < several; i++) {
		uint32_t was = choice->chosen[i];

		bits_clear(slots->set, was);
		choice->chosen[i] = cheapest(slots, places, choice->neurons[i]);
		bits_set(slots->set, choice->chosen[i]);
		changed |= choice->chosen[i] != was;
	}
	return changed;
}

void place_choice_make(struct place_choice *choice, const struct places *places,
		       const uint64_t *wanted, double io_bundles, uint64_t *set)
{
	const double io = io_bundles < MAX_IO ? io_bundles : MAX_IO;
	const struct chosen_slots slots = {
		.set = set,
		.n = places->n_slots,
		.io = io,
		.reach = (size_t)io + 1,
	};
	uint32_t several;

	memset(set, 0, bits_words(slots.n) * sizeof(*set));
	several = choose_single(choice, places, wanted, &slots);
	for (uint32_t i = 0; i < several; i++) {
		choice->chosen[i] = cheapest(&slots, places, choice->neurons[i]);
		bits_set(set, choice->chosen[i]);
	}
	for (int pass = 0; pass < PASSES; pass++)
		if (!choose_again(choice, places, several, &slots))
			break;
}
