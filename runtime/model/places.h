/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the neurons of a layer are when some are stored more than once: in *positions*, of which
 * a layer then has more than neurons. A neuron's places are the positions that have a bundle of
 * it, one at least. Neurons are known by any number: their own, or the slot that is theirs.
 */
#ifndef COLINK_MODEL_PLACES_H
#define COLINK_MODEL_PLACES_H

#include <stdint.h>

#include "base/error.h"

/* A position without a bundle: there are such behind all others only. */
#define PLACES_NO_NEURON UINT32_MAX

struct places {
	uint32_t n_neurons;
	uint32_t n_positions;
	uint32_t *first; /* (n_neurons + 1): into positions; the last one is their number */
	uint32_t *positions; /* of neuron i, ascending, first[i] up to first[i + 1] */
};

/*
 * neuron_at is (n_positions); nothing is kept of it. The caller calls places_free(), which
 * takes a zeroed struct, too. Fails with -ENOMEM, or with -EINVAL, and a line that says so, if
 * there is no such neuron, or no place for one. Reading is thread-safe.
 */
int places_create(const uint32_t *neuron_at, uint32_t n_positions, uint32_t n_neurons,
		  struct places *places, struct error *err);
void places_free(struct places *places);

/*
 * Of neurons that are known by their slots, slots being numbered as they come on flash: the
 * *primary* place of a slot, the first position of it behind the primary place of the slot before.
 * All these by themselves are the order without copies. slot_at is (n_positions), primary (n_slots).
 * -EINVAL, with a line that says where, for a slot that is none or has no such place.
 */
int places_find_primary(const uint32_t *slot_at, uint32_t n_positions, uint32_t n_slots,
			uint32_t *primary, struct error *err);

static inline uint32_t places_count(const struct places *places, uint32_t neuron)
{
	return places->first[neuron + 1] - places->first[neuron];
}

#endif
