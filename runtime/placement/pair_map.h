/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The co-activation matrix of an order as it can be looked at: slots in rows and columns, and
 * several of them in a cell where a layer has more than there is room for.
 */
#ifndef COLINK_PLACEMENT_PAIR_MAP_H
#define COLINK_PLACEMENT_PAIR_MAP_H

#include <stdint.h>

#include "base/error.h"
#include "base/thread_pool.h"
#include "placement/activity.h"

struct pair_map {
	uint32_t n_cells; /* of a row and of a column */
	uint32_t slots_per_cell; /* of a side; the last cell may have fewer */
	/*
	 * (n_cells, n_cells), symmetric: the share of tokens for which both neurons of a pair
	 * fired, mean over the cell's pairs. A neuron is no pair with itself; a cell without
	 * pairs has 0.
	 */
	float *shares;
};

/*
 * At most `max_cells` cells a side. Takes 12 bytes for each cell of the map while it counts; the
 * result does not depend on the pool. The caller calls pair_map_free().
 */
int pair_map_make(const struct activity *activity, const uint32_t *slot_to_neuron,
		  uint32_t max_cells, struct thread_pool *pool, struct pair_map *map,
		  struct error *err);
void pair_map_free(struct pair_map *map);

#endif
