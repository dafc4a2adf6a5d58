// SPDX-License-Identifier: GPL-2.0-only
/* Orders against the tokens of a trace: as if each token had been given by hand. */
#include "helpers/activity.h"
#include "helpers/folder_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "bench/order_costs.h"
#include "helpers/watcher.h"

/* The tokens of the trace whose chunks are of the part, one by one. */
static void by_hand(const struct activity *layers, const struct trace *trace,
		    enum activity_part part, const struct order_replay_options *options,
		    const uint32_t *order, struct order_cost *cost)
{
	const struct order_replay_model model = { 2, layers[0].n_neurons, layers[0].n_neurons, NULL };
	size_t words = bits_words(layers[0].n_neurons);
	uint64_t token = 0, fired[4];
	struct order_replay *replay;
	struct error err;
	uint32_t fed = 0;

	assert_ok(order_replay_create(options, &model, order, &replay, &err), &err);
	for (uint32_t c = 0; c < trace_chunks(trace); c++) {
		for (uint32_t i = 0; i < trace_chunk_tokens(trace, c); i++, token++) {
			bool unseen = trace_chunk_unseen(trace, c);

			if (part != ACTIVITY_ALL && unseen != (part == ACTIVITY_UNSEEN))
				continue;
			if (fed++ == options->max_tokens)
				break;
			for (int l = 0; l < 2; l++)
				memcpy(fired + l * words, layers[l].fired + token * words,
				       words * sizeof(*fired));
			assert_ok(order_replay_token(replay, fired, &err), &err);
		}
		if (fed > options->max_tokens)
			break;
	}
	order_replay_finish(replay, cost);
	order_replay_free(replay);
}

static void a_trace_is_its_tokens(void **state)
{
	const struct folder *folder = *state;
	struct activity layers[] = {
		make_clustered_activity(1, 100, 1000, 4, 0.1),
		make_clustered_activity(2, 100, 1000, 4, 0.1),
	};
	static const struct {
		enum activity_part part;
		uint32_t max_tokens, n, warm_up;
	} cases[] = {
		{ ACTIVITY_UNSEEN, 1000, 90, 11 }, { ACTIVITY_UNSEEN, 60, 60, 7 },
		{ ACTIVITY_ALL, 1000, 1000, 20 }, { ACTIVITY_SEEN, 100, 100, 12 },
		{ ACTIVITY_UNSEEN, 1, 1, 0 },
	};
	uint32_t orders[3][200];
	const uint32_t *const order_of[3] = { orders[0], orders[1], orders[2] };
	struct random_state random;
	struct thread_pool *pool;
	struct trace *trace;
	struct error err;

	write_activities(folder->file, 1, layers, 2, 45);
	assert_ok(trace_open(folder->file, &trace, &err), &err);
	assert_ok(thread_pool_create(2, &pool, &err), &err);
	random_seed(&random, 5);
	for (int i = 0; i < 6; i++)
		random_permutation(&random, &orders[i / 2][i % 2 * 100], 100);
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct order_replay_options options = {
			.cost = DEVICE_COST_UFS4, .bundle_bytes = 4096, .cache_ratio = 0.2,
			.warm_up = 20, .max_tokens = cases[c].max_tokens,
		};
		struct watcher watcher = make_watcher();
		struct order_cost costs[3], again[3], one;

		assert_ok(order_costs(trace, cases[c].part, &options, NULL, order_of, NULL, 3, NULL,
				      &watcher.progress, costs, &err), &err);
		assert_ok(order_costs(trace, cases[c].part, &options, NULL, order_of, NULL, 3, pool,
				      NULL, again, &err), &err);
		assert_memory_equal(costs, again, sizeof(costs));
		assert_true(watcher.done == cases[c].n && watcher.total == cases[c].n);
		options.max_tokens = cases[c].n;
		options.warm_up = cases[c].warm_up;
		for (int i = 0; i < 3; i++) {
			by_hand(layers, trace, cases[c].part, &options, orders[i], &one);
			assert_int_equal(one.tokens, cases[c].n - cases[c].warm_up);
			assert_memory_equal(&one, &costs[i], sizeof(one));
		}
	}
	thread_pool_destroy(pool);
	trace_close(trace);
	activity_free(&layers[0]);
	activity_free(&layers[1]);
}

/* 4096 tokens, for each of which 20 or so of 38400 neurons fire. */
static struct activity make_sparse_activity(uint64_t seed)
{
	struct activity activity = { .n_neurons = 64 * 600, .n_tokens = 4096 };
	struct random_state random;

	activity.fired = calloc(4096 * 600, sizeof(*activity.fired));
	assert_non_null(activity.fired);
	random_seed(&random, seed);
	for (int i = 0; i < 4096 * 20; i++)
		bits_set(activity.fired + i / 20 * 600, random_below(&random, 64 * 600));
	return activity;
}

/* A token has 9600 bytes, so that a chunk of 4096 is gathered in two windows. */
static void windows_do_not_show(void **state)
{
	const struct folder *folder = *state;
	struct activity layers[] = { make_sparse_activity(1), make_sparse_activity(2) };
	struct order_replay_options options = {
		.cost = DEVICE_COST_UFS4, .bundle_bytes = 4096, .cache_ratio = 0.05,
		.warm_up = 10, .max_tokens = 4096,
	};
	uint32_t n = layers[0].n_neurons, *order = malloc(2 * n * sizeof(*order));
	const uint32_t *const orders[1] = { order };
	const struct order_replay_model model = { 2, n, n, NULL };
	uint64_t *fired = malloc(2 * 600 * sizeof(*fired));
	struct order_cost cost, expected;
	struct order_replay *replay;
	struct trace *trace;
	struct error err;

	assert_true(order && fired);
	for (uint32_t i = 0; i < 2 * n; i++)
		order[i] = i % n;
	write_activities(folder->file, 1, layers, 2, 4096);
	assert_ok(trace_open(folder->file, &trace, &err), &err);
	assert_ok(order_costs(trace, ACTIVITY_ALL, &options, NULL, orders, NULL, 1, NULL, NULL, &cost,
			      &err), &err);
	assert_ok(order_replay_create(&options, &model, order, &replay, &err), &err);
	for (uint32_t t = 0; t < 4096; t++) {
		for (int l = 0; l < 2; l++)
			memcpy(fired + l * 600, layers[l].fired + t * 600, 600 * sizeof(*fired));
		assert_ok(order_replay_token(replay, fired, &err), &err);
	}
	order_replay_finish(replay, &expected);
	order_replay_free(replay);
	assert_memory_equal(&cost, &expected, sizeof(cost));
	trace_close(trace);
	activity_free(&layers[0]);
	activity_free(&layers[1]);
	free(fired);
	free(order);
}

/* In the first block, behind the header of 72 bytes: found when it is read. */
static void damaged_trace(void **state)
{
	const struct folder *folder = *state;
	struct activity layers[] = { make_independent_activity(1, 50, 20, 0.5) };
	struct order_replay_options options = {
		.cost = DEVICE_COST_UFS4, .bundle_bytes = 4096, .max_tokens = 20,
	};
	uint32_t order[50];
	const uint32_t *const orders[1] = { order };
	struct order_cost cost;
	struct trace *trace;
	struct error err;
	size_t length;
	char *bytes;

	for (uint32_t i = 0; i < 50; i++)
		order[i] = i;
	write_activities(folder->file, 1, layers, 1, 20);
	bytes = file_contents(folder->file, &length);
	bytes[80] ^= 1;
	write_file(folder->file, bytes, length);
	free(bytes);
	assert_ok(trace_open(folder->file, &trace, &err), &err);
	assert_refused_with(order_costs(trace, ACTIVITY_ALL, &options, NULL, orders, NULL, 1, NULL, NULL,
					&cost, &err), &err, folder->file, "damaged");
	trace_close(trace);
	activity_free(&layers[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(a_trace_is_its_tokens),
		folder_test(damaged_trace),
		folder_test(windows_do_not_show),
	};

	return cmocka_run_group_tests_name("order_costs", tests, NULL, NULL);
}
