// SPDX-License-Identifier: GPL-2.0-only
/* The best orders of small layers against all their permutations. */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/random.h"
#include "placement/order.h"
#include "placement/order_bound.h"
#include "placement/order_optimum.h"
#include "placement/quality.h"

/* Few neurons of a layer in which some are hot, some have friends and one may be silent. */
static struct activity draw(struct random_state *random, uint32_t n)
{
	uint64_t n_tokens = 1 + random_below(random, 40);
	struct activity activity = { .n_neurons = n, .n_tokens = n_tokens };
	double share[ORDER_OPTIMUM_NEURONS];

	activity.fired = calloc(n_tokens, sizeof(*activity.fired));
	assert_non_null(activity.fired);
	for (uint32_t i = 0; i < n; i++)
		share[i] = random_unit(random) * random_unit(random);
	for (uint64_t t = 0; t < n_tokens; t++)
		for (uint32_t i = 0; i < n; i++)
			if (random_unit(random) < share[i] ||
			    (i > 1 && bits_test(activity.fired + t, i / 2) && i % 2))
				bits_set(activity.fired + t, i);
	return activity;
}

static uint64_t cost_of_token(const struct activity *activity, uint64_t token,
			      const uint32_t *order, uint32_t io)
{
	uint32_t gap = io;
	uint64_t cost = 0;

	for (uint32_t slot = 0; slot < activity->n_neurons; slot++) {
		if (fired_for(activity, token, order[slot])) {
			cost += 1 + (gap < io ? gap : io);
			gap = 0;
		} else if (gap < io) {
			gap++;
		}
	}
	return cost;
}

static uint64_t cost_of(const struct activity *activity, const uint32_t *order, uint32_t io)
{
	uint64_t cost = 0;

	for (uint64_t t = 0; t < activity->n_tokens; t++)
		cost += cost_of_token(activity, t, order, io);
	return cost;
}

#define N_COSTS 4
static const uint32_t io_costs[N_COSTS] = { 1, 2, 4, 16 };

struct brute {
	const struct activity *activity;
	const struct coactivation *coactivation;
	uint32_t order[ORDER_OPTIMUM_NEURONS];
	uint64_t weight;
	uint64_t cost[N_COSTS];
};

static void permute(struct brute *brute, uint32_t from)
{
	uint32_t n = brute->activity->n_neurons;

	if (from == n) {
		uint64_t weight = order_path_weight(brute->coactivation, brute->order);

		brute->weight = weight > brute->weight ? weight : brute->weight;
		for (int c = 0; c < N_COSTS; c++) {
			uint64_t cost = cost_of(brute->activity, brute->order, io_costs[c]);

			brute->cost[c] = cost < brute->cost[c] ? cost : brute->cost[c];
		}
		return;
	}
	for (uint32_t i = from; i < n; i++) {
		uint32_t swapped = brute->order[from];

		brute->order[from] = brute->order[i];
		brute->order[i] = swapped;
		permute(brute, from + 1);
		brute->order[i] = brute->order[from];
		brute->order[from] = swapped;
	}
}

static struct brute search_all(const struct activity *activity,
			       const struct coactivation *coactivation)
{
	struct brute brute = { .activity = activity, .coactivation = coactivation };

	for (uint32_t i = 0; i < activity->n_neurons; i++)
		brute.order[i] = i;
	for (int c = 0; c < N_COSTS; c++)
		brute.cost[c] = UINT64_MAX;
	permute(&brute, 0);
	return brute;
}

static void optima_are_those_of_all_permutations(void **state)
{
	struct random_state random;
	struct error err;

	(void)state;
	random_seed(&random, 3);
	for (int round = 0; round < 150; round++) {
		struct activity activity = draw(&random, 1 + (uint32_t)round % 7);
		struct coactivation coactivation;
		uint32_t order[ORDER_OPTIMUM_NEURONS];
		struct brute brute;
		uint64_t found;

		assert_ok(coactivation_count(&activity, NULL, &coactivation, &err), &err);
		brute = search_all(&activity, &coactivation);
		assert_ok(order_optimum_path(&coactivation, order, &found, &err), &err);
		assert_int_equal(found, brute.weight);
		assert_permutation(order, activity.n_neurons);
		assert_int_equal(order_path_weight(&coactivation, order), found);
		for (int c = 0; c < N_COSTS; c++) {
			assert_ok(order_optimum_cost(&activity, io_costs[c], order, &found, &err),
				  &err);
			assert_int_equal(found, brute.cost[c]);
			assert_permutation(order, activity.n_neurons);
			assert_int_equal(cost_of(&activity, order, io_costs[c]), found);
		}
		coactivation_free(&coactivation);
		activity_free(&activity);
	}
}

/* At an I/O for a bundle a gap costs as much as a read: the two searches ask the same. */
static void one_bundle_for_an_io_is_no_collapse(void **state)
{
	struct random_state random;
	struct error err;

	(void)state;
	random_seed(&random, 4);
	for (int round = 0; round < 20; round++) {
		struct activity activity = draw(&random, 9 + (uint32_t)round % 5);
		struct coactivation coactivation;
		uint32_t order[ORDER_OPTIMUM_NEURONS];
		uint64_t weight, cost;
		size_t wanted = bits_count(activity.fired, activity.n_tokens);

		assert_ok(coactivation_count(&activity, NULL, &coactivation, &err), &err);
		assert_ok(order_optimum_path(&coactivation, order, &weight, &err), &err);
		assert_ok(order_optimum_cost(&activity, 1, order, &cost, &err), &err);
		assert_int_equal(cost, 2 * wanted - weight);
		coactivation_free(&coactivation);
		activity_free(&activity);
	}
}

/* Where both searches could be used, at the border between them, and what order_measure() says. */
static void costs_are_measured(void **state)
{
	struct random_state random;
	struct error err;

	(void)state;
	random_seed(&random, 5);
	for (uint32_t io = 1; io < 12; io++) {
		struct activity activity = draw(&random, 9);
		uint32_t order[ORDER_OPTIMUM_NEURONS], linked[ORDER_OPTIMUM_NEURONS];
		struct coactivation coactivation;
		struct order_quality quality;
		uint64_t cost;

		assert_ok(order_optimum_cost(&activity, io, order, &cost, &err), &err);
		assert_int_equal(cost_of(&activity, order, io), cost);
		assert_ok(order_measure(&activity, order, io, &quality, &err), &err);
		assert_float_equal((quality.bundles_per_token + io * quality.reads_per_token) *
					   (double)activity.n_tokens,
				   (double)cost, 1e-6);
		assert_ok(coactivation_count(&activity, NULL, &coactivation, &err), &err);
		assert_ok(order_linked(&coactivation, linked, &err), &err);
		assert_true(cost <= cost_of(&activity, linked, io));
		coactivation_free(&coactivation);
		activity_free(&activity);
	}
}

static void what_takes_too_long_is_refused(void **state)
{
	struct activity activity = make_independent_activity(1, 19, 10, 0.5);
	struct coactivation coactivation;
	uint32_t order[19];
	uint64_t found;
	struct error err;

	(void)state;
	assert_ok(coactivation_count(&activity, NULL, &coactivation, &err), &err);
	assert_int_equal(order_optimum_path(&coactivation, order, &found, &err), -EINVAL);
	assert_says(&err, "at most 18");
	assert_int_equal(order_optimum_cost(&activity, 1, order, &found, &err), -EINVAL);
	assert_says(&err, "19 neurons");
	coactivation_free(&coactivation);
	activity_free(&activity);

	activity = make_independent_activity(1, 14, 10, 0.5);
	assert_int_equal(order_optimum_cost(&activity, 0, order, &found, &err), -EINVAL);
	assert_int_equal(order_optimum_cost(&activity, 4, order, &found, &err), -E2BIG);
	assert_says(&err, "14 neurons with gaps of 4");
	assert_ok(order_optimum_cost(&activity, 2, order, &found, &err), &err);
	activity_free(&activity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(costs_are_measured),
		cmocka_unit_test(one_bundle_for_an_io_is_no_collapse),
		cmocka_unit_test(optima_are_those_of_all_permutations),
		cmocka_unit_test(what_takes_too_long_is_refused),
	};

	return cmocka_run_group_tests_name("order_optimum", tests, NULL, NULL);
}
