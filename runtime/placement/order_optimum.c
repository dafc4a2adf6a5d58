// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dynamic programming over sets: Held and Karp, Journal of the SIAM 10 (1962), and Bellman,
 * Journal of the ACM 9 (1962). Sets of neurons are masks; slots are filled from the first.
 *
 * What a slot adds to the cost depends on what is in slots before it. Say that G is what an
 * I/O costs. A wanted bundle adds 1, and min(gap, G) for the gap before it: one for each k
 * below G for which the k + 1 slots before it are all not wanted; for a token's first that makes
 * G, if slots that are not there count as not wanted. How many tokens want a neuron and none of
 * a set is a difference of two entries of one table over all sets, so no token is looked at
 * twice.
 */
#include "placement/order_optimum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

#define MAX_STATES (UINT64_C(1) << 24)
#define UNKNOWN UINT64_MAX

static int check_neurons(uint32_t n, struct error *err)
{
	if (n > ORDER_OPTIMUM_NEURONS)
		return error_set(err, -EINVAL,
				 "the best order of %u neurons would take too long; at most %d can "
				 "be searched",
				 n, ORDER_OPTIMUM_NEURONS);
	return 0;
}

/* best[set * n + last]: the greatest weight of a path through all of the set that ends in last. */
static void fill_weights(const struct coactivation *coactivation, uint64_t *best)
{
	const uint32_t n = coactivation->n_neurons;

	for (uint32_t set = 1; set < 1u << n; set++)
		for (uint32_t last = 0; last < n; last++) {
			uint32_t before = set & ~(1u << last);
			uint64_t most = 0;

			if (before == set)
				continue;
			for (uint32_t i = 0; i < n; i++) {
				uint64_t weight;

				if (!(before >> i & 1))
					continue;
				weight = best[before * n + i] + coactivation_pair(coactivation, (uint32_t)i, (uint32_t)last);
				most = weight > most ? weight : most;
			}
			best[set * n + last] = most;
		}
}

/* From the last slot to the first: the neuron from which the slot behind it got its weight. */
static uint64_t trace_back(const struct coactivation *coactivation, const uint64_t *best,
			   uint32_t *slot_to_neuron)
{
	const uint32_t n = coactivation->n_neurons;
	uint32_t set = (1u << n) - 1;
	uint64_t weight = 0;

	for (uint32_t slot = n; slot-- > 0;) {
		uint32_t chosen = 0;
		uint64_t most = 0;

		for (uint32_t i = n; i-- > 0;) {
			uint64_t with;

			if (!(set >> i & 1))
				continue;
			with = best[set * n + i];
			if (slot + 1 < n)
				with += coactivation_pair(coactivation, (uint32_t)i, slot_to_neuron[slot + 1]);
			if (with >= most) {
				most = with;
				chosen = i;
			}
		}
		if (slot + 1 == n)
			weight = most;
		slot_to_neuron[slot] = chosen;
		set &= ~(1u << chosen);
	}
	return weight;
}

int order_optimum_path(const struct coactivation *coactivation, uint32_t *slot_to_neuron,
		       uint64_t *weight, struct error *err)
{
	uint64_t *best;
	int ret = check_neurons(coactivation->n_neurons, err);

	if (ret < 0)
		return ret;
	best = malloc((coactivation->n_neurons * sizeof(*best)) << coactivation->n_neurons);
	if (!best)
		return error_no_memory(err, "the best order of a layer");
	fill_weights(coactivation, best);
	*weight = trace_back(coactivation, best, slot_to_neuron);
	free(best);
	return 0;
}

struct cost_search {
	uint32_t n;
	uint32_t io;	      /* what an I/O costs, in bundles */
	const uint64_t *none; /* (2^n): tokens that want none of the set */
	uint64_t *least;      /* by state, see there */
};

/* The last slots that are filled, the last one first; `rest` are those before them, a set. */
struct window {
	uint32_t rest;
	uint32_t length;
	uint8_t neuron[ORDER_OPTIMUM_NEURONS];
};

/* none[set], from the tokens that want exactly a set, and from those that want any part of it. */
static int count_none(const struct activity *activity, uint64_t **none, struct error *err)
{
	const uint32_t n = activity->n_neurons, all = (1u << n) - 1;
	uint64_t *tokens = calloc(all + 1u, sizeof(*tokens));

	if (!tokens)
		return error_no_memory(err, "the sets of neurons of a layer");
	for (uint64_t t = 0; t < activity->n_tokens; t++)
		tokens[activity->fired[t * bits_words(n)]]++;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t set = 0; set <= all; set++)
			if (set >> i & 1)
				tokens[set] += tokens[set & ~(1u << i)];
	for (uint32_t set = 0; set < all - set; set++) {
		uint64_t of_set = tokens[set];

		tokens[set] = tokens[all - set];
		tokens[all - set] = of_set;
	}
	*none = tokens;
	return 0;
}

/* What a neuron adds in the slot behind the window's, from its `skip`th on. */
static uint64_t slot_cost(const struct cost_search *search, const struct window *window,
			  uint32_t skip, uint32_t neuron)
{
	uint32_t before = 0;
	uint64_t cost = search->none[0] - search->none[1u << neuron];

	for (uint32_t k = 0; k < search->io; k++) {
		if (skip + k < window->length)
			before |= 1u << window->neuron[skip + k];
		cost += search->none[before] - search->none[before | 1u << neuron];
	}
	return cost;
}

/*
 * A full window's state: the rank of its neurons among all sequences of as many, and which of
 * the others are in the rest.
 */
static size_t state_of(const struct cost_search *search, const struct window *window)
{
	uint32_t others = (1u << search->n) - 1;
	uint32_t bit = 0;
	size_t state = 0;

	for (uint32_t i = 0; i < window->length; i++) {
		uint32_t lower = others & ((1u << window->neuron[i]) - 1);

		state = state * (search->n - i) + (size_t)__builtin_popcount(lower);
		others &= ~(1u << window->neuron[i]);
	}
	state <<= search->n - window->length;
	for (; others; others &= others - 1, bit++)
		if (window->rest & others & -others)
			state |= (size_t)1 << bit;
	return state;
}

/*
 * The window one slot earlier, with `neuron` of the rest in front; returns what the slot costs
 * that is left behind, of which all is known when the window is full.
 */
static uint64_t go_back(const struct cost_search *search, const struct window *window,
			uint32_t neuron, struct window *earlier)
{
	const uint32_t full = window->length == search->io;

	earlier->rest = window->rest & ~(1u << neuron);
	earlier->length = window->length + !full;
	memcpy(earlier->neuron, window->neuron + full, window->length - full);
	earlier->neuron[earlier->length - 1] = (uint8_t)neuron;
	return full ? slot_cost(search, earlier, 0, window->neuron[0]) : 0;
}

static uint64_t least_cost(const struct cost_search *search, const struct window *window)
{
	uint64_t *known = NULL, least = UNKNOWN;

	if (!window->rest) {
		least = 0;
		for (uint32_t i = 0; i < window->length; i++)
			least += slot_cost(search, window, i + 1, window->neuron[i]);
		return least;
	}
	if (window->length == search->io) {
		known = &search->least[state_of(search, window)];
		if (*known != UNKNOWN)
			return *known;
	}
	for (uint32_t rest = window->rest; rest; rest &= rest - 1) {
		struct window earlier;
		uint64_t cost = go_back(search, window, (uint32_t)__builtin_ctz(rest), &earlier);

		cost += least_cost(search, &earlier);
		least = cost < least ? cost : least;
	}
	if (known)
		*known = least;
	return least;
}

/* The same choices once more, of which all that is asked is known now. */
static void find_order(const struct cost_search *search, uint32_t *slot_to_neuron)
{
	struct window window = { .rest = (1u << search->n) - 1 };

	for (uint32_t slot = search->n; slot-- > 0;) {
		struct window earlier, chosen = window;
		uint64_t least = UNKNOWN;

		for (uint32_t rest = window.rest; rest; rest &= rest - 1) {
			uint32_t neuron = (uint32_t)__builtin_ctz(rest);
			uint64_t cost = go_back(search, &window, neuron, &earlier);

			cost += least_cost(search, &earlier);
			if (cost < least) {
				least = cost;
				chosen = earlier;
				slot_to_neuron[slot] = neuron;
			}
		}
		window = chosen;
	}
}

static int search_windows(struct cost_search *search, uint32_t *slot_to_neuron, uint64_t *cost,
			  struct error *err)
{
	const struct window none = { .rest = (1u << search->n) - 1 };
	uint64_t states = 1;

	for (uint32_t i = 0; i < search->n && states <= MAX_STATES; i++)
		states *= i < search->io ? search->n - i : 2;
	if (states > MAX_STATES)
		return error_set(err, -E2BIG,
				 "the best order of %u neurons with gaps of %u would take too much "
				 "memory; take fewer neurons",
				 search->n, search->io);
	search->least = malloc(states * sizeof(*search->least));
	if (!search->least)
		return error_no_memory(err, "the best order of a layer");
	memset(search->least, 0xff, states * sizeof(*search->least));
	*cost = least_cost(search, &none);
	find_order(search, slot_to_neuron);
	free(search->least);
	return 0;
}

/*
 * Where all gaps are read over, a token reads from its first wanted slot to its last. A slot is
 * read if it or one before it is wanted, and it or one behind it: by its set of predecessors.
 */
static uint64_t span_cost(const struct cost_search *search, uint32_t before, uint32_t neuron)
{
	const uint32_t all = (1u << search->n) - 1;

	return search->none[0] - search->none[before | 1u << neuron] - search->none[all & ~before] +
	       search->none[all];
}

static int search_spans(struct cost_search *search, uint32_t *slot_to_neuron, uint64_t *cost,
			struct error *err)
{
	const uint32_t all = (1u << search->n) - 1;
	uint64_t *least = malloc((all + 1u) * sizeof(*least));
	uint8_t *last = malloc(all + 1u);
	int ret = 0;

	if (!least || !last) {
		ret = error_no_memory(err, "the best order of a layer");
		goto out;
	}
	/* The first read of every token that wants anything. */
	least[0] = search->io * (search->none[0] - search->none[all]);
	for (uint32_t set = 1; set <= all; set++) {
		least[set] = UNKNOWN;
		for (uint32_t rest = set; rest; rest &= rest - 1) {
			uint32_t neuron = (uint32_t)__builtin_ctz(rest);
			uint32_t before = set & ~(1u << neuron);
			uint64_t with = least[before] + span_cost(search, before, neuron);

			if (with < least[set]) {
				least[set] = with;
				last[set] = (uint8_t)neuron;
			}
		}
	}
	*cost = least[all];
	for (uint32_t set = all, slot = search->n; slot-- > 0; set &= ~(1u << last[set]))
		slot_to_neuron[slot] = last[set];
out:
	free(least);
	free(last);
	return ret;
}

int order_optimum_cost(const struct activity *activity, uint32_t io_bundles,
		       uint32_t *slot_to_neuron, uint64_t *cost, struct error *err)
{
	struct cost_search search = { .n = activity->n_neurons, .io = io_bundles };
	uint64_t *none = NULL;
	int ret = check_neurons(activity->n_neurons, err);

	if (ret < 0)
		return ret;
	if (!io_bundles)
		return error_set(err, -EINVAL,
				 "an I/O that costs nothing leaves nothing to order by");
	ret = count_none(activity, &none, err);
	if (ret < 0)
		return ret;
	search.none = none;
	if (search.n <= 2 || io_bundles >= search.n - 2)
		ret = search_spans(&search, slot_to_neuron, cost, err);
	else
		ret = search_windows(&search, slot_to_neuron, cost, err);
	free(none);
	return ret;
}
