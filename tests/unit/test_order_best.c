// SPDX-License-Identifier: GPL-2.0-only
/*
 * The search on layers that are known: what it gains on tokens that it did not see, and that
 * it claims nothing where there is nothing to gain.
 */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "placement/arrangement.h"
#include "placement/order.h"
#include "placement/order_best.h"

#define NEURONS 400
#define SEEN 4000
#define UNSEEN 2000
#define IO_BUNDLES 18.5

/*
 * Neurons that belong to three groups each and fire half of the times when one of them is
 * on: the best friend says little, several of them much.
 */
static struct activity make_overlapping_activity(uint64_t seed, uint64_t n_tokens)
{
	struct activity activity = make_independent_activity(1, NEURONS, n_tokens, 0);
	struct random_state random, groups;
	uint32_t member[3][NEURONS];

	random_seed(&groups, 7);
	for (int layer = 0; layer < 3; layer++)
		random_permutation(&groups, member[layer], NEURONS);
	random_seed(&random, seed);
	for (uint64_t t = 0; t < n_tokens; t++)
		for (uint32_t group = 0; group < 3 * NEURONS / 20; group++) {
			if (random_unit(&random) > 0.02)
				continue;
			for (uint32_t i = 0; i < 20; i++)
				if (random_unit(&random) < 0.5)
					bits_set(activity.fired + t * bits_words(NEURONS),
						 member[group % 3][group / 3 * 20 + i]);
		}
	return activity;
}

static double cost_of(const struct activity *wanted, const uint32_t *order)
{
	struct arrangement *arrangement;
	struct error err;
	double cost;

	assert_int_equal(arrangement_create(wanted, order, IO_BUNDLES, 0, &arrangement, &err), 0);
	cost = (double)arrangement_cost(arrangement) / arrangement->cost.step /
	       (double)wanted->n_tokens;
	arrangement_free(arrangement);
	return cost;
}

static struct order_best_options no_cache(uint32_t effort)
{
	return (struct order_best_options){
		.io_bundles = IO_BUNDLES,
		.effort = effort,
		.memory = UINT64_C(1) << 30,
	};
}

static void search(const struct activity *seen, const struct order_best_options *options,
		   struct thread_pool *pool, uint32_t *order, struct order_best_result *result)
{
	struct error err;

	assert_int_equal(order_best(seen, options, pool, order, result, &err), 0);
	assert_permutation(order, seen->n_neurons);
}

static void more_effort_costs_less(void **state)
{
	struct activity seen = make_overlapping_activity(1, SEEN);
	struct activity unseen = make_overlapping_activity(2, UNSEEN);
	double cost[ORDER_BEST_EFFORTS];
	uint32_t order[NEURONS];

	(void)state;
	for (uint32_t effort = 0; effort < ORDER_BEST_EFFORTS; effort++) {
		struct order_best_options options = no_cache(effort);
		struct order_best_result result;

		search(&seen, &options, NULL, order, &result);
		cost[effort] = cost_of(&unseen, order);
		if (!effort)
			continue;
		/* What it says of the tokens that it saw is so. */
		assert_int_equal(result.tokens, SEEN);
		assert_true(result.moves && result.sweeps);
		assert_true(result.best_bundles < result.greedy_bundles);
		assert_true(cost_of(&seen, order) > result.best_bundles - 1e-6);
		assert_true(cost_of(&seen, order) < result.best_bundles + 1e-6);
	}
	assert_true(cost[1] < cost[0] * 0.95);
	assert_true(cost[2] < cost[1] * 0.99);
	assert_true(cost[3] < cost[2] * 1.005);
	activity_free(&seen);
	activity_free(&unseen);
}

/* Effort 0, without a cache, is what the paper does. */
static void without_effort_it_is_greedy(void **state)
{
	struct activity seen = make_overlapping_activity(1, SEEN);
	struct order_best_options options = no_cache(0);
	uint32_t order[NEURONS], greedy[NEURONS];
	struct coactivation counts;
	struct error err;

	(void)state;
	search(&seen, &options, NULL, order, NULL);
	assert_int_equal(coactivation_count(&seen, NULL, &counts, &err), 0);
	assert_int_equal(order_linked(&counts, greedy, &err), 0);
	assert_memory_equal(order, greedy, sizeof(greedy));
	coactivation_free(&counts);
	activity_free(&seen);
}

/* Neurons that know nothing of each other: whatever it finds, others do not pay less by it. */
static void nothing_is_gained_of_independent_neurons(void **state)
{
	struct activity seen = make_independent_activity(1, NEURONS, SEEN, 0.05);
	struct activity unseen = make_independent_activity(2, NEURONS, UNSEEN, 0.05);
	struct order_best_options options = no_cache(2);
	uint32_t order[NEURONS], identity[NEURONS];
	double ratio;

	(void)state;
	for (uint32_t i = 0; i < NEURONS; i++)
		identity[i] = i;
	search(&seen, &options, NULL, order, NULL);
	ratio = cost_of(&unseen, order) / cost_of(&unseen, identity);
	assert_true(ratio > 0.99 && ratio < 1.01);
	activity_free(&seen);
	activity_free(&unseen);
}

static void threads_do_not_matter(void **state)
{
	struct activity seen = make_overlapping_activity(1, SEEN);
	struct order_best_options options = no_cache(2);
	uint32_t alone[NEURONS], together[NEURONS];
	struct thread_pool *pool;
	struct error err;

	(void)state;
	options.cache_ratio = 0.05;
	search(&seen, &options, NULL, alone, NULL);
	assert_int_equal(thread_pool_create(3, &pool, &err), 0);
	search(&seen, &options, pool, together, NULL);
	assert_memory_equal(alone, together, sizeof(alone));
	thread_pool_destroy(pool);
	activity_free(&seen);
}

static void stopped_it_has_an_order(void **state)
{
	struct activity seen = make_overlapping_activity(1, SEEN);
	struct order_best_options options = no_cache(2), none = no_cache(0);
	uint32_t stopped[NEURONS], greedy[NEURONS];
	struct order_best_result result;
	atomic_bool stop = true;

	(void)state;
	options.stop = &stop;
	search(&seen, &options, NULL, stopped, &result);
	assert_int_equal(result.moves, 0);
	search(&seen, &none, NULL, greedy, NULL);
	assert_memory_equal(stopped, greedy, sizeof(greedy));
	activity_free(&seen);
}

/* It begins where it is told to, and what it makes of that is better. */
static void it_goes_on_from_an_order(void **state)
{
	struct activity seen = make_overlapping_activity(1, SEEN);
	struct order_best_options options = no_cache(2);
	uint32_t start[NEURONS], order[NEURONS];
	struct order_best_result result;
	atomic_bool stop = true;

	(void)state;
	for (uint32_t i = 0; i < NEURONS; i++)
		start[i] = NEURONS - 1 - i;
	options.start = start;
	search(&seen, &options, NULL, order, &result);
	assert_float_equal(result.greedy_bundles, cost_of(&seen, start), 1e-6);
	assert_true(result.best_bundles < result.greedy_bundles * 0.95);
	options.stop = &stop;
	search(&seen, &options, NULL, order, &result);
	assert_memory_equal(order, start, sizeof(start));
	activity_free(&seen);
}

/*
 * Two groups of 8 that often fire together, apart: no neuron would leave its own group, and
 * all are better off when one group goes to the other.
 */
static void groups_move_as_one(void **state)
{
	struct activity seen = make_independent_activity(1, NEURONS, 1024, 0);
	struct order_best_options options = no_cache(1);
	uint32_t start[NEURONS], order[NEURONS];
	size_t words = bits_words(NEURONS);

	(void)state;
	for (uint64_t t = 0; t < 1024; t++)
		for (uint32_t i = 0; i < 8; i++) {
			if (t % 4)
				bits_set(seen.fired + t * words, i);
			if (t % 4 != 1)
				bits_set(seen.fired + t * words, NEURONS - 1 - i);
		}
	for (uint32_t i = 0; i < NEURONS; i++)
		start[i] = i;
	options.start = start;
	search(&seen, &options, NULL, order, NULL);
	assert_memory_equal(order, start, sizeof(start));
	options.effort = 2;
	search(&seen, &options, NULL, order, NULL);
	/* One I/O for each token, where half of them had two. */
	assert_float_equal(cost_of(&seen, order), IO_BUNDLES, 0.01);
	activity_free(&seen);
}

static void fewer_tokens_fit_less_memory(void **state)
{
	struct activity seen = make_overlapping_activity(1, SEEN);
	struct order_best_options options = no_cache(2);
	struct order_best_result result;
	uint32_t order[NEURONS];

	(void)state;
	options.memory = arrangement_bytes(NEURONS, 640);
	search(&seen, &options, NULL, order, &result);
	assert_int_equal(result.tokens, 512); /* of 16,384, a half and a half again */
	options.memory = 0;
	search(&seen, &options, NULL, order, &result);
	assert_int_equal(result.tokens, 0);
	activity_free(&seen);
}

/* What is always in DRAM comes last, the most frequent first; what never fires behind it. */
static void never_missed_neurons_are_last(void **state)
{
	struct activity seen = make_overlapping_activity(1, SEEN);
	struct order_best_options options = no_cache(2);
	uint32_t order[NEURONS], at[NEURONS];
	size_t words = bits_words(NEURONS);

	(void)state;
	options.cache_ratio = 0.05;
	for (uint64_t t = 0; t < SEEN; t++) {
		bits_set(seen.fired + t * words, 17);
		if (t % 8)
			bits_set(seen.fired + t * words, 3);
		bits_clear(seen.fired + t * words, 399);
	}
	/* Neither had a first time that was missed. */
	for (uint64_t t = 0; t < 64; t++)
		memset(seen.fired + t * words, 0, words * sizeof(uint64_t));
	for (uint64_t t = 0; t < 64; t++)
		for (uint32_t neuron = 20; neuron < 390; neuron++)
			if ((t + neuron) % 3 == 0)
				bits_set(seen.fired + t * words, neuron);
	search(&seen, &options, NULL, order, NULL);
	for (uint32_t slot = 0; slot < NEURONS; slot++)
		at[order[slot]] = slot;
	assert_int_equal(at[399], NEURONS - 1);
	assert_int_equal(at[3], NEURONS - 2);
	assert_int_equal(at[17], NEURONS - 3);
	activity_free(&seen);
}

/* By both ways, of tokens with their counts: is what is placed the linked order? */
static bool is_linked(const struct activity *seen, uint32_t *order)
{
	struct order_best_options options = no_cache(2);
	struct coactivation counts;
	uint32_t linked[NEURONS];
	struct order_input input = { .coactivation = &counts, .seen = seen, .best = &options };
	struct error err;

	assert_ok(coactivation_count(seen, NULL, &counts, &err), &err);
	assert_ok(order_make(ORDER_BEST, &input, order, &err), &err);
	assert_permutation(order, NEURONS);
	assert_ok(order_linked(&counts, linked, &err), &err);
	coactivation_free(&counts);
	return !memcmp(order, linked, sizeof(linked));
}

static void what_it_did_not_see_judges(void **state)
{
	struct activity clusters = make_overlapping_activity(1, SEEN);
	struct activity unseen = make_overlapping_activity(2, UNSEEN);
	struct activity chance = make_independent_activity(1, NEURONS, SEEN, 0.05);
	struct order_best_options none = no_cache(0);
	uint32_t order[NEURONS], greedy[NEURONS];

	(void)state;
	assert_true(is_linked(&chance, order));
	assert_false(is_linked(&clusters, order));
	search(&clusters, &none, NULL, greedy, NULL);
	assert_true(cost_of(&unseen, order) < cost_of(&unseen, greedy) * 0.95);
	activity_free(&clusters);
	activity_free(&unseen);
	activity_free(&chance);
}

static void options_are_refused(void **state)
{
	struct activity seen = make_overlapping_activity(1, 100);
	uint32_t order[NEURONS];
	struct error err;

	(void)state;
	for (int bad = 0; bad < 4; bad++) {
		struct order_best_options options = no_cache(1);

		if (bad == 0)
			options.io_bundles = 0;
		if (bad == 1)
			options.cache_ratio = 1.01;
		if (bad == 2)
			options.cache_ratio = -0.01;
		if (bad == 3)
			options.effort = ORDER_BEST_EFFORTS;
		assert_int_equal(order_best(&seen, &options, NULL, order, NULL, &err), -EINVAL);
	}
	activity_free(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fewer_tokens_fit_less_memory),
		cmocka_unit_test(groups_move_as_one),
		cmocka_unit_test(it_goes_on_from_an_order),
		cmocka_unit_test(more_effort_costs_less),
		cmocka_unit_test(never_missed_neurons_are_last),
		cmocka_unit_test(nothing_is_gained_of_independent_neurons),
		cmocka_unit_test(options_are_refused),
		cmocka_unit_test(stopped_it_has_an_order),
		cmocka_unit_test(threads_do_not_matter),
		cmocka_unit_test(what_it_did_not_see_judges),
		cmocka_unit_test(without_effort_it_is_greedy),
	};

	return cmocka_run_group_tests_name("order_best", tests, NULL, NULL);
}
