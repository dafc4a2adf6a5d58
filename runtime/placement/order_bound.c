// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bound of Held and Karp (Operations Research 18, 1970; Mathematical Programming 1, 1971).
 *
 * A path is a forest in which no neuron has more than two links. Ask any price of at least 0 of
 * each end of a link, and give every neuron twice its own back: a path gains by that, if
 * anything, as it has at most two links at each. So
 *
 *	weight of a path <= worth of the best forest at these prices + twice the sum of all prices
 *
 * whatever the prices are, and the forest is easy to find. As no count is below 0, this is as
 * tight as the 1-tree of the papers (a spanning tree, and two links to a neuron that is not
 * there), but needs only pairs that are worth more than their prices (order_forest.c).
 *
 * The best prices are found by subgradient steps: up where a neuron has more than two links,
 * down where it has fewer. What differs from the papers, by trial on real and synthetic layers:
 *
 *   - Counts are of very different sizes, so a step is in proportion to the root of the
 *     neuron's highest count: half the rounds.
 *   - The step goes on in the direction of those before (Volgenant and Jonker, European
 *     Journal of Operational Research 9, 1982, take 0.6 and 0.4 of the last two; this is 0.2
 *     of this one and 0.8 of what went before).
 *   - Its length is Polyak's: what is missing to the known weight, by the square of the
 *     gradient, times a factor that shrinks when nothing has improved for some rounds.
 */
#include "placement/order_bound.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "placement/order_forest.h"

/*
 * Prices start at this share of half the highest count. At all of it no pair is worth anything,
 * which is where they start if there is no room for what is.
 */
#define START_SHARE 0.8
#define MOMENTUM 0.8
#define PATIENCE 5 /* rounds */
#define SHRINK 0.7
#define LEAST_FACTOR 1e-4

struct ascent {
	struct order_forest forest;
	uint32_t n;
	int32_t *price;	     /* (n) */
	int32_t *best_price; /* (n) */
	double *scale;	     /* (n): of a neuron's steps */
	double *direction;   /* (n) */
	uint32_t *degree;    /* (n) */
	double factor;	     /* of a step's length */
	int64_t known;	     /* a path's weight; like the next two in the forest's units */
	int64_t bound;	     /* at these prices */
	int64_t best;
	uint32_t since_best; /* rounds */
};

uint64_t order_path_weight(const struct coactivation *coactivation, const uint32_t *slot_to_neuron)
{
	size_t n = coactivation->n_neurons;
	uint64_t weight = 0;

	for (size_t slot = 0; slot + 1 < n; slot++)
		weight += coactivation_pair(coactivation, slot_to_neuron[slot],
					    slot_to_neuron[slot + 1]);
	return weight;
}

static int evaluate(struct ascent *ascent)
{
	int64_t worth;
	int ret = order_forest_grow(&ascent->forest, ascent->price, ascent->scale, ascent->degree,
				    &worth);

	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < ascent->n; i++)
		worth += 2 * (int64_t)ascent->price[i];
	ascent->bound = worth;
	return 0;
}

static void start_at(struct ascent *ascent, double share)
{
	for (uint32_t i = 0; i < ascent->n; i++) {
		/* Rounded up, so that at a share of 1 no pair is worth anything. */
		ascent->price[i] = (int32_t)ceil(
			share * ldexp(ascent->forest.friend[i], ascent->forest.shift) / 2);
		ascent->scale[i] = sqrt(ascent->forest.friend[i]);
	}
}

static void step(struct ascent *ascent)
{
	const int32_t highest = (1 << PRICE_BITS) - 1;
	double square = 0, length;

	for (uint32_t i = 0; i < ascent->n; i++) {
		double gradient = (double)ascent->degree[i] - 2;

		if (!ascent->price[i] && gradient < 0)
			gradient = 0; /* it cannot fall */
		square += gradient * gradient * ascent->scale[i];
		ascent->direction[i] = MOMENTUM * ascent->direction[i] +
				       (1 - MOMENTUM) * gradient * ascent->scale[i];
	}
	if (square == 0)
		return;
	length = ascent->factor * (double)(ascent->bound - ascent->known) / square;
	for (uint32_t i = 0; i < ascent->n; i++) {
		double price = ascent->price[i] + length * ascent->direction[i];

		ascent->price[i] = (int32_t)fmin(fmax(price, 0), highest);
	}
}

/* Where too many pairs are worth something, there is nothing to be gained: back, and slower. */
static void step_back(struct ascent *ascent)
{
	memcpy(ascent->price, ascent->best_price, ascent->n * sizeof(*ascent->price));
	memset(ascent->direction, 0, ascent->n * sizeof(*ascent->direction));
	ascent->factor /= 2;
}

static void note_bound(struct ascent *ascent)
{
	if (ascent->bound < ascent->best) {
		ascent->best = ascent->bound;
		memcpy(ascent->best_price, ascent->price, ascent->n * sizeof(*ascent->price));
		ascent->since_best = 0;
	} else if (++ascent->since_best == PATIENCE) {
		ascent->since_best = 0;
		ascent->factor *= SHRINK;
	}
}

static void climb(struct ascent *ascent, uint32_t rounds)
{
	const int64_t one = (int64_t)1 << ascent->forest.shift;

	for (uint32_t round = 0; round < rounds && ascent->factor > LEAST_FACTOR; round++) {
		/* Weights are whole: below the next one, the known weight is the highest. */
		if (ascent->best - ascent->known < one)
			return;
		step(ascent);
		if (evaluate(ascent) == 0)
			note_bound(ascent);
		else
			step_back(ascent);
	}
}

static void ascent_free(struct ascent *ascent)
{
	order_forest_free(&ascent->forest);
	free(ascent->price);
	free(ascent->best_price);
	free(ascent->scale);
	free(ascent->direction);
	free(ascent->degree);
}

static int ascent_create(struct ascent *ascent, const struct coactivation *coactivation,
			 struct thread_pool *pool, struct error *err)
{
	const size_t n = coactivation->n_neurons;
	int ret;

	*ascent = (struct ascent){ .n = coactivation->n_neurons, .factor = 1 };
	ret = order_forest_create(&ascent->forest, coactivation, pool, err);
	if (ret < 0)
		return ret;
	ascent->price = malloc(n * sizeof(*ascent->price));
	ascent->best_price = malloc(n * sizeof(*ascent->best_price));
	ascent->scale = malloc(n * sizeof(*ascent->scale));
	ascent->direction = calloc(n, sizeof(*ascent->direction));
	ascent->degree = malloc(n * sizeof(*ascent->degree));
	if (!ascent->price || !ascent->best_price || !ascent->scale || !ascent->direction ||
	    !ascent->degree) {
		ascent_free(ascent);
		return error_no_memory(err, "the bound of an order");
	}
	return 0;
}

int order_path_bound(const struct coactivation *coactivation, uint64_t known, uint32_t rounds,
		     struct thread_pool *pool, uint64_t *bound, struct error *err)
{
	struct ascent ascent;
	int ret = ascent_create(&ascent, coactivation, pool, err);

	if (ret < 0)
		return ret;
	start_at(&ascent, START_SHARE);
	if (evaluate(&ascent) < 0) {
		start_at(&ascent, 1);
		evaluate(&ascent);
	}
	ascent.known = (int64_t)(known << ascent.forest.shift);
	ascent.best = ascent.bound;
	memcpy(ascent.best_price, ascent.price, ascent.n * sizeof(*ascent.price));
	climb(&ascent, rounds);
	*bound = (uint64_t)(ascent.best >> ascent.forest.shift);
	ascent_free(&ascent);
	return 0;
}
