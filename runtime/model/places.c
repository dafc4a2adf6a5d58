// SPDX-License-Identifier: GPL-2.0-only
#include "model/places.h"

#include <errno.h>
#include <stdlib.h>

/* How many places each neuron has, at first[neuron + 1]. */
static int count(const uint32_t *neuron_at, struct places *places, struct error *err)
{
	for (uint32_t position = 0; position < places->n_positions; position++) {
		uint32_t neuron = neuron_at[position];

		if (neuron == PLACES_NO_NEURON)
			continue;
		if (neuron >= places->n_neurons)
			return error_set(err, -EINVAL, "position %u is said to have neuron %u of %u",
					 position, neuron, places->n_neurons);
		places->first[neuron + 1]++;
	}
	for (uint32_t neuron = 0; neuron < places->n_neurons; neuron++)
		if (!places->first[neuron + 1])
			return error_set(err, -EINVAL, "neuron %u has no place", neuron);
	return 0;
}

/* first[neuron] goes along as positions are filled in, and is then where the next one begins. */
static void fill(const uint32_t *neuron_at, struct places *places)
{
	uint32_t *first = places->first;

	for (uint32_t neuron = 0; neuron < places->n_neurons; neuron++)
		first[neuron + 1] += first[neuron];
	for (uint32_t position = 0; position < places->n_positions; position++)
		if (neuron_at[position] != PLACES_NO_NEURON)
			places->positions[first[neuron_at[position]]++] = position;
	for (uint32_t neuron = places->n_neurons; neuron > 0; neuron--)
		first[neuron] = first[neuron - 1];
	first[0] = 0;
}

int places_create(const uint32_t *neuron_at, uint32_t n_positions, uint32_t n_neurons,
		  struct places *places, struct error *err)
{
	int ret;

	*places = (struct places){
		.n_neurons = n_neurons,
		.n_positions = n_positions,
		.first = calloc((size_t)n_neurons + 1, sizeof(*places->first)),
		.positions = malloc(((size_t)n_positions + 1) * sizeof(*places->positions)),
	};
	if (places->first && places->positions)
		ret = count(neuron_at, places, err);
	else
		ret = error_no_memory(err, "the places of neurons");
	if (ret < 0)
		places_free(places);
	else
		fill(neuron_at, places);
	return ret;
}

void places_free(struct places *places)
{
	free(places->first);
	free(places->positions);
	*places = (struct places){ 0 };
}

int places_find_primary(const uint32_t *slot_at, uint32_t n_positions, uint32_t n_slots,
			uint32_t *primary, struct error *err)
{
	uint32_t slot = 0;

	for (uint32_t position = 0; position < n_positions; position++) {
		if (slot_at[position] >= n_slots)
			return error_set(err, -EINVAL, "position %u is said to have slot %u of %u",
					 position, slot_at[position], n_slots);
		if (slot_at[position] == slot)
			primary[slot++] = position;
	}
	if (slot < n_slots)
		return error_set(err, -EINVAL, "slot %u has no place behind the slot before it", slot);
	return 0;
}
