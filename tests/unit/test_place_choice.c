// SPDX-License-Identifier: GPL-2.0-only
/*
 * Choices against the best there is, by trying all: never better, hardly worse. One place of
 * each wanted neuron, and nothing else, whatever was in the set before.
 */
#include "helpers/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "model/place_choice.h"

#define MAX_SLOTS 400
#define MAX_WORDS ((MAX_SLOTS + 63) / 64)
#define MAX_WANTED 12 /* that have copies, when all choices are tried */

struct layer {
	uint32_t n_neurons, n_slots;
	uint32_t slot_to_neuron[MAX_SLOTS];
	struct places places;
};

/* A shuffle of all neurons, and of some of them again, some of these once more. */
static void draw_layer(struct random_state *random, uint32_t n_neurons, uint32_t n_copies,
		       struct layer *layer)
{
	struct error err;

	layer->n_neurons = n_neurons;
	layer->n_slots = n_neurons + n_copies;
	assert_true(layer->n_slots <= MAX_SLOTS);
	random_permutation(random, layer->slot_to_neuron, layer->n_slots);
	for (uint32_t slot = 0; slot < layer->n_slots; slot++)
		if (layer->slot_to_neuron[slot] >= n_neurons)
			layer->slot_to_neuron[slot] = (uint32_t)random_below(random, n_neurons);
	assert_ok(places_create(layer->slot_to_neuron, layer->n_slots, n_neurons, &layer->places,
				&err), &err);
}

/* In bundles: what tokens read more than what they want, an I/O for the first included. */
static double cost_of(const struct layer *layer, const uint64_t *slots, double io)
{
	double cost = 0, gap = INFINITY;

	for (uint32_t slot = 0; slot < layer->n_slots; slot++) {
		if (!bits_test(slots, slot)) {
			gap++;
			continue;
		}
		cost += gap < io ? gap : io;
		gap = 0;
	}
	return cost;
}

static void assert_is_choice(const struct layer *layer, const uint64_t *wanted,
			     const uint64_t *slots)
{
	uint32_t times[MAX_SLOTS] = { 0 };

	for (uint32_t slot = 0; slot < layer->n_slots; slot++)
		times[layer->slot_to_neuron[slot]] += bits_test(slots, slot);
	for (uint32_t i = 0; i < layer->n_neurons; i++)
		assert_int_equal(times[i], bits_test(wanted, i));
	for (uint32_t slot = layer->n_slots; slot < bits_words(layer->n_slots) * 64; slot++)
		assert_false(bits_test(slots, slot));
}

/* The least cost of all choices, neuron by neuron. */
static double least_cost(const struct layer *layer, const uint64_t *wanted, uint32_t neuron,
			 uint64_t *slots, double io)
{
	double least = INFINITY;

	while (neuron < layer->n_neurons && !bits_test(wanted, neuron))
		neuron++;
	if (neuron == layer->n_neurons)
		return cost_of(layer, slots, io);
	for (uint32_t i = layer->places.first[neuron]; i < layer->places.first[neuron + 1]; i++) {
		uint32_t slot = layer->places.positions[i];
		double cost;

		bits_set(slots, slot);
		cost = least_cost(layer, wanted, neuron + 1, slots, io);
		bits_clear(slots, slot);
		least = cost < least ? cost : least;
	}
	return least;
}

static void draw_wanted(struct random_state *random, const struct layer *layer, uint32_t n,
			uint64_t *wanted)
{
	memset(wanted, 0, bits_words(MAX_SLOTS) * sizeof(*wanted));
	for (uint32_t i = 0; i < n; i++)
		bits_set(wanted, random_below(random, layer->n_neurons));
}

static void hardly_worse_than_the_best(void **state)
{
	static const double io[] = { 0.6, 1, 3.5, 16.1 };
	uint64_t wanted[MAX_WORDS], slots[MAX_WORDS];
	uint64_t tried[MAX_WORDS];
	struct random_state random;
	struct place_choice choice;
	double sum = 0, best = 0;
	struct error err;

	(void)state;
	random_seed(&random, 3);
	assert_ok(place_choice_create(MAX_SLOTS, &choice, &err), &err);
	for (int round = 0; round < 800; round++) {
		struct layer layer;
		double cost, least;

		draw_layer(&random, 30 + (uint32_t)random_below(&random, 150),
			   (uint32_t)random_below(&random, 60), &layer);
		draw_wanted(&random, &layer, MAX_WANTED, wanted);
		memset(slots, 0xff, sizeof(slots));
		place_choice_make(&choice, &layer.places, wanted, io[round % 4], slots);
		assert_is_choice(&layer, wanted, slots);
		cost = cost_of(&layer, slots, io[round % 4]);
		memset(tried, 0, sizeof(tried));
		least = least_cost(&layer, wanted, 0, tried, io[round % 4]);
		assert_true(cost >= least - 1e-9);
		sum += cost;
		best += least;
		places_free(&layer.places);
	}
	place_choice_free(&choice);
	print_message("the choice costs %.4f of the best\n", sum / best);
	assert_true(sum < best * 1.005);
}

/* What is chosen is not worse than each neuron's first place. */
static void better_than_no_choice(void **state)
{
	uint64_t wanted[MAX_WORDS], slots[MAX_WORDS];
	struct random_state random;
	struct place_choice choice;
	double sum = 0, first = 0;
	struct error err;

	(void)state;
	random_seed(&random, 4);
	assert_ok(place_choice_create(MAX_SLOTS, &choice, &err), &err);
	for (int round = 0; round < 200; round++) {
		struct layer layer;

		draw_layer(&random, 200, 200, &layer);
		draw_wanted(&random, &layer, 40, wanted);
		place_choice_make(&choice, &layer.places, wanted, 16.1, slots);
		assert_is_choice(&layer, wanted, slots);
		sum += cost_of(&layer, slots, 16.1);
		memset(slots, 0, sizeof(slots));
		for (uint32_t i = 0; i < 200; i++)
			if (bits_test(wanted, i))
				bits_set(slots, layer.places.positions[layer.places.first[i]]);
		first += cost_of(&layer, slots, 16.1);
		places_free(&layer.places);
	}
	place_choice_free(&choice);
	assert_true(sum < first * 0.85);
}

static void without_copies_nothing_is_chosen(void **state)
{
	uint64_t wanted[MAX_WORDS], slots[MAX_WORDS];
	struct random_state random;
	struct place_choice choice;
	struct error err;

	(void)state;
	random_seed(&random, 5);
	assert_ok(place_choice_create(MAX_SLOTS, &choice, &err), &err);
	for (int round = 0; round < 50; round++) {
		struct layer layer;

		draw_layer(&random, 1 + (uint32_t)random_below(&random, 300), 0, &layer);
		draw_wanted(&random, &layer, (uint32_t)random_below(&random, 60), wanted);
		place_choice_make(&choice, &layer.places, wanted, 16.1, slots);
		for (uint32_t slot = 0; slot < layer.n_slots; slot++)
			assert_int_equal(bits_test(slots, slot),
					 bits_test(wanted, layer.slot_to_neuron[slot]));
		places_free(&layer.places);
	}
	place_choice_free(&choice);
}

/*
 * Slots 0 and 200 have neuron 0; far ones have the others. Beside which of these it is read
 * is decided across words; and an I/O that costs more than the layer is long breaks nothing.
 */
static void far_neighbours_are_seen(void **state)
{
	static const double io[] = { 100, 190, 1e12 };
	struct place_choice choice;
	struct layer layer = { .n_neurons = 330, .n_slots = 331 };
	struct error err;

	(void)state;
	layer.slot_to_neuron[0] = 0;
	for (uint32_t slot = 1; slot < 331; slot++)
		layer.slot_to_neuron[slot] = slot < 200 ? slot : slot == 200 ? 0 : slot - 1;
	assert_ok(places_create(layer.slot_to_neuron, 331, 330, &layer.places, &err), &err);
	assert_ok(place_choice_create(330, &choice, &err), &err);
	for (int i = 0; i < 3; i++) {
		uint64_t wanted[6] = { 1 }, slots[6];

		bits_set(wanted, 70); /* slot 70: 69 from the first place, 129 from the other */
		place_choice_make(&choice, &layer.places, wanted, io[i], slots);
		assert_true(bits_test(slots, 0) && !bits_test(slots, 200));
		bits_set(wanted, 267); /* slot 268: 67 from the other one */
		place_choice_make(&choice, &layer.places, wanted, io[i], slots);
		/* It lies between both, where the I/O is dear; and is the nearest where not. */
		assert_true(!bits_test(slots, 0) && bits_test(slots, 200));
		assert_int_equal(bits_count(slots, 6), 3);
	}
	place_choice_free(&choice);
	places_free(&layer.places);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(better_than_no_choice),
		cmocka_unit_test(far_neighbours_are_seen),
		cmocka_unit_test(hardly_worse_than_the_best),
		cmocka_unit_test(without_copies_nothing_is_chosen),
	};

	return cmocka_run_group_tests_name("place_choice", tests, NULL, NULL);
}
