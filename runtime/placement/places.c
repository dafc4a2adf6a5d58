// SPDX-License-Identifier: GPL-2.0-only
#include "placement/places.h"

#include <errno.h>
#include <stdlib.h>

/* How many places each neuron has, at first[neuron + 1]. */
static int count(const uint32_t *slot_to_neuron, struct places *places, struct error *err)
{
	for (uint32_t slot = 0; slot < places->n_slots; slot++) {
		uint32_t neuron = slot_to_neuron[slot];

		if (neuron == PLACES_NO_NEURON)
			continue;
		if (neuron >= places->n_neurons)
			return error_set(err, -EINVAL, "slot %u is said to have neuron %u of %u",
					 slot, neuron, places->n_neurons);
		places->first[neuron + 1]++;
	}
	for (uint32_t neuron = 0; neuron < places->n_neurons; neuron++)
		if (!places->first[neuron + 1])
			return error_set(err, -EINVAL, "neuron %u has no place", neuron);
	return 0;
}

/* first[neuron] goes along as slots are filled in, and is then where the next one begins. */
static void fill(const uint32_t *slot_to_neuron, struct places *places)
{
	uint32_t *first = places->first;

	for (uint32_t neuron = 0; neuron < places->n_neurons; neuron++)
		first[neuron + 1] += first[neuron];
	for (uint32_t slot = 0; slot < places->n_slots; slot++)
		if (slot_to_neuron[slot] != PLACES_NO_NEURON)
			places->slots[first[slot_to_neuron[slot]]++] = slot;
	for (uint32_t neuron = places->n_neurons; neuron > 0; neuron--)
		first[neuron] = first[neuron - 1];
	first[0] = 0;
}

int places_create(const uint32_t *slot_to_neuron, uint32_t n_slots, uint32_t n_neurons,
		  struct places *places, struct error *err)
{
	int ret;

	*places = (struct places){
		.n_neurons = n_neurons,
		.n_slots = n_slots,
		.first = calloc((size_t)n_neurons + 1, sizeof(*places->first)),
		.slots = malloc(((size_t)n_slots + 1) * sizeof(*places->slots)),
	};
	if (places->first && places->slots)
		ret = count(slot_to_neuron, places, err);
	else
		ret = error_no_memory(err, "the places of neurons");
	if (ret < 0)
		places_free(places);
	else
		fill(slot_to_neuron, places);
	return ret;
}

void places_free(struct places *places)
{
	free(places->first);
	free(places->slots);
	*places = (struct places){ 0 };
}
