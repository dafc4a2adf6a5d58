/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to the bundle store: where the bundles of a layer are when some are stored more than
 * once. Slots are known to all others; positions to the plan of the reads only.
 */
#ifndef COLINK_STORAGE_BUNDLE_PLACES_H
#define COLINK_STORAGE_BUNDLE_PLACES_H

#include <stdint.h>

#include "base/error.h"
#include "model/places.h"
#include "storage/bundle_store.h"

/* Of one layer. */
struct bundle_places {
	const uint32_t *slot_at; /* (positions) */
	uint32_t *primary; /* (slots): ascends as they do */
	struct places places; /* of slots */
};

/* Of all layers. */
struct bundle_places_table {
	struct bundle_places *layers; /* (n_layers); NULL: slots are positions */
	uint32_t n_layers;
	uint32_t *slot_at; /* (n_layers, positions) */
};

/* Bundles of a layer on flash. */
uint32_t bundle_positions(const struct bundle_geometry *geometry);

/*
 * None of it without copies. The caller calls bundle_places_free(), whatever this returns, which
 * takes a zeroed table, too. Fails with -ENOMEM, or -EINVAL for a slot_at in which some slot has
 * no primary place, or which knows others.
 */
int bundle_places_create(const struct bundle_geometry *geometry, struct bundle_places_table *table,
			 struct error *err);
void bundle_places_free(struct bundle_places_table *table);

/* Bytes of it. */
uint64_t bundle_places_bytes(const struct bundle_geometry *geometry);

/* The primary places of a set of slots, as a set of positions. */
void bundle_places_take_primary(const struct bundle_places *places, const uint64_t *slots,
				uint64_t *positions);

#endif
