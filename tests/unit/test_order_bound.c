// SPDX-License-Identifier: GPL-2.0-only
/* No path weighs more than the bound, and on layers like real ones it is not far above. */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <errno.h>
#include <stdlib.h>

#include "base/random.h"
#include "placement/order.h"
#include "placement/order_bound.h"
#include "placement/order_optimum.h"

#define ROUNDS 300

static struct coactivation make_counts(uint32_t n)
{
	struct coactivation counts = {
		.n_neurons = n,
		.frequency = calloc(n, sizeof(uint32_t)),
		.wide = calloc((size_t)n * n / 2 + 1, sizeof(uint32_t)),
	};

	assert_non_null(counts.frequency);
	assert_non_null(counts.wide);
	return counts;
}

static void set_count(struct coactivation *counts, uint32_t i, uint32_t j, uint32_t count)
{
	uint32_t low = i < j ? i : j;

	counts->wide[coactivation_at(counts, low) + (i < j ? j : i) - low - 1] = count;
}

static uint64_t bound_of(const struct coactivation *counts, uint64_t known, uint32_t rounds)
{
	struct error err;
	uint64_t bound;

	assert_ok(order_path_bound(counts, known, rounds, NULL, &bound, &err), &err);
	return bound;
}

static uint64_t linked_weight(const struct coactivation *counts)
{
	uint32_t *order = malloc(counts->n_neurons * sizeof(*order));
	uint64_t weight;
	struct error err;

	assert_non_null(order);
	assert_ok(order_linked(counts, order, &err), &err);
	weight = order_path_weight(counts, order);
	free(order);
	return weight;
}

/* Counts without any structure, few different ones, or mostly none. */
static void draw_counts(struct random_state *random, struct coactivation *counts)
{
	uint32_t values = 2 + (uint32_t)random_below(random, random_below(random, 2) ? 4 : 100000);
	bool sparse = random_below(random, 3) == 0;

	for (uint32_t i = 0; i < counts->n_neurons; i++) {
		counts->frequency[i] = values;
		for (uint32_t j = 0; j < i; j++)
			if (!sparse || random_below(random, 4) == 0)
				set_count(counts, i, j, (uint32_t)random_below(random, values));
	}
}

static void nothing_is_above_it(void **state)
{
	struct random_state random;
	double excess = 0;
	int exact = 0;

	(void)state;
	random_seed(&random, 6);
	for (int round = 0; round < 400; round++) {
		struct coactivation counts = make_counts(1 + (uint32_t)round % 12);
		uint32_t order[ORDER_OPTIMUM_NEURONS];
		uint64_t optimum, bound;
		struct error err;

		draw_counts(&random, &counts);
		assert_ok(order_optimum_path(&counts, order, &optimum, &err), &err);
		for (uint32_t rounds = 0; rounds < 30; rounds++)
			assert_true(bound_of(&counts, linked_weight(&counts), rounds) >= optimum);
		bound = bound_of(&counts, linked_weight(&counts), ROUNDS);
		assert_true(bound >= optimum);
		exact += bound == optimum;
		excess += optimum ? (double)(bound - optimum) / (double)optimum : 0;
		coactivation_free(&counts);
	}
	assert_true(exact > 200);
	assert_true(excess / 400 < 0.01);
}

/* A path of strong links, hidden among weak ones: Its weight is the bound. */
static void meets_a_path(void **state)
{
	const uint32_t n = 300;
	struct coactivation counts = make_counts(n);
	struct random_state random;
	uint32_t path[300];
	uint64_t weight;

	(void)state;
	random_seed(&random, 7);
	random_permutation(&random, path, n);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < i; j++)
			set_count(&counts, i, j, (uint32_t)random_below(&random, 50));
	for (uint32_t i = 0; i + 1 < n; i++)
		set_count(&counts, path[i], path[i + 1],
			  200 + (uint32_t)random_below(&random, 500));
	weight = order_path_weight(&counts, path);
	assert_int_equal(bound_of(&counts, weight, ROUNDS), weight);
	coactivation_free(&counts);
}

/*
 * Of one hot neuron and its friends, who have no other: they can have two links at it, although
 * every tree has all of them.
 */
static void a_hot_neuron_has_two_links(void **state)
{
	struct coactivation counts = make_counts(200);

	(void)state;
	for (uint32_t i = 1; i < 200; i++)
		set_count(&counts, 0, i, 1000 + i);
	assert_int_equal(bound_of(&counts, 1199 + 1198, ROUNDS), 1199 + 1198);
	coactivation_free(&counts);
}

/* Rings: each must be cut somewhere, at its weakest link. */
static void rings_are_cut(void **state)
{
	struct coactivation counts = make_counts(150);
	uint64_t weight = 0;

	(void)state;
	for (uint32_t ring = 0; ring < 150; ring += 5) {
		for (uint32_t i = 0; i < 5; i++) {
			set_count(&counts, ring + i, ring + (i + 1) % 5, 100 + i);
			weight += 100 + i;
		}
		weight -= 100;
	}
	assert_int_equal(bound_of(&counts, weight, ROUNDS), weight);
	coactivation_free(&counts);
}

static void is_near_on_layers_with_friends(void **state)
{
	struct activity activity = make_clustered_activity(5, 700, 2000, 6, 0.04);
	struct coactivation counts;
	uint64_t known, bound;
	struct error err;

	(void)state;
	assert_ok(coactivation_count(&activity, NULL, &counts, &err), &err);
	known = linked_weight(&counts);
	bound = bound_of(&counts, known, ROUNDS);
	assert_true(bound >= known);
	assert_true((double)bound < 1.01 * (double)known);
	/* More rounds cannot make it worse, and none make it bad. */
	assert_true(bound <= bound_of(&counts, known, 30));
	assert_true(bound_of(&counts, known, 0) > bound);
	coactivation_free(&counts);
	activity_free(&activity);
}

static void is_the_same_for_every_pool(void **state)
{
	struct activity activity = make_independent_activity(5, 900, 300, 0.1);
	struct coactivation counts;
	uint64_t known, alone;
	struct error err;

	(void)state;
	assert_ok(coactivation_count(&activity, NULL, &counts, &err), &err);
	known = linked_weight(&counts);
	alone = bound_of(&counts, known, 60);
	for (unsigned int threads = 1; threads < 6; threads++) {
		struct thread_pool *pool;
		uint64_t bound;

		assert_ok(thread_pool_create(threads, &pool, &err), &err);
		assert_ok(order_path_bound(&counts, known, 60, pool, &bound, &err), &err);
		assert_int_equal(bound, alone);
		thread_pool_destroy(pool);
	}
	coactivation_free(&counts);
	activity_free(&activity);
}

/* Where all pairs are alike they are worth something all at once: more than there is room for. */
static void holds_where_pairs_do_not_fit(void **state)
{
	const uint32_t n = 500, count = 12345;
	struct coactivation counts = make_counts(n);
	uint64_t bound;

	(void)state;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < i; j++)
			set_count(&counts, i, j, count);
	bound = bound_of(&counts, (uint64_t)count * (n - 1), ROUNDS);
	assert_true(bound >= (uint64_t)count * (n - 1));
	assert_true(bound <= (uint64_t)count * n + n);
	coactivation_free(&counts);
}

static void counts_are_limited(void **state)
{
	struct coactivation counts = make_counts(3);
	struct error err;
	uint64_t bound;

	(void)state;
	assert_int_equal(bound_of(&counts, 0, ROUNDS), 0);
	set_count(&counts, 0, 2, (1u << 27) - 1);
	set_count(&counts, 0, 1, (1u << 27) - 1);
	assert_int_equal(bound_of(&counts, 2 * ((1u << 27) - 1), ROUNDS), 2 * ((1u << 27) - 1));
	set_count(&counts, 0, 1, 1u << 27);
	assert_int_equal(order_path_bound(&counts, 0, ROUNDS, NULL, &bound, &err), -EINVAL);
	assert_says(&err, "134217728 times");
	coactivation_free(&counts);
}

static void weight_by_hand(void **state)
{
	const uint32_t order[] = { 2, 0, 1 };
	struct coactivation counts = make_counts(3);

	(void)state;
	set_count(&counts, 0, 1, 5);
	set_count(&counts, 0, 2, 70);
	set_count(&counts, 1, 2, 900);
	assert_int_equal(order_path_weight(&counts, order), 75);
	coactivation_free(&counts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hot_neuron_has_two_links),
		cmocka_unit_test(counts_are_limited),
		cmocka_unit_test(holds_where_pairs_do_not_fit),
		cmocka_unit_test(is_near_on_layers_with_friends),
		cmocka_unit_test(is_the_same_for_every_pool),
		cmocka_unit_test(meets_a_path),
		cmocka_unit_test(nothing_is_above_it),
		cmocka_unit_test(rings_are_cut),
		cmocka_unit_test(weight_by_hand),
	};

	return cmocka_run_group_tests_name("order_bound", tests, NULL, NULL);
}
