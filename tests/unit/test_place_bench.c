// SPDX-License-Identifier: GPL-2.0-only
/* bench place: its orders are the methods' own, and its figures those of its parts. */
#include "helpers/activity.h"
#include "helpers/folder_test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/order_costs.h"
#include "bench/place_bench.h"
#include "helpers/watcher.h"
#include "placement/coactivation.h"
#include "placement/order_copies.h"

#define N_LAYERS 2
#define N_NEURONS 96
#define N_TOKENS 1000
#define CHUNK 50

static struct trace *make_trace(const char *path, uint64_t model_id, uint64_t n_tokens)
{
	struct activity layers[N_LAYERS] = {
		make_clustered_activity(1, N_NEURONS, n_tokens, 6, 0.1),
		make_clustered_activity(2, N_NEURONS, n_tokens, 6, 0.1),
	};
	struct trace *trace;
	struct error err;

	write_activities(path, model_id, layers, N_LAYERS, CHUNK);
	assert_ok(trace_open(path, &trace, &err), &err);
	activity_free(&layers[0]);
	activity_free(&layers[1]);
	return trace;
}

static struct place_bench_options make_options(const struct trace *trace)
{
	struct place_bench_options options = {
		.trace = trace, .seed = 7, .effort = ORDER_BEST_DEFAULT_EFFORT,
		/* As by make_order(). */
		.replay = { .cost = { .a_us = 16, .b_us_per_mib = 256 }, .bundle_bytes = 4096,
			    .cache_ratio = best_of_16_bundles.cache_ratio, .warm_up = 10, .max_tokens = 1000 },
	};

	for (int method = 0; method < ORDER_METHODS; method++)
		options.methods[method] = true;
	return options;
}

static void run(const struct place_bench_options *options, struct place_bench *bench)
{
	struct watcher search = make_watcher(), measure = make_watcher();
	struct error err;

	assert_ok(place_bench_search(options, bench, &search.progress, &err), &err);
	assert_true(search.done == N_LAYERS && search.total == N_LAYERS);
	assert_ok(place_bench_measure(options, bench, &measure.progress, &err), &err);
	assert_true(measure.done == measure.total && measure.calls > 0);
}

static void assert_orders(const struct trace *trace, const struct place_bench *bench)
{
	for (uint32_t layer = 0; layer < N_LAYERS; layer++) {
		struct coactivation counts;
		struct activity seen;
		uint32_t order[N_NEURONS];
		struct error err;

		assert_ok(activity_load(trace, layer, ACTIVITY_SEEN, &seen, &err), &err);
		assert_ok(coactivation_count(&seen, NULL, &counts, &err), &err);
		for (int method = 0; method < ORDER_METHODS; method++) {
			make_order(method, &counts, &seen, 7 + layer, order);
			assert_memory_equal(bench->orders[method] + layer * N_NEURONS, order,
					    sizeof(order));
		}
		for (uint32_t i = 0; i < N_NEURONS; i++)
			assert_true(bench->frequency[layer * N_NEURONS + i] ==
				    (float)counts.frequency[i] / (float)seen.n_tokens);
		coactivation_free(&counts);
		activity_free(&seen);
	}
}

static void assert_costs(const struct trace *measured, enum activity_part part,
			 const struct place_bench_options *options, const struct place_bench *bench)
{
	for (int method = 0; method < ORDER_METHODS; method++) {
		const uint32_t *const orders[1] = { bench->orders[method] };
		struct order_cost cost;
		struct error err;

		assert_ok(order_costs(measured, part, &options->replay, bench->frequency, orders, NULL, 1,
				      NULL, NULL, &cost, &err), &err);
		assert_memory_equal(&cost, &bench->costs[method], sizeof(cost));
		assert_true(cost.tokens > 0 && cost.device_us > 0);
	}
}

static void it_is_made_of_its_parts(void **state)
{
	const struct folder *folder = *state;
	struct trace *trace = make_trace(folder->file, 1, N_TOKENS);
	struct place_bench_options options = make_options(trace);
	struct place_bench bench;
	struct error err;

	assert_ok(thread_pool_create(2, &options.pool, &err), &err);
	run(&options, &bench);
	assert_int_equal(bench.placed_tokens, 900);
	assert_int_equal(bench.unseen_tokens, 100);
	assert_true(bench.read_s > 0 && bench.count_s > 0 && bench.measure_s > 0 &&
		    bench.search_s[ORDER_LINKED] > 0);
	assert_orders(trace, &bench);
	assert_costs(trace, ACTIVITY_UNSEEN, &options, &bench);
	/* Clusters of 6 are found: on unseen tokens they are a read each, or less. */
	assert_true(bench.costs[ORDER_LINKED].run_length > 5);
	assert_true(bench.costs[ORDER_RANDOM].run_length < 2);
	assert_true(bench.costs[ORDER_LINKED].device_us < bench.costs[ORDER_RANDOM].device_us);
	place_bench_free(&bench);
	thread_pool_destroy(options.pool);
	trace_close(trace);
}

static void another_trace_to_measure_on(void **state)
{
	const struct folder *folder = *state;
	char *path = path_in(folder->path, "unseen");
	struct trace *trace = make_trace(folder->file, 1, CHUNK), *unseen = make_trace(path, 1, 170);
	struct place_bench_options options = make_options(trace);
	struct place_bench bench;

	options.unseen = unseen;
	run(&options, &bench);
	assert_int_equal(bench.placed_tokens, CHUNK);
	assert_int_equal(bench.unseen_tokens, 170);
	assert_int_equal(bench.costs[0].tokens, 160);
	assert_costs(unseen, ACTIVITY_ALL, &options, &bench);
	place_bench_free(&bench);
	trace_close(unseen);
	trace_close(trace);
	free(path);
}

static void only_some_methods(void **state)
{
	const struct folder *folder = *state;
	struct trace *trace = make_trace(folder->file, 1, N_TOKENS);
	struct place_bench_options options = make_options(trace);
	struct place_bench all, some;
	const struct order_cost none = { 0 };

	run(&options, &all);
	for (int method = 0; method < ORDER_METHODS; method++)
		options.methods[method] = method == ORDER_RANDOM || method == ORDER_LINKED;
	run(&options, &some);
	for (int method = 0; method < ORDER_METHODS; method++) {
		const struct order_cost *expected = options.methods[method] ? &all.costs[method] : &none;

		assert_memory_equal(&some.costs[method], expected, sizeof(*expected));
		assert_int_equal(some.orders[method] != NULL, options.methods[method]);
		if (!options.methods[method])
			assert_true(some.search_s[method] == 0);
	}
	place_bench_free(&all);
	place_bench_free(&some);
	trace_close(trace);
}

/* As order_copies() places them from the best order, and as order_costs() measures these. */
static void assert_copies(const struct trace *trace, const struct place_bench_options *options,
			  const struct place_bench *bench, const struct place_bench_copies *copies,
			  uint32_t n_copies)
{
	const uint32_t *orders[1] = { copies->order };
	struct order_best_options best = best_of_16_bundles;
	struct order_replay_options replay = options->replay;
	struct order_cost cost;
	uint64_t placed = 0;
	struct error err;

	assert_int_equal(copies->n_slots, N_NEURONS + n_copies);
	for (uint32_t layer = 0; layer < N_LAYERS; layer++) {
		struct order_copies_result result;
		uint32_t order[2 * N_NEURONS];
		struct activity seen;

		assert_ok(activity_load(trace, layer, ACTIVITY_SEEN, &seen, &err), &err);
		assert_ok(order_copies(&seen, bench->orders[ORDER_BEST] + layer * N_NEURONS, &best,
				       n_copies, NULL, order, &result, &err), &err);
		assert_memory_equal(order, copies->order + layer * copies->n_slots,
				    copies->n_slots * sizeof(*order));
		placed += result.copies;
		activity_free(&seen);
	}
	assert_int_equal(copies->placed, placed);
	for (int prompt = -1; prompt < PLACE_BENCH_PROMPTS; prompt++) {
		const struct order_cost *measured = prompt < 0 ? &copies->cost :
							     &copies->prompts.costs[prompt];

		if (prompt >= 0) {
			replay.prompt_tokens = place_bench_prompts[prompt];
			replay.cache_ratio = 0;
			replay.warm_up = 0;
		}
		assert_ok(order_costs(trace, ACTIVITY_UNSEEN, &replay, bench->frequency, orders,
				      &copies->n_slots, 1, NULL, NULL, &cost, &err), &err);
		assert_true(measured->device_us == cost.device_us &&
			    measured->tokens == cost.tokens && measured->runs == cost.runs);
	}
}

static void copies_are_of_the_best_order(void **state)
{
	const struct folder *folder = *state;
	/* Of whole clusters, none would gain by a copy. */
	struct activity layers[N_LAYERS] = {
		make_independent_activity(1, N_NEURONS, N_TOKENS, 0.1),
		make_independent_activity(2, N_NEURONS, N_TOKENS, 0.1),
	};
	struct place_bench_options options;
	struct place_bench bench;
	struct trace *trace;
	struct error err;

	write_activities(folder->file, 1, layers, N_LAYERS, CHUNK);
	assert_ok(trace_open(folder->file, &trace, &err), &err);
	options = make_options(trace);
	options.copies[0] = 0.25;
	options.copies[1] = 0.5;
	options.n_copies = 2;
	run(&options, &bench);
	assert_copies(trace, &options, &bench, &bench.copies[0], N_NEURONS / 4);
	assert_copies(trace, &options, &bench, &bench.copies[1], N_NEURONS / 2);
	assert_true(bench.copies[0].placed && bench.copies[0].search_s > 0);
	assert_costs(trace, ACTIVITY_UNSEEN, &options, &bench);
	/* 100 tokens: three prompts of 32, and none of 256. */
	for (int method = 0; method < ORDER_METHODS; method++) {
		assert_int_equal(bench.prompts[method].costs[0].tokens, 3);
		assert_int_equal(bench.prompts[method].costs[1].tokens, 0);
		assert_true(bench.prompts[method].costs[0].device_us > 0);
	}
	place_bench_free(&bench);
	options.copies[1] = 1.5;
	assert_int_equal(place_bench_search(&options, &bench, NULL, &err), -EINVAL);
	assert_says(&err, "a share of 1.5 of the neurons");
	options.copies[1] = 1;
	options.methods[ORDER_BEST] = false;
	assert_int_equal(place_bench_search(&options, &bench, NULL, &err), -EINVAL);
	assert_says(&err, "from the method best only");
	activity_free(&layers[0]);
	activity_free(&layers[1]);
	trace_close(trace);
}

static void traces_that_do_not_do(void **state)
{
	const struct folder *folder = *state;
	char *path = path_in(folder->path, "other");
	struct trace *trace = make_trace(folder->file, 1, CHUNK), *other = make_trace(path, 2, CHUNK);
	struct place_bench_options options = make_options(trace);
	struct place_bench bench;
	struct error err;

	assert_int_equal(place_bench_search(&options, &bench, NULL, &err), -EINVAL);
	assert_says(&err, "too short to place on a part");
	assert_null(bench.frequency);
	options.unseen = other;
	assert_int_equal(place_bench_search(&options, &bench, NULL, &err), -EINVAL);
	assert_says(&err, "is of model 0000000000000002, the trace to place from");
	trace_close(other);
	trace_close(trace);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(another_trace_to_measure_on),
		folder_test(copies_are_of_the_best_order),
		folder_test(it_is_made_of_its_parts),
		folder_test(only_some_methods),
		folder_test(traces_that_do_not_do),
	};

	return cmocka_run_group_tests_name("place_bench", tests, NULL, NULL);
}
