/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the neurons of a layer are, when some are stored more than once: a neuron's places are
 * the slots that have a bundle of it, one at least. A slot's neuron is known as ever; only that
 * the slots are more than the neurons.
 */
#ifndef COLINK_PLACEMENT_PLACES_H
#define COLINK_PLACEMENT_PLACES_H

#include <stdint.h>

#include "base/error.h"

/* A slot without a bundle: there are such behind all others only. */
#define PLACES_NO_NEURON UINT32_MAX

struct places {
	uint32_t n_neurons;
	uint32_t n_slots;
	uint32_t *first; /* (n_neurons + 1): into slots; the last one is their number */
	uint32_t *slots; /* (n_slots): of neuron i, ascending, first[i] up to first[i + 1] */
};

/*
 * slot_to_neuron is (n_slots); nothing is kept of it. The caller calls places_free(), which
 * takes a zeroed struct, too. Fails with -ENOMEM, or with -EINVAL, and a line that says so, if
 * there is no such neuron, or no place for one. Reading is thread-safe.
 */
int places_create(const uint32_t *slot_to_neuron, uint32_t n_slots, uint32_t n_neurons,
		  struct places *places, struct error *err);
void places_free(struct places *places);

static inline uint32_t places_count(const struct places *places, uint32_t neuron)
{
	return places->first[neuron + 1] - places->first[neuron];
}

#endif
