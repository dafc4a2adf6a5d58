// SPDX-License-Identifier: GPL-2.0-only
#include "bench/place_bench.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "bench/order_costs.h"
#include "placement/activity.h"
#include "placement/coactivation.h"
#include "placement/order_best.h"
#include "placement/placement.h"

/* Rows over tokens; counting pairs before takes more. */
#define SEARCH_MEMORY (UINT64_C(1) << 30)

/* Seconds since the mark, which moves on. */
static double lap(double *mark)
{
	double now = clock_ms(), seconds = (now - *mark) / 1e3;

	*mark = now;
	return seconds;
}

static int check(const struct place_bench_options *options, const struct place_bench *bench,
		 struct error *err)
{
	if (options->unseen)
		return placement_check_unseen(options->trace, options->unseen, err);
	if (!bench->unseen_tokens)
		return error_set(err, -EINVAL,
				 "the trace is too short to place on a part and measure on another: "
				 "it has one chunk of tokens");
	return 0;
}

static int allocate(const struct place_bench_options *options, struct place_bench *bench,
		    struct error *err)
{
	const struct trace_shape *shape = trace_get_shape(options->trace);
	size_t n = (size_t)shape->n_layers * shape->n_neurons;

	bench->frequency = calloc(n, sizeof(*bench->frequency));
	if (!bench->frequency)
		return error_no_memory(err, "how often neurons fire");
	for (int method = 0; method < ORDER_METHODS; method++) {
		if (!options->methods[method])
			continue;
		bench->orders[method] = calloc(n, sizeof(*bench->orders[method]));
		if (!bench->orders[method])
			return error_no_memory(err, "orders of neurons");
	}
	return 0;
}

static int search_layer(const struct place_bench_options *options, uint32_t layer,
			struct place_bench *bench, struct error *err)
{
	size_t first = (size_t)layer * trace_get_shape(options->trace)->n_neurons;
	const struct order_best_options best = {
		.io_bundles = order_replay_io_bundles(&options->replay),
		.cache_ratio = options->replay.cache_ratio,
		.effort = options->effort,
		.memory = SEARCH_MEMORY,
	};
	struct coactivation coactivation = { 0 };
	struct activity seen = { 0 };
	const struct order_input input = {
		.coactivation = &coactivation,
		.seed = options->seed + layer,
		.seen = &seen,
		.best = &best,
		.pool = options->pool,
	};
	double mark = clock_ms();
	int ret;

	ret = activity_load(options->trace, layer, ACTIVITY_SEEN, &seen, err);
	bench->read_s += lap(&mark);
	if (ret < 0)
		return ret;
	ret = coactivation_count(&seen, options->pool, &coactivation, err);
	bench->count_s += lap(&mark);
	if (ret < 0)
		goto out;
	for (uint32_t i = 0; i < coactivation.n_neurons; i++)
		bench->frequency[first + i] = (float)coactivation.frequency[i] /
					      (float)coactivation.n_tokens;
	for (int method = 0; ret == 0 && method < ORDER_METHODS; method++) {
		if (!options->methods[method])
			continue;
		lap(&mark);
		ret = order_make(method, &input, bench->orders[method] + first, err);
		bench->search_s[method] += lap(&mark);
	}
out:
	activity_free(&seen);
	coactivation_free(&coactivation);
	return ret;
}

int place_bench_search(const struct place_bench_options *options, struct place_bench *bench,
		       struct progress *progress, struct error *err)
{
	uint32_t n_layers = trace_get_shape(options->trace)->n_layers;
	int ret;

	*bench = (struct place_bench){
		.placed_tokens = activity_tokens(options->trace, ACTIVITY_SEEN),
		.unseen_tokens = options->unseen ?
					 trace_tokens(options->unseen) :
					 activity_tokens(options->trace, ACTIVITY_UNSEEN),
	};
	ret = check(options, bench, err);
	if (ret == 0)
		ret = allocate(options, bench, err);
	for (uint32_t layer = 0; ret == 0 && layer < n_layers; layer++) {
		progress_report(progress, layer, n_layers);
		ret = search_layer(options, layer, bench, err);
	}
	if (ret < 0)
		place_bench_free(bench);
	else
		progress_report(progress, n_layers, n_layers);
	return ret;
}

int place_bench_measure(const struct place_bench_options *options, struct place_bench *bench,
			struct progress *progress, struct error *err)
{
	const uint32_t *orders[ORDER_METHODS];
	struct order_cost costs[ORDER_METHODS];
	double mark = clock_ms();
	size_t n = 0;
	int ret;

	for (int method = 0; method < ORDER_METHODS; method++)
		if (options->methods[method])
			orders[n++] = bench->orders[method];
	ret = order_costs(options->unseen ? options->unseen : options->trace,
			  options->unseen ? ACTIVITY_ALL : ACTIVITY_UNSEEN, &options->replay,
			  bench->frequency, orders, n, options->pool, progress, costs, err);
	if (ret < 0)
		return ret;
	bench->measure_s = lap(&mark);
	n = 0;
	for (int method = 0; method < ORDER_METHODS; method++)
		if (options->methods[method])
			bench->costs[method] = costs[n++];
	return 0;
}

void place_bench_free(struct place_bench *bench)
{
	for (int method = 0; method < ORDER_METHODS; method++)
		free(bench->orders[method]);
	free(bench->frequency);
	*bench = (struct place_bench){ 0 };
}
