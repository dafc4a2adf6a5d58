// SPDX-License-Identifier: GPL-2.0-only
/* colink bench prefetch: a table, or JSON with every sample. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/median.h"
#include "bench/prefetch_bench.h"
#include "cli/cli.h"

/* Medians over the repeats. */
struct summary {
	double wall_ms;
	double call_ms;
	double cpu_ms;
	double ios;
	double bytes;
};

static double of_samples(const struct prefetch_result *result, uint32_t n,
			 double (*get)(const struct prefetch_sample *sample), double *scratch)
{
	for (uint32_t i = 0; i < n; i++)
		scratch[i] = get(&result->samples[i]);
	return median(scratch, n);
}

static double wall(const struct prefetch_sample *sample)
{
	return sample->wall_ms;
}

static double call(const struct prefetch_sample *sample)
{
	return sample->call_ms;
}

static double cpu(const struct prefetch_sample *sample)
{
	return sample->process_cpu_ms + sample->kernel_cpu_ms;
}

static double ios(const struct prefetch_sample *sample)
{
	return sample->ios;
}

static double bytes(const struct prefetch_sample *sample)
{
	return sample->bytes;
}

static void summarize(const struct prefetch_result *result, uint32_t n, double *scratch,
		      struct summary *summary)
{
	summary->wall_ms = of_samples(result, n, wall, scratch);
	summary->call_ms = of_samples(result, n, call, scratch);
	summary->cpu_ms = of_samples(result, n, cpu, scratch);
	summary->ios = of_samples(result, n, ios, scratch);
	summary->bytes = of_samples(result, n, bytes, scratch);
}

static json_t *samples_json(const struct prefetch_result *result, uint32_t n)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < n; i++) {
		const struct prefetch_sample *sample = &result->samples[i];

		json_array_append_new(array, json_pack("{s:f, s:f, s:f, s:f, s:I, s:I}",
			"wall_ms", sample->wall_ms,
			"call_ms", sample->call_ms,
			"process_cpu_ms", sample->process_cpu_ms,
			"kernel_cpu_ms", sample->kernel_cpu_ms,
			"ios", (json_int_t)sample->ios,
			"bytes", (json_int_t)sample->bytes));
	}
	return array;
}

static json_t *results_json(const struct prefetch_bench_options *options,
			    const struct prefetch_results *results, double *scratch)
{
	struct utsname system;
	json_t *array = json_array();

	uname(&system);
	for (size_t i = 0; i < results->n; i++) {
		const struct prefetch_result *result = &results->results[i];
		struct summary summary;

		summarize(result, options->repeats, scratch, &summary);
		json_array_append_new(array, json_pack(
			"{s:s, s:s, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:o}",
			"method", result->method,
			"layout", extent_layout_name(result->shape.layout),
			"extent_kib", (int)(result->shape.extent_bytes >> 10),
			"extents", (int)result->shape.extents,
			"wall_ms", summary.wall_ms,
			"call_ms", summary.call_ms,
			"cpu_ms", summary.cpu_ms,
			"ios", summary.ios,
			"bytes", summary.bytes,
			"samples", samples_json(result, options->repeats)));
	}
	return json_pack("{s:s, s:s, s:I, s:I, s:i, s:I, s:b, s:s, s:o}",
		"kernel", system.release,
		"machine", system.machine,
		"file_bytes", (json_int_t)options->file_bytes,
		"gap_bytes", (json_int_t)options->gap_bytes,
		"repeats", (int)options->repeats,
		"seed", (json_int_t)options->seed,
		"kernel_cpu_known", (int)results->kernel_cpu_known,
		"missing", results->missing,
		"results", array);
}

static bool same_case(const struct extent_case *a, const struct extent_case *b)
{
	return a->layout == b->layout && a->extents == b->extents &&
	       a->extent_bytes == b->extent_bytes;
}

static void show_case(const struct extent_case *one, bool first)
{
	printf("%s%u %s extents of %u KiB\n  %-14s %10s %10s %10s %8s %8s\n", first ? "" : "\n",
	       one->extents, extent_layout_name(one->layout), one->extent_bytes >> 10, "method",
	       "wall ms", "in call", "CPU ms", "I/Os", "MiB");
}

static void show(const struct prefetch_bench_options *options,
		 const struct prefetch_results *results, double *scratch)
{
	for (size_t i = 0; i < results->n; i++) {
		const struct prefetch_result *result = &results->results[i];
		struct summary summary;

		if (!i || !same_case(&result->shape, &result[-1].shape))
			show_case(&result->shape, !i);
		summarize(result, options->repeats, scratch, &summary);
		printf("  %-14s %10.1f %10.1f %10.1f %8.0f %8.1f\n", result->method,
		       summary.wall_ms, summary.call_ms, summary.cpu_ms, summary.ios,
		       summary.bytes / (1 << 20));
	}
	if (!results->kernel_cpu_known)
		printf("\nCPU time is this process's alone: the kernel does not say what its own "
		       "threads take.\n");
	if (results->missing[0])
		printf("\nWithout the module: %s\n", results->missing);
}

static int report(const struct prefetch_bench_options *options,
		  const struct prefetch_results *results, bool json, struct error *err)
{
	double *scratch = calloc(options->repeats, sizeof(*scratch));
	int ret;

	if (!scratch)
		return error_no_memory(err, "medians");
	if (json) {
		ret = print_json(results_json(options, results, scratch), err);
	} else {
		show(options, results, scratch);
		ret = finish_output(err);
	}
	free(scratch);
	return ret;
}

int bench_prefetch(const struct command *command, int argc, char **argv)
{
	uint64_t mib = 1024;
	struct string_list methods = { 0 };
	bool json = false;
	struct prefetch_bench_options options = {
		.directory = ".", .gap_bytes = 16 << 10, .seed = 1, .repeats = 5,
	};
	const struct option_spec specs[] = {
		{ "dir", 0, OPTION_STRING, &options.directory,
		  "DIR: where the file is made, on the disk to measure (.)" },
		{ "file-mib", 0, OPTION_U64, &mib, "N: size of the file (1024)" },
		{ "gap", 0, OPTION_U64, &options.gap_bytes,
		  "BYTES: the module reads over gaps up to this (16384)" },
		{ "method", 0, OPTION_STRINGS, &methods,
		  "NAME: measure this one; may be given more than once (all)" },
		{ "repeat", 0, OPTION_U32, &options.repeats, "N: medians are over this many (5)" },
		{ "seed", 0, OPTION_U64, &options.seed, "N: of places and order (1)" },
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object, with every sample" },
	};
	struct prefetch_results results;
	struct progress_bar bar;
	struct error err = { 0 };
	int status, ret;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, NULL, 0);
	if (status >= 0)
		goto free_methods;
	options.methods = methods.values;
	options.n_methods = methods.count;
	options.file_bytes = mib_bytes(mib);
	if (prefetch_bench_check(&options, &err) < 0) {
		status = usage_error(command, "%s", err.message);
		goto free_methods;
	}
	progress_begin(&bar, "measure");
	ret = prefetch_bench(&options, &results, &bar.progress, &err);
	progress_end(&bar, ret == 0);
	if (ret == 0) {
		ret = report(&options, &results, json, &err);
		prefetch_results_free(&results);
	}
	status = ret < 0 ? report_failure(&err) : EXIT_DONE;
free_methods:
	string_list_free(&methods);
	return status;
}
