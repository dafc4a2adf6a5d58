// SPDX-License-Identifier: GPL-2.0-only
/* colink bench prefetch: a table, or JSON with every sample. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "bench/prefetch_bench.h"
#include "cli/cli.h"
#include "cli/sample_fields.h"

static const struct sample_field fields[] = {
	{ "wall_ms", offsetof(struct prefetch_sample, wall_ms) },
	{ "call_ms", offsetof(struct prefetch_sample, call_ms) },
	{ "cpu_ms", offsetof(struct prefetch_sample, cpu_ms) },
	{ "process_cpu_ms", offsetof(struct prefetch_sample, process_cpu_ms) },
	{ "kernel_cpu_ms", offsetof(struct prefetch_sample, kernel_cpu_ms) },
	{ "ios", offsetof(struct prefetch_sample, ios) },
	{ "bytes", offsetof(struct prefetch_sample, bytes) },
};

static const struct sample_form form = {
	sizeof(struct prefetch_sample), fields, COUNT_OF(fields),
};

static json_t *results_json(const struct prefetch_bench_options *options,
			    const struct prefetch_results *results, double *scratch)
{
	struct utsname system;
	json_t *array = json_array();

	uname(&system);
	for (size_t i = 0; i < results->n; i++) {
		const struct prefetch_result *result = &results->results[i];
		struct prefetch_sample medians;
		json_t *object;

		sample_medians(&form, result->samples, options->repeats, scratch, &medians);
		object = samples_json(&form, result->samples, options->repeats, &medians);
		json_object_set_new(object, "method", json_string(result->method));
		json_object_set_new(object, "layout",
				    json_string(extent_layout_name(result->shape.layout)));
		json_object_set_new(object, "extent_kib",
				    json_integer(result->shape.extent_bytes >> 10));
		json_object_set_new(object, "extents", json_integer(result->shape.extents));
		json_array_append_new(array, object);
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
		struct prefetch_sample medians;

		if (!i || !same_case(&result->shape, &result[-1].shape))
			show_case(&result->shape, !i);
		sample_medians(&form, result->samples, options->repeats, scratch, &medians);
		printf("  %-14s %10.1f %10.1f %10.1f %8.0f %8.1f\n", result->method,
		       medians.wall_ms, medians.call_ms, medians.cpu_ms, medians.ios,
		       medians.bytes / (1 << 20));
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
