// SPDX-License-Identifier: GPL-2.0-only
#include "bench/place_bench.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "bench/order_costs.h"
#include "placement/activity.h"
#include "placement/coactivation.h"
#include "placement/order_best.h"
#include "placement/order_copies.h"
#include "placement/placement.h"

const uint32_t place_bench_prompts[PLACE_BENCH_PROMPTS] = { 32, 256 };

static int check(const struct place_bench_options *options, const struct place_bench *bench,
		 struct error *err)
{
	for (uint32_t i = 0; i < options->n_copies; i++)
		if (!(options->copies[i] > 0 && options->copies[i] <= 1))
			return error_set(err, -EINVAL,
					 "copies of a share of %g of the neurons: has to be above "
					 "0 and up to 1", options->copies[i]);
	if (options->n_copies && !options->methods[ORDER_BEST])
		return error_set(err, -EINVAL, "copies are placed from the method best only");
	if (options->unseen)
		return placement_check_unseen(options->trace, options->unseen, err);
	if (!bench->unseen_tokens)
		return error_set(err, -EINVAL,
				 "the trace is too short to place on a part and measure on another: "
				 "it has one chunk of tokens");
	return 0;
}

/* Per layer. */
static uint32_t copies_of(const struct place_bench_options *options, uint32_t i)
{
	return (uint32_t)(options->copies[i] * trace_get_shape(options->trace)->n_neurons);
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
	for (uint32_t i = 0; i < options->n_copies; i++) {
		struct place_bench_copies *copies = &bench->copies[i];

		copies->n_slots = shape->n_neurons + copies_of(options, i);
		copies->order = calloc((size_t)shape->n_layers * copies->n_slots,
				       sizeof(*copies->order));
		if (!copies->order)
			return error_no_memory(err, "orders of neurons with copies");
	}
	return 0;
}

/* Of a layer, from its order by ORDER_BEST. */
static int search_copies(const struct place_bench_options *options, uint32_t layer,
			 const struct activity *seen, const struct order_best_options *best,
			 struct place_bench *bench, struct error *err)
{
	const uint32_t *order = bench->orders[ORDER_BEST] + (size_t)layer * seen->n_neurons;
	double mark = clock_ms();

	for (uint32_t i = 0; i < options->n_copies; i++) {
		struct place_bench_copies *copies = &bench->copies[i];
		struct order_copies_result result;
		int ret;

		ret = order_copies(seen, order, best, copies_of(options, i), options->pool,
				   copies->order + (size_t)layer * copies->n_slots, &result, err);
		if (ret < 0)
			return ret;
		copies->placed += result.copies;
		copies->search_s += clock_lap_s(&mark);
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
		.memory = ORDER_BEST_DEFAULT_MEMORY,
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

	ret = activity_load_spread(options->trace, layer, ACTIVITY_SEEN, ORDER_BEST_MOST_TOKENS,
				   &seen, err);
	bench->read_s += clock_lap_s(&mark);
	if (ret < 0)
		return ret;
	ret = coactivation_count_trace(options->trace, layer, ACTIVITY_SEEN, options->pool,
				       &coactivation, err);
	bench->count_s += clock_lap_s(&mark);
	if (ret < 0) {
		activity_free(&seen);
		return ret;
	}
	for (uint32_t i = 0; i < coactivation.n_neurons; i++)
		bench->frequency[first + i] = (float)coactivation.frequency[i] /
					      (float)coactivation.n_tokens;
	for (int method = 0; ret == 0 && method < ORDER_METHODS; method++) {
		if (!options->methods[method])
			continue;
		clock_lap_s(&mark);
		ret = order_make(method, &input, bench->orders[method] + first, err);
		bench->search_s[method] += clock_lap_s(&mark);
	}
	if (ret == 0)
		ret = search_copies(options, layer, &seen, &best, bench, err);
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

/* All orders, by one replay of the tokens. */
struct measured {
	const uint32_t *orders[ORDER_METHODS + PLACE_BENCH_COPIES];
	uint32_t n_slots[ORDER_METHODS + PLACE_BENCH_COPIES];
	struct order_cost *costs[ORDER_METHODS + PLACE_BENCH_COPIES]; /* where they belong */
	size_t n;
};

static void add_order(struct measured *measured, const uint32_t *order, uint32_t n_slots,
		      struct order_cost *cost)
{
	measured->orders[measured->n] = order;
	measured->n_slots[measured->n] = n_slots;
	measured->costs[measured->n++] = cost;
}

/* The tokens are gone through several times: how far that is, all in all. */
struct pass_progress {
	struct progress progress; /* first member */
	struct progress *whole;
	int pass, n_passes;
};

static void report_pass(struct progress *progress, double done, double total)
{
	const struct pass_progress *pass = (const struct pass_progress *)progress;

	progress_report(pass->whole, pass->pass * total + done, pass->n_passes * total);
}

/* The costs of tokens; or of the prompt, when it is not negative. */
static void list_orders(const struct place_bench_options *options, struct place_bench *bench,
			int prompt, struct measured *measured)
{
	uint32_t n_neurons = trace_get_shape(options->trace)->n_neurons;

	measured->n = 0;
	for (int method = 0; method < ORDER_METHODS; method++)
		if (options->methods[method])
			add_order(measured, bench->orders[method], n_neurons,
				  prompt < 0 ? &bench->costs[method] :
					       &bench->prompts[method].costs[prompt]);
	for (uint32_t i = 0; i < options->n_copies; i++) {
		struct place_bench_copies *copies = &bench->copies[i];

		add_order(measured, copies->order, copies->n_slots,
			  prompt < 0 ? &copies->cost : &copies->prompts.costs[prompt]);
	}
}

static int measure(const struct place_bench_options *options, struct place_bench *bench, int prompt,
		   struct progress *progress, struct error *err)
{
	struct order_cost costs[ORDER_METHODS + PLACE_BENCH_COPIES];
	struct order_replay_options replay = options->replay;
	struct measured measured;
	int ret;

	if (prompt >= 0) {
		replay.prompt_tokens = place_bench_prompts[prompt];
		replay.cache_ratio = 0;
		replay.warm_up = 0;
	}
	list_orders(options, bench, prompt, &measured);
	ret = order_costs(options->unseen ? options->unseen : options->trace,
			  options->unseen ? ACTIVITY_ALL : ACTIVITY_UNSEEN, &replay,
			  bench->frequency, measured.orders, measured.n_slots, measured.n,
			  options->pool, progress, costs, err);
	for (size_t i = 0; ret == 0 && i < measured.n; i++)
		*measured.costs[i] = costs[i];
	return ret;
}

int place_bench_measure(const struct place_bench_options *options, struct place_bench *bench,
			struct progress *progress, struct error *err)
{
	int n_prompts = options->n_copies ? PLACE_BENCH_PROMPTS : 0;
	struct pass_progress pass = {
		.progress = { .report = report_pass }, .whole = progress, .n_passes = 1 + n_prompts,
	};
	double mark = clock_ms();

	for (; pass.pass < pass.n_passes; pass.pass++) {
		int ret = measure(options, bench, pass.pass - 1, &pass.progress, err);

		if (ret < 0)
			return ret;
	}
	bench->measure_s = clock_lap_s(&mark);
	return 0;
}

void place_bench_free(struct place_bench *bench)
{
	for (int method = 0; method < ORDER_METHODS; method++)
		free(bench->orders[method]);
	for (uint32_t i = 0; i < PLACE_BENCH_COPIES; i++)
		free(bench->copies[i].order);
	free(bench->frequency);
	*bench = (struct place_bench){ 0 };
}
