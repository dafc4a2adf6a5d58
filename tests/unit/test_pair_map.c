// SPDX-License-Identifier: GPL-2.0-only
/* Maps of pairs against a plain count over all pairs of slots. */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "placement/pair_map.h"

/* The mean over the cell's pairs, from the definition. */
static double expected_share(const struct activity *activity, const uint32_t *order, uint32_t side,
			     uint32_t row, uint32_t column)
{
	double together = 0, pairs = 0;

	for (uint32_t a = row * side; a < (row + 1) * side && a < activity->n_neurons; a++)
		for (uint32_t b = column * side; b < (column + 1) * side && b < activity->n_neurons;
		     b++) {
			if (a == b)
				continue;
			pairs++;
			for (uint64_t t = 0; t < activity->n_tokens; t++)
				together += fired_for(activity, t, order[a]) &&
					    fired_for(activity, t, order[b]);
		}
	return pairs ? together / pairs / (double)activity->n_tokens : 0;
}

static void assert_map(uint32_t n_neurons, uint64_t n_tokens, uint32_t max_cells,
		       uint32_t n_cells, struct thread_pool *pool)
{
	struct activity activity = make_independent_activity(n_neurons, n_neurons, n_tokens, 0.3);
	uint32_t *order = malloc(n_neurons * sizeof(*order));
	struct random_state random;
	struct pair_map map;
	struct error err;

	random_seed(&random, 5);
	random_permutation(&random, order, n_neurons);
	assert_ok(pair_map_make(&activity, order, max_cells, pool, &map, &err), &err);
	assert_int_equal(map.n_cells, n_cells);
	assert_in_range(map.n_cells * map.slots_per_cell, n_neurons,
			n_neurons + map.slots_per_cell - 1);
	for (uint32_t row = 0; row < n_cells; row++)
		for (uint32_t column = 0; column < n_cells; column++) {
			double expected = expected_share(&activity, order, map.slots_per_cell, row,
							 column);

			assert_true(fabs(map.shares[row * n_cells + column] - expected) < 1e-7);
		}
	pair_map_free(&map);
	free(order);
	activity_free(&activity);
}

static void maps_are_the_mean_of_pairs(void **state)
{
	struct thread_pool *pool;
	struct error err;

	(void)state;
	assert_ok(thread_pool_create(3, &pool, &err), &err);
	assert_map(1, 3, 1024, 1, NULL); /* no pair at all */
	assert_map(20, 50, 20, 20, pool); /* a slot is a cell */
	assert_map(20, 50, 19, 10, NULL);
	assert_map(21, 50, 7, 7, pool);
	assert_map(22, 600, 7, 6, pool); /* the last cell has 2 of 4; three batches of tokens */
	assert_map(25, 256, 8, 7, NULL); /* the last cell has one slot, and no pair with itself */
	thread_pool_destroy(pool);
}

static void no_tokens_fire_never(void **state)
{
	struct activity activity = { .n_neurons = 2 };
	uint32_t order[] = { 1, 0 };
	struct pair_map map;
	struct error err;

	(void)state;
	assert_ok(pair_map_make(&activity, order, 2, NULL, &map, &err), &err);
	for (int i = 0; i < 4; i++)
		assert_true(map.shares[i] == 0);
	pair_map_free(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_are_the_mean_of_pairs),
		cmocka_unit_test(no_tokens_fire_never),
	};

	return cmocka_run_group_tests_name("pair_map", tests, NULL, NULL);
}
