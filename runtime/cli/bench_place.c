// SPDX-License-Identifier: GPL-2.0-only
/* colink bench place: what each method's orders are worth at a model's size; a table, or JSON. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/thread_pool.h"
#include "bench/place_bench.h"
#include "cli/cli.h"
#include "cli/engine.h"
#include "cli/place_report.h"
#include "placement/placement.h"
#include "synth/shape.h"
#include "synth/synth_trace.h"

#define DEMO "demo" /* tests/data/demo-model: of it there are real traces, and only these */

#define MAX_ROWS (ORDER_METHODS + PLACE_BENCH_COPIES)

/* What the benchmark has to know of a model. */
struct subject {
	const char *name;
	uint32_t n_layers, n_neurons, bundle_bytes;
	const struct model_shape *shape; /* NULL: no trace can be generated */
};

struct options {
	struct subject subject;
	const char *trace, *unseen; /* files, or NULL */
	const char *directory; /* where a trace is generated */
	uint32_t tokens; /* of it: to place on, at least */
	bool independent;
	uint32_t threads;
	bool json;
	struct place_bench_options bench;
};

struct result {
	double trace_s; /* generating it */
	struct place_bench bench;
};

/* The published search goes by the name that the paper gives it. */
static const char *name_of(enum order_method method)
{
	return method == ORDER_LINKED ? "greedy" : order_method_name(method);
}

static bool find_subject(const char *name, struct subject *subject)
{
	const struct model_shape *shape = model_shape_find(name);

	if (!strcmp(name, DEMO)) {
		*subject = (struct subject){ DEMO, 6, 2048, 1024, NULL };
		return true;
	}
	if (!shape)
		return false;
	*subject = (struct subject){ shape->name, shape->n_layers, shape->n_ffn,
				     model_shape_stride(shape), shape };
	return true;
}

static int unknown_shape(const struct command *command, const char *name)
{
	char names[256] = DEMO;
	size_t used = strlen(names);

	for (uint32_t i = 0; model_shape_at(i); i++)
		used += snprintf(names + used, sizeof(names) - used, " %s", model_shape_at(i)->name);
	return usage_error(command, "no shape '%s'; there are: %s", name, names);
}

static int unknown_method(const struct command *command, const char *name, size_t length)
{
	char names[256] = "";
	size_t used = 0;

	for (int method = 0; method < ORDER_METHODS; method++)
		used += snprintf(names + used, sizeof(names) - used, " %s", name_of(method));
	return usage_error(command, "no method '%.*s'; there are:%s", (int)length, name, names);
}

/* One name of a list, `length` long; false when there is no such method. */
static bool want_method(struct place_bench_options *options, const char *name, size_t length)
{
	for (int method = 0; method < ORDER_METHODS; method++) {
		const char *known = name_of(method);

		if (strlen(known) == length && !strncmp(name, known, length)) {
			options->methods[method] = true;
			return true;
		}
	}
	return false;
}

/* Names with commas between them, all of them when there are none. -1: go on. */
static int want_methods(const struct command *command, const struct string_list *lists,
			struct place_bench_options *options)
{
	for (size_t i = 0; i < lists->count; i++) {
		const char *name = lists->values[i];

		for (;; name++) {
			size_t length = strcspn(name, ",");

			if (!want_method(options, name, length))
				return unknown_method(command, name, length);
			name += length;
			if (!*name)
				break;
		}
	}
	for (int method = 0; method < ORDER_METHODS; method++)
		options->methods[method] |= !lists->count;
	return -1;
}

/* Shares with commas between them. -1: go on. */
static int want_copies(const struct command *command, const char *list,
		       struct place_bench_options *options)
{
	const char *rest = list;

	while (rest) {
		char *end;
		double share = strtod(rest, &end);

		if (end == rest || (*end && *end != ',') || !(share > 0 && share <= 1))
			return usage_error(command, "--copies %s: shares of the neurons, above 0 and "
					   "up to 1, with commas between them", list);
		if (options->n_copies == PLACE_BENCH_COPIES)
			return usage_error(command, "--copies %s: more than %d", list,
					   PLACE_BENCH_COPIES);
		options->copies[options->n_copies++] = share;
		rest = *end ? end + 1 : NULL;
	}
	if (list && !options->methods[ORDER_BEST])
		return usage_error(command, "--copies %s: are placed by the method %s, which is not "
				   "wanted", list, name_of(ORDER_BEST));
	return -1;
}

/* A trace of which at least so many tokens are seen; the file has no name any more. */
static int generate(const struct options *options, struct trace **trace, struct error *err)
{
	const struct synth_trace_options synth = {
		.shape = options->subject.shape,
		/* One of ten is not, and a little more where that does not come out even. */
		.tokens = options->tokens + (uint64_t)options->tokens / (TRACE_UNSEEN_EVERY - 1) + 2,
		.seed = options->bench.seed,
		.independent = options->independent,
	};
	struct progress_bar bar;
	char *path;
	int ret;

	if (asprintf(&path, "%s/colink-bench-place-%ld.trace", options->directory,
		     (long)getpid()) < 0)
		return error_no_memory(err, "a name");
	progress_begin(&bar, "trace");
	ret = synth_trace_write(path, &synth, &bar.progress, err);
	progress_end(&bar, ret == 0);
	if (ret == 0) {
		ret = trace_open(path, trace, err);
		unlink(path);
	}
	free(path);
	return ret;
}

static int check_trace(const struct subject *subject, const struct trace *trace, const char *path,
		       struct error *err)
{
	const struct trace_shape *shape = trace_get_shape(trace);

	if (shape->n_layers != subject->n_layers || shape->n_neurons != subject->n_neurons)
		return error_set(err, -EINVAL,
				 "%s: a trace of %u layers of %u neurons; %s has %u of %u", path,
				 shape->n_layers, shape->n_neurons, subject->name,
				 subject->n_layers, subject->n_neurons);
	return 0;
}

static int get_traces(const struct options *options, struct trace **trace, struct trace **unseen,
		      double *seconds, struct error *err)
{
	double begin = now_seconds();
	int ret;

	if (options->trace) {
		ret = trace_open(options->trace, trace, err);
		if (ret == 0)
			ret = check_trace(&options->subject, *trace, options->trace, err);
	} else {
		ret = generate(options, trace, err);
		*seconds = now_seconds() - begin;
	}
	if (ret == 0 && options->unseen)
		ret = trace_open(options->unseen, unseen, err);
	return ret;
}

static int search_and_measure(const struct place_bench_options *options, struct place_bench *bench,
			      struct error *err)
{
	struct progress_bar bar;
	int ret;

	progress_begin(&bar, "place");
	ret = place_bench_search(options, bench, &bar.progress, err);
	progress_end(&bar, ret == 0);
	if (ret < 0)
		return ret;
	progress_begin(&bar, "measure");
	ret = place_bench_measure(options, bench, &bar.progress, err);
	progress_end(&bar, ret == 0);
	return ret;
}

static const struct order_cost *frequency_cost(const struct options *options,
					       const struct result *result)
{
	return options->bench.methods[ORDER_FREQUENCY] ? &result->bench.costs[ORDER_FREQUENCY] :
							 NULL;
}

static json_t *seconds_json(const struct options *options, const struct result *result)
{
	const struct place_bench *bench = &result->bench;

	return json_pack("{s:f, s:f, s:f, s:o, s:f}",
		"trace", result->trace_s,
		"read", bench->read_s,
		"count", bench->count_s,
		"search", options->bench.methods[ORDER_LINKED] ?
				  json_real(bench->search_s[ORDER_LINKED]) : json_null(),
		"measure", bench->measure_s);
}

/* An order that was measured: a method's, or the best one with copies. */
struct row {
	char name[32];
	double search_s;
	const struct order_cost *cost;
	const struct prompt_costs *prompts;
	const struct place_bench_copies *copies; /* or NULL */
};

/* Returns how many. */
static size_t list_rows(const struct options *options, const struct result *result,
			struct row *rows)
{
	const struct place_bench *bench = &result->bench;
	size_t n = 0;

	for (int method = 0; method < ORDER_METHODS; method++) {
		if (!options->bench.methods[method])
			continue;
		rows[n] = (struct row){ .search_s = bench->search_s[method],
					.cost = &bench->costs[method],
					.prompts = &bench->prompts[method] };
		snprintf(rows[n].name, sizeof(rows[n].name), "%s", name_of(method));
		n++;
	}
	for (uint32_t i = 0; i < options->bench.n_copies; i++) {
		const struct place_bench_copies *copies = &bench->copies[i];

		rows[n] = (struct row){ .search_s = copies->search_s, .cost = &copies->cost,
					.prompts = &copies->prompts, .copies = copies };
		snprintf(rows[n].name, sizeof(rows[n].name), "%s+%g%%", name_of(ORDER_BEST),
			 100 * options->bench.copies[i]);
		n++;
	}
	return n;
}

static json_t *prompts_json(const struct prompt_costs *prompts)
{
	json_t *array = json_array();

	for (int i = 0; i < PLACE_BENCH_PROMPTS; i++)
		json_array_append_new(array, json_pack("{s:i, s:i, s:f, s:f, s:f, s:f}",
			"tokens", (int)place_bench_prompts[i],
			"prompts", (int)prompts->costs[i].tokens,
			"device_us", prompts->costs[i].device_us,
			"wanted", prompts->costs[i].wanted,
			"device_reads", prompts->costs[i].reads,
			"device_bundles", prompts->costs[i].bundles));
	return array;
}

static void add_copies_json(const struct options *options, const struct result *result,
			    const struct row *row, json_t *object)
{
	double best_us = result->bench.costs[ORDER_BEST].device_us;
	json_t *more = json_pack("{s:I, s:I, s:f, s:o}",
		"copies", (json_int_t)row->copies->placed,
		"copies_bytes",
		(json_int_t)(row->copies->placed * options->bench.replay.bundle_bytes),
		"choice_us_per_token", row->cost->choice_us,
		"against_best", best_us > 0 ? json_real(row->cost->device_us / best_us) :
					      json_null());

	json_object_update(object, more);
	json_decref(more);
}

static json_t *orders_json(const struct options *options, const struct result *result)
{
	struct row rows[MAX_ROWS];
	size_t n = list_rows(options, result, rows);
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct order_cost *cost = rows[i].cost;
		json_t *object, *more;

		object = json_pack("{s:s, s:f, s:f, s:f}",
			"name", rows[i].name,
			"reads_per_token", cost->runs,
			"run_length_mean", cost->run_length,
			"search_s", rows[i].search_s);
		more = order_cost_json(cost, frequency_cost(options, result));
		json_object_update(object, more);
		json_decref(more);
		if (options->bench.n_copies)
			json_object_set_new(object, "prompts", prompts_json(rows[i].prompts));
		if (rows[i].copies)
			add_copies_json(options, result, &rows[i], object);
		json_array_append_new(array, object);
	}
	return array;
}

static uint32_t measured_tokens(const struct options *options, const struct result *result)
{
	struct row rows[MAX_ROWS];

	return list_rows(options, result, rows) ? rows[0].cost->tokens : 0;
}

static json_t *results_json(const struct options *options, const struct result *result)
{
	const struct place_bench_options *bench = &options->bench;

	return json_pack("{s:s, s:I, s:I, s:i, s:b, s:b, s:i, s:i, s:I, s:o, s:f, s:i, s:I, s:i, s:o, s:o}",
		"shape", options->subject.name,
		"tokens", (json_int_t)result->bench.placed_tokens,
		"unseen_tokens", (json_int_t)result->bench.unseen_tokens,
		"replayed_tokens", (int)measured_tokens(options, result),
		"generated", !options->trace,
		"independent", options->independent,
		"layers", (int)options->subject.n_layers,
		"neurons", (int)options->subject.n_neurons,
		"bundle_bytes", (json_int_t)bench->replay.bundle_bytes,
		"device", device_cost_json(bench->replay.cost),
		"cache_ratio", bench->replay.cache_ratio,
		"effort", (int)bench->effort,
		"seed", (json_int_t)bench->seed,
		"threads", (int)thread_pool_size(bench->pool),
		"seconds", seconds_json(options, result),
		"results", orders_json(options, result));
}

static void show_inputs(const struct options *options, const struct result *result)
{
	const struct place_bench_options *bench = &options->bench;
	char bundle[HUMAN_SIZE];

	printf("%s%s: %u layers of %u bundles of %s; placed on %llu tokens, measured on %u others\n",
	       options->subject.name, options->independent ? ", neurons independent" : "",
	       options->subject.n_layers, options->subject.n_neurons,
	       human_bytes(bench->replay.bundle_bytes, bundle),
	       (unsigned long long)result->bench.placed_tokens, measured_tokens(options, result));
	printf("device: %g us an I/O, %g us a MiB; %g %% of the bundles cached; seed %llu\n",
	       bench->replay.cost.a_us, bench->replay.cost.b_us_per_mib,
	       100 * bench->replay.cache_ratio, (unsigned long long)bench->seed);
	printf("%u threads: read %.1f s, count %.1f s, measure %.1f s\n\n",
	       thread_pool_size(bench->pool), result->bench.read_s, result->bench.count_s,
	       result->bench.measure_s);
}

/* A row for each order: what it does by itself, then behind cache and gaps. */
static void show_orders(const struct options *options, const struct result *result)
{
	const struct order_cost *frequency = frequency_cost(options, result);
	struct row rows[MAX_ROWS];
	size_t n = list_rows(options, result, rows);

	printf("%-10s %9s %9s %6s | %9s %8s %8s %6s %9s %9s %9s\n", "per token", "search s",
	       "reads", "run", "us", "vs freq.", "cached", "run", "reads", "bundles", "p99 us");
	for (size_t i = 0; i < n; i++) {
		const struct order_cost *cost = rows[i].cost;
		char against[16] = "";

		if (frequency && frequency->device_us > 0)
			snprintf(against, sizeof(against), "%+.1f %%",
				 100 * (cost->device_us / frequency->device_us - 1));
		printf("%-10s %9.2f %9.1f %6.2f | %9.1f %8s %6.1f %% %6.2f %9.1f %9.1f %9.1f\n",
		       rows[i].name, rows[i].search_s, cost->runs, cost->run_length,
		       cost->device_us, against, 100 * cost->cache_hit_share,
		       cost->missed_run_length, cost->reads, cost->bundles, cost->device_us_p99);
	}
}

/* "+1.5 %" more than something else, or nothing if that is not known. */
static void show_more(double us, double than_us)
{
	if (than_us > 0)
		printf(" %+7.1f %%", 100 * (us / than_us - 1));
	else
		printf(" %9s", "");
}

/* What copies cost: flash, choosing, and prompts, by the best order without any. */
static void show_copies(const struct options *options, const struct result *result)
{
	const struct place_bench *bench = &result->bench;
	struct row rows[MAX_ROWS];
	size_t n = list_rows(options, result, rows);

	printf("\n%-10s %9s %9s %9s", "", "flash", "vs best", "choice us");
	for (int i = 0; i < PLACE_BENCH_PROMPTS; i++)
		printf("   us, prompt of %3u", place_bench_prompts[i]);
	printf("\n");
	for (size_t i = 0; i < n; i++) {
		uint64_t placed = rows[i].copies ? rows[i].copies->placed : 0;
		char flash[HUMAN_SIZE];

		printf("%-10s %9s", rows[i].name,
		       human_bytes(placed * options->bench.replay.bundle_bytes, flash));
		show_more(rows[i].cost->device_us, bench->costs[ORDER_BEST].device_us);
		printf(" %9.2f", rows[i].cost->choice_us);
		for (int k = 0; k < PLACE_BENCH_PROMPTS; k++) {
			printf(" %9.1f", rows[i].prompts->costs[k].device_us);
			show_more(rows[i].prompts->costs[k].device_us,
				  bench->prompts[ORDER_BEST].costs[k].device_us);
		}
		printf("\n");
	}
}

static void show_lengths(const struct options *options, const struct result *result)
{
	const struct order_cost *costs[MAX_ROWS];
	struct row rows[MAX_ROWS];
	size_t n = list_rows(options, result, rows);

	printf("\nRuns of a token by their length in bundles, all layers, nothing cached\n%-16s", "");
	for (size_t i = 0; i < n; i++) {
		costs[i] = rows[i].cost;
		printf("  %15s", rows[i].name);
	}
	printf("\n");
	show_run_lengths(costs, n);
}

static int run(struct options *options, struct error *err)
{
	struct trace *trace = NULL, *unseen = NULL;
	struct thread_pool *pool = NULL;
	struct result result = { 0 };
	int ret;

	ret = thread_pool_create(options->threads, &pool, err);
	if (ret == 0)
		ret = get_traces(options, &trace, &unseen, &result.trace_s, err);
	options->bench.pool = pool;
	options->bench.trace = trace;
	options->bench.unseen = unseen;
	if (ret == 0)
		ret = search_and_measure(&options->bench, &result.bench, err);
	if (ret == 0 && options->json) {
		ret = print_json(results_json(options, &result), err);
	} else if (ret == 0) {
		show_inputs(options, &result);
		show_orders(options, &result);
		if (options->bench.n_copies)
			show_copies(options, &result);
		show_lengths(options, &result);
		ret = finish_output(err);
	}
	place_bench_free(&result.bench);
	trace_close(unseen);
	trace_close(trace);
	thread_pool_destroy(pool);
	return ret;
}

/* -1: go on. */
static int check(const struct command *command, const char *shape, struct options *options)
{
	struct error err;

	if (!find_subject(shape, &options->subject))
		return unknown_shape(command, shape);
	if (!options->trace && !options->subject.shape)
		return usage_error(command, "--trace FILE is needed: %s has real traces", shape);
	if (options->trace && options->independent)
		return usage_error(command, "--independent is of a trace that is generated, "
				   "--trace is one that is there");
	if (!options->tokens)
		return usage_error(command, "--tokens 0: there has to be something to place on");
	if (!options->bench.replay.max_tokens)
		return usage_error(command, "--replay 0: there has to be something to measure on");
	if (options->bench.effort >= ORDER_BEST_EFFORTS)
		return usage_error(command, "--effort %u: has to be 0 to %d",
				   options->bench.effort, ORDER_BEST_EFFORTS - 1);
	if (order_replay_check(&options->bench.replay, &err) < 0)
		return usage_error(command, "%s", err.message);
	if (!options->bench.replay.bundle_bytes)
		options->bench.replay.bundle_bytes = options->subject.bundle_bytes;
	return -1;
}

int bench_place(const struct command *command, int argc, char **argv)
{
	struct options options = {
		.directory = ".", .tokens = 20000,
		.bench = {
			.seed = 1, .effort = ORDER_BEST_DEFAULT_EFFORT,
			.replay = { .cost = DEVICE_COST_UFS4, .cache_ratio = ENGINE_CACHE_RATIO,
				    .warm_up = 100, .max_tokens = 4000 },
		},
	};
	struct order_replay_options *replay = &options.bench.replay;
	struct string_list methods = { 0 };
	const char *shape, *copies = NULL;
	const struct option_spec specs[] = {
		{ "trace", 0, OPTION_STRING, &options.trace,
		  "FILE: place on it, rather than on one that is generated" },
		{ "unseen", 0, OPTION_STRING, &options.unseen,
		  "FILE: measure on this trace (every 10th chunk of the one placed on)" },
		{ "tokens", 0, OPTION_U32, &options.tokens,
		  "N: to place on, if generated; a tenth of the trace is more (20000)" },
		{ "independent", 0, OPTION_FLAG, &options.independent,
		  "the control: neurons know nothing of each other" },
		{ "dir", 0, OPTION_STRING, &options.directory,
		  "DIR: where the trace is, while it is needed (.)" },
		{ "methods", 0, OPTION_STRINGS, &methods,
		  "A,B,...: only these (all)" },
		{ "effort", 0, OPTION_U32, &options.bench.effort,
		  "N: of best, 0 to 3 (2)" },
		{ "copies", 0, OPTION_STRING, &copies,
		  "R,R,...: place copies, too, of such shares of the neurons" },
		{ "replay", 0, OPTION_U32, &replay->max_tokens,
		  "N: tokens to measure on, at most (4000)" },
		{ "warm-up", 0, OPTION_U32, &replay->warm_up,
		  "N: of these, the first ones, that do not count (100)" },
		{ "bundle-bytes", 0, OPTION_U32, &replay->bundle_bytes,
		  "N: size of a bundle (the shape's)" },
		{ "cache-ratio", 0, OPTION_REAL, &replay->cache_ratio,
		  "R: share of all bundles in DRAM (0.05)" },
		{ "a-us", 0, OPTION_REAL, &replay->cost.a_us,
		  "US: device cost of an I/O (8.5)" },
		{ "b-us-per-mib", 0, OPTION_REAL, &replay->cost.b_us_per_mib,
		  "US: device cost of a MiB (540)" },
		{ "seed", 0, OPTION_U64, &options.bench.seed,
		  "N: of the trace and of the random order (1)" },
		{ "threads", 't', OPTION_U32, &options.threads, "N: threads (one per CPU)" },
		{ "json", 0, OPTION_FLAG, &options.json, "print one JSON object" },
	};
	struct error err = { 0 };
	int status;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &shape, 1);
	if (status < 0)
		status = check(command, shape, &options);
	if (status < 0)
		status = want_methods(command, &methods, &options.bench);
	if (status < 0)
		status = want_copies(command, copies, &options.bench);
	if (status < 0)
		status = run(&options, &err) < 0 ? report_failure(&err) : EXIT_DONE;
	string_list_free(&methods);
	return status;
}
