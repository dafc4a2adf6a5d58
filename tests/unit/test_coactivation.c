// SPDX-License-Identifier: GPL-2.0-only
/* Both ways of counting pairs agree with counting them naively, whatever the pool. */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "placement/coactivation.h"
#include "placement/coactivation_count.h"

static uint32_t naive_pairs(const struct activity *activity, uint32_t a, uint32_t b)
{
	uint32_t count = 0;

	for (uint64_t t = 0; t < activity->n_tokens; t++)
		count += fired_for(activity, t, a) && fired_for(activity, t, b);
	return count;
}

static void assert_counts(const struct activity *activity, struct thread_pool *pool)
{
	struct coactivation coactivation;
	struct error err;
	size_t n = activity->n_neurons;

	assert_ok(coactivation_count(activity, pool, &coactivation, &err), &err);
	assert_int_equal(coactivation.n_neurons, n);
	assert_int_equal(coactivation.n_tokens, activity->n_tokens);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(coactivation.frequency[i], naive_pairs(activity, i, i));
		assert_int_equal(coactivation.pairs[i * n + i], 0);
		for (uint32_t j = 0; j < i; j++) {
			uint32_t expected = naive_pairs(activity, i, j);

			assert_int_equal(coactivation.pairs[i * n + j], expected);
			assert_int_equal(coactivation.pairs[j * n + i], expected);
		}
	}
	coactivation_free(&coactivation);
}

/* Sizes around a word, a tile of either kind and a batch; shares for either way. */
static void counts_are_exact(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 31, 32, 33, 63, 64, 65, 130 };
	static const uint64_t tokens[] = { 0, 1, 64, 203 };
	static const double shares[] = { 0, 0.03, 0.6, 1 };
	struct thread_pool *pool;
	struct error err;

	(void)state;
	assert_ok(thread_pool_create(3, &pool, &err), &err);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (size_t t = 0; t < sizeof(tokens) / sizeof(tokens[0]); t++)
			for (size_t p = 0; p < sizeof(shares) / sizeof(shares[0]); p++) {
				struct activity activity = make_independent_activity(
					s * 100 + t * 10 + p, sizes[s], tokens[t], shares[p]);

				assert_counts(&activity, p % 2 ? pool : NULL);
				activity_free(&activity);
			}
	thread_pool_destroy(pool);
}

static void several_batches_add_up(void **state)
{
	struct activity activity =
		make_independent_activity(7, 20, 2 * COACTIVATION_BATCH_TOKENS + 1, 0.4);

	(void)state;
	assert_counts(&activity, NULL);
	activity_free(&activity);
}

/* The choice between the ways must not be what makes a count right. */
static void both_ways_agree(void **state)
{
	static const double shares[] = { 0.02, 0.3 };
	size_t n = 150;

	(void)state;
	for (size_t p = 0; p < sizeof(shares) / sizeof(shares[0]); p++) {
		struct activity activity =
			make_independent_activity(p, (uint32_t)n, 300, shares[p]);
		uint32_t *frequency = calloc(n, sizeof(*frequency));
		uint32_t *dense = calloc(n * n, sizeof(*dense));
		uint32_t *sparse = calloc(n * n, sizeof(*sparse));
		struct coactivation_batch batch = {
			.n_neurons = (uint32_t)n,
			.n_tokens = 300,
			.fired = activity.fired,
			.frequency = frequency,
		};
		struct error err;

		for (uint32_t i = 0; i < n; i++)
			frequency[i] = naive_pairs(&activity, i, i);
		/* They add to what is there. */
		dense[1] = sparse[1] = 1000;
		batch.pairs = dense;
		assert_ok(coactivation_count_dense(&batch, &err), &err);
		batch.pairs = sparse;
		assert_ok(coactivation_count_sparse(&batch, &err), &err);
		assert_memory_equal(dense, sparse, n * n * sizeof(*dense));
		assert_int_equal(dense[1], 1000 + naive_pairs(&activity, 0, 1));
		assert_int_equal(dense[n + 2], naive_pairs(&activity, 1, 2));
		free(frequency);
		free(dense);
		free(sparse);
		activity_free(&activity);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways_agree),
		cmocka_unit_test(counts_are_exact),
		cmocka_unit_test(several_batches_add_up),
	};

	return cmocka_run_group_tests_name("coactivation", tests, NULL, NULL);
}
