/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The forest of the greatest worth in a layer's graph of pairs, when each of a link's two
 * neurons asks a price for it; private to order_bound.c.
 *
 * Worths and prices are integers, in units of 2^-shift counts: every sum is exact.
 */
#ifndef COLINK_PLACEMENT_ORDER_FOREST_H
#define COLINK_PLACEMENT_ORDER_FOREST_H

#include <stdint.h>

#include "base/error.h"
#include "base/thread_pool.h"
#include "placement/coactivation.h"

/* Counts, and prices of at least 0, in these units are below 2^PRICE_BITS. */
#define PRICE_BITS 27

struct order_forest {
	const struct coactivation *coactivation;
	struct thread_pool *pool;
	unsigned int shift;
	uint32_t *friend; /* (n_neurons): the highest count of a pair with this neuron */

	/* Private: pairs worth more than nothing at the floors, which are no more than prices. */
	int32_t *floor;		   /* (n_neurons) */
	double slack;		   /* how far below the prices they are, see order_forest_grow() */
	size_t *row_start;	   /* (n_neurons): first pair of which it is the lower index */
	struct forest_pair *pairs; /* (room) */
	size_t n_pairs, room;
	struct forest_worth *worths, *spare; /* (room), (room) */
	uint32_t *root;			     /* (n_neurons) */
};

/* Neither argument is copied. Finds the friends. Free it by order_forest_free(). */
int order_forest_create(struct order_forest *forest, const struct coactivation *coactivation,
			struct thread_pool *pool, struct error *err);
void order_forest_free(struct order_forest *forest);

/*
 * The links of the forest for these prices (n_neurons): their worth together, and how many of
 * them each neuron has. Prices are expected to move in proportion to `scale` from one call to
 * the next, which decides how long what was found of the matrix can be used again.
 * -E2BIG, without a message: more pairs are worth something than there is room for.
 */
int order_forest_grow(struct order_forest *forest, const int32_t *price, const double *scale,
		      uint32_t *degree, int64_t *worth);

#endif
