// SPDX-License-Identifier: GPL-2.0-only
/* colink bench io: what a token's bundles cost by each method; a table, or JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "base/median.h"
#include "bench/io_bench.h"
#include "cli/cli.h"
#include "cli/sample_fields.h"
#include "placement/order_best.h"

static const struct sample_field fields[] = {
	{ "reads_per_token", offsetof(struct io_sample, reads) },
	{ "bytes_per_token", offsetof(struct io_sample, bytes) },
	{ "effective_mb_s", offsetof(struct io_sample, effective_mb_s) },
	{ "run_length_mean", offsetof(struct io_sample, run_length) },
	{ "cache_hit_share", offsetof(struct io_sample, cache_hit_share) },
	{ "predicted_ms_per_token", offsetof(struct io_sample, predicted_ms) },
	{ "bookkeeping_share", offsetof(struct io_sample, bookkeeping_share) },
};

/* An object by itself in JSON. */
static const struct sample_field time_fields[] = {
	{ "mean", offsetof(struct io_sample, mean_ms) },
	{ "median", offsetof(struct io_sample, median_ms) },
	{ "p99", offsetof(struct io_sample, p99_ms) },
};

static const struct sample_form form = { sizeof(struct io_sample), fields, COUNT_OF(fields) };
static const struct sample_form times = {
	sizeof(struct io_sample), time_fields, COUNT_OF(time_fields),
};

static void medians_of(const struct io_result *result, uint32_t repeats, double *scratch,
		       struct io_sample *medians)
{
	sample_medians(&form, result->samples, repeats, scratch, medians);
	sample_medians(&times, result->samples, repeats, scratch, medians);
}

static json_t *one_sample(const struct io_sample *sample, const double *io_ms, uint32_t tokens)
{
	json_t *object = sample_json(&form, sample), *array = json_array();

	for (uint32_t i = 0; i < tokens; i++)
		json_array_append_new(array, json_real(io_ms[i]));
	json_object_set_new(object, "io_ms_per_token", sample_json(&times, sample));
	json_object_set_new(object, "io_ms", array);
	return object;
}

static json_t *one_result(const struct io_result *result, uint32_t repeats, double *scratch)
{
	struct io_sample medians;
	json_t *object, *array = json_array();

	medians_of(result, repeats, scratch, &medians);
	object = sample_json(&form, &medians);
	json_object_set_new(object, "name", json_string(result->name));
	json_object_set_new(object, "tokens", json_integer(result->tokens));
	json_object_set_new(object, "cache_bytes", json_integer((json_int_t)result->cache_bytes));
	json_object_set_new(object, "io_ms_per_token", sample_json(&times, &medians));
	for (uint32_t i = 0; i < repeats; i++)
		json_array_append_new(array, one_sample(&result->samples[i],
							&result->io_ms[i * (size_t)result->tokens],
							result->tokens));
	json_object_set_new(object, "samples", array);
	return object;
}

static json_t *device_json(const struct io_bench_options *options,
			   const struct io_results *results)
{
	struct utsname system;

	uname(&system);
	return json_pack("{s:f, s:f, s:I, s:i, s:s, s:o, s:s, s:s}",
		"a_us", options->cost.a_us,
		"b_us_per_mib", options->cost.b_us_per_mib,
		"break_even_bytes", (json_int_t)device_break_even_bytes(options->cost),
		"queue_depth", (int)options->queue_depth,
		"source", results->source,
		"read_ahead_kib", results->read_ahead_kib ? json_integer(results->read_ahead_kib) :
							    json_null(),
		"kernel", system.release,
		"machine", system.machine);
}

static json_t *missing_json(const struct io_results *results)
{
	json_t *array = json_array();

	for (size_t i = 0; i < results->n_missing; i++)
		json_array_append_new(array, json_pack("{s:s, s:s}", "name",
						       results->missing[i].name, "why",
						       results->missing[i].why));
	return array;
}

static json_t *results_json(const struct io_bench_options *options, const char *shape,
			    const struct io_results *results, double *scratch)
{
	json_t *array = json_array();

	for (size_t i = 0; i < results->n; i++)
		json_array_append_new(array, one_result(&results->results[i], options->repeats,
							scratch));
	return json_pack("{s:o, s:o, s:i, s:i, s:i, s:i, s:I, s:i, s:I, s:i, s:I, s:f, s:f, s:o, s:o}",
		"shape", json_text(shape),
		"device", device_json(options, results),
		"layers", (int)results->n_layers,
		"neurons", (int)results->n_neurons,
		"bundle_bytes", (int)results->stride,
		"copies_per_layer", (int)results->n_copies,
		"all_bundles_bytes", (json_int_t)results->bundle_bytes,
		"tokens", (int)results->tokens,
		"placed_tokens", (json_int_t)results->placed_tokens,
		"repeats", (int)options->repeats,
		"seed", (json_int_t)options->seed,
		"cache_ratio", options->cache_ratio,
		"wanted_bytes_per_token", results->wanted_bytes_per_token,
		"missing", missing_json(results),
		"results", array);
}

static void show_inputs(const struct io_bench_options *options, const char *shape,
			const struct io_results *results)
{
	char bundle[HUMAN_SIZE], all[HUMAN_SIZE], wanted[HUMAN_SIZE], gap[HUMAN_SIZE];

	printf("%s: %u layers of %u bundles of %s, %s; wanted %s per token\n", shape,
	       results->n_layers, results->n_neurons, human_bytes(results->stride, bundle),
	       human_bytes(results->bundle_bytes, all),
	       human_bytes((uint64_t)results->wanted_bytes_per_token, wanted));
	printf("%u tokens, placed on %llu others; cache ratio %g, %u repeats, seed %llu\n",
	       results->tokens, (unsigned long long)results->placed_tokens, options->cache_ratio,
	       options->repeats, (unsigned long long)options->seed);
	printf("device: %g us an I/O, %g us a MiB, gap %s; %s", options->cost.a_us,
	       options->cost.b_us_per_mib,
	       human_bytes(device_break_even_bytes(options->cost), gap), results->source);
	if (results->read_ahead_kib)
		printf("; read-ahead %u KiB", results->read_ahead_kib);
	printf("\n\n");
}

static void show(const struct io_bench_options *options, const char *shape,
		 const struct io_results *results, double *scratch)
{
	show_inputs(options, shape, results);
	printf("%-22s %9s %9s %9s %9s %9s %6s %6s %6s %9s %6s %10s\n", "per token",
	       "mean ms", "median", "p99", "reads", "MiB", "MB/s", "run", "cached", "predicted",
	       "books", "DRAM");
	for (size_t i = 0; i < results->n; i++) {
		struct io_sample medians;
		char cache[HUMAN_SIZE];

		medians_of(&results->results[i], options->repeats, scratch, &medians);
		printf("%-22s %9.3f %9.3f %9.3f %9.1f %9.3f %6.0f %6.2f %5.1f%% %9.3f %5.1f%% %10s\n",
		       results->results[i].name, medians.mean_ms, medians.median_ms,
		       medians.p99_ms, medians.reads, medians.bytes / (1 << 20),
		       medians.effective_mb_s, medians.run_length, medians.cache_hit_share * 100,
		       medians.predicted_ms, medians.bookkeeping_share * 100,
		       human_bytes(results->results[i].cache_bytes, cache));
	}
	for (size_t i = 0; i < results->n_missing; i++)
		printf("%s%s is missing: %s\n", i ? "" : "\n", results->missing[i].name,
		       results->missing[i].why);
}

static int report(const struct io_bench_options *options, const char *shape,
		  const struct io_results *results, bool json, struct error *err)
{
	double *scratch = calloc(options->repeats, sizeof(*scratch));
	int ret;

	if (!scratch)
		return error_no_memory(err, "medians");
	if (json) {
		ret = print_json(results_json(options, shape, results, scratch), err);
	} else {
		show(options, shape, results, scratch);
		ret = finish_output(err);
	}
	free(scratch);
	return ret;
}

static int measure(const struct io_bench_options *options, struct io_results *results,
		   struct error *err)
{
	struct io_inputs_options reading = io_bench_inputs(options);
	struct progress_bar bar;
	struct io_inputs inputs;
	int ret;

	progress_begin(&bar, "place");
	reading.progress = &bar.progress;
	ret = io_inputs_read(&reading, &inputs, err);
	progress_end(&bar, ret == 0);
	if (ret < 0)
		return ret;
	if (options->bundle_bytes)
		ret = io_inputs_shrink(&inputs, options->bundle_bytes, err);
	if (ret == 0) {
		progress_begin(&bar, "measure");
		ret = io_bench(options, &inputs, results, &bar.progress, err);
		progress_end(&bar, ret == 0);
	}
	io_inputs_free(&inputs);
	return ret;
}

/* The model's name, unless one is given: the file's without folder and ending. */
static char *shape_of(const char *model)
{
	const char *slash = strrchr(model, '/'), *name = slash ? slash + 1 : model;
	const char *dot = strrchr(name, '.');

	return strndup(name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
}

/* `reads` is where options->reads is to be written, if there is one. */
static int run(const struct io_bench_options *options, const char *shape, const char *reads,
	       bool json)
{
	char *name = shape ? strdup(shape) : shape_of(options->model);
	struct io_results results = { 0 };
	struct error err = { 0 };
	int ret = 0;

	if (!name)
		ret = error_no_memory(&err, "a name");
	if (ret == 0 && reads)
		ret = output_file_try(reads, &err);
	if (ret == 0)
		ret = measure(options, &results, &err);
	if (ret == 0 && reads)
		ret = read_log_write(options->reads, options->model, reads, &err);
	if (ret == 0)
		ret = report(options, name, &results, json, &err);
	io_results_free(&results);
	free(name);
	return ret < 0 ? report_failure(&err) : EXIT_DONE;
}

int bench_io(const struct command *command, int argc, char **argv)
{
	struct string_list methods = { 0 };
	const char *shape = NULL, *reads = NULL;
	struct read_log log = { 0 };
	bool json = false;
	struct io_bench_options options = {
		.tokens = 128, .mmap_tokens = 16, .repeats = 5, .cache_ratio = 0.05, .cost = DEVICE_COST_UFS4,
		.queue_depth = 256, .seed = 1, .effort = ORDER_BEST_DEFAULT_EFFORT, .groups = MEMORY_CONTROLLER_SOURCES,
	};
	const struct option_spec specs[] = {
		{ "trace", 0, OPTION_STRING, &options.trace,
		  "FILE: of the model (colink trace, colink synth)" },
		{ "shape", 0, OPTION_STRING, &shape, "NAME: to report (the model file's)" },
		{ "tokens", 0, OPTION_U32, &options.tokens, "N: to replay (128)" },
		{ "mmap-tokens", 0, OPTION_U32, &options.mmap_tokens,
		  "N: of these, by methods that map the file (16)" },
		{ "bundle-bytes", 0, OPTION_U32, &options.bundle_bytes,
		  "N: read only so much of each bundle (all)" },
		{ "effort", 0, OPTION_U32, &options.effort,
		  "N: of the search for the order of full, 0 to 3 (2)" },
		{ "copies", 0, OPTION_REAL, &options.copies,
		  "R: measure full+copies too, with this share of the bundles stored again; the "
		  "model has to have as many (0)" },
		{ "cache-ratio", 0, OPTION_REAL, &options.cache_ratio,
		  "R: share of all bundles in DRAM (0.05)" },
		{ "a-us", 0, OPTION_REAL, &options.cost.a_us,
		  "US: device cost of an I/O (8.5)" },
		{ "b-us-per-mib", 0, OPTION_REAL, &options.cost.b_us_per_mib,
		  "US: device cost of a MiB (540)" },
		{ "queue-depth", 0, OPTION_U32, &options.queue_depth,
		  "N: most reads in flight (256)" },
		{ "method", 0, OPTION_STRINGS, &methods,
		  "NAME: measure this one; may be given more than once (all)" },
		{ "repeat", 0, OPTION_U32, &options.repeats, "N: medians are over this many (5)" },
		{ "seed", 0, OPTION_U64, &options.seed, "N: of the order of methods (1)" },
		{ "reads", 0, OPTION_STRING, &reads,
		  "FILE: write there what the method reads, as an iolog of fio" },
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object, with every sample" },
	};
	struct error err = { 0 };
	int status;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &options.model, 1);
	if (status >= 0)
		goto free_methods;
	options.methods = methods.values;
	options.n_methods = methods.count;
	options.reads = reads ? &log : NULL;
	if (!options.trace)
		status = usage_error(command, "--trace FILE is needed");
	else if (io_bench_check(&options, &err) < 0)
		status = usage_error(command, "%s", err.message);
	else
		status = run(&options, shape, reads, json);
free_methods:
	read_log_free(&log);
	string_list_free(&methods);
	return status;
}
