// SPDX-License-Identifier: GPL-2.0-only
#include "storage/bundle_places.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

uint32_t bundle_positions(const struct bundle_geometry *geometry)
{
	return geometry->positions ? geometry->positions : geometry->slots;
}

static int create_layer(const struct bundle_geometry *geometry, struct bundle_places *places,
			struct error *err)
{
	int ret;

	places->primary = malloc(geometry->slots * sizeof(*places->primary));
	if (!places->primary)
		return error_no_memory(err, "the places of bundles");
	ret = places_find_primary(places->slot_at, geometry->positions, geometry->slots,
				  places->primary, err);
	return ret < 0 ? ret : places_create(places->slot_at, geometry->positions, geometry->slots,
					     &places->places, err);
}

int bundle_places_create(const struct bundle_geometry *geometry, struct bundle_places_table *table,
			 struct error *err)
{
	size_t positions = geometry->positions, bytes;
	int ret = 0;

	*table = (struct bundle_places_table){ .n_layers = geometry->n_layers };
	if (bundle_positions(geometry) == geometry->slots)
		return 0;
	bytes = geometry->n_layers * positions * sizeof(*table->slot_at);
	table->layers = calloc(geometry->n_layers, sizeof(*table->layers));
	table->slot_at = malloc(bytes);
	if (!table->layers || !table->slot_at)
		return error_no_memory(err, "the places of bundles");
	memcpy(table->slot_at, geometry->slot_at, bytes);
	for (uint32_t layer = 0; ret == 0 && layer < geometry->n_layers; layer++) {
		table->layers[layer].slot_at = table->slot_at + layer * positions;
		ret = create_layer(geometry, &table->layers[layer], err);
	}
	return ret;
}

void bundle_places_free(struct bundle_places_table *table)
{
	for (uint32_t layer = 0; table->layers && layer < table->n_layers; layer++) {
		free(table->layers[layer].primary);
		places_free(&table->layers[layer].places);
	}
	free(table->layers);
	free(table->slot_at);
	*table = (struct bundle_places_table){ 0 };
}

uint64_t bundle_places_bytes(const struct bundle_geometry *geometry)
{
	uint64_t positions = bundle_positions(geometry), slots = geometry->slots;

	if (positions == slots)
		return 0;
	/* slot_at and the places' positions; primary and the places' first. */
	return geometry->n_layers * (sizeof(struct bundle_places) +
				     (2 * positions + 2 * slots + 2) * sizeof(uint32_t));
}

void bundle_places_take_primary(const struct bundle_places *places, const uint64_t *slots,
				uint64_t *positions)
{
	size_t n = places->places.n_neurons;

	memset(positions, 0, bits_words(places->places.n_positions) * sizeof(*positions));
	for (size_t slot = bits_next(slots, n, 0); slot < n; slot = bits_next(slots, n, slot + 1))
		bits_set(positions, places->primary[slot]);
}
