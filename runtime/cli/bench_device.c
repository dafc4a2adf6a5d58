// SPDX-License-Identifier: GPL-2.0-only
/*
 * colink bench device: what an I/O costs on the device under a path. The report is one JSON
 * object; it is what is printed, kept for later runs, and shown as a table.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "bench/device_bench.h"
#include "cli/cli.h"
#include "storage/device_fit.h"
#include "storage/device_identity.h"
#include "storage/known_devices.h"

struct bench_device_options {
	struct device_bench_options bench;
	bool force;
	bool json;
};

/* Where the middle half of the samples lies, as a share of the median: how noisy it was. */
static double spread(const struct device_cell *cell)
{
	uint32_t quarter = cell->n_samples / 4;

	return (cell->us[cell->n_samples - 1 - quarter] - cell->us[quarter]) / cell->median_us;
}

static json_t *samples_json_of(const struct device_result *result)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < result->n_cells; i++) {
		const struct device_cell *cell = &result->cells[i];

		json_array_append_new(array, json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:i}",
			"size", (int)cell->bytes,
			"depth", (int)cell->depth,
			"us", cell->median_us,
			"iops", 1e6 / cell->median_us,
			"mb_s", cell->bytes / cell->median_us,
			"spread", spread(cell),
			"n", (int)cell->n_samples));
	}
	return array;
}

static json_t *fit_json(const struct device_result *result, double *largest)
{
	json_t *array = json_array();
	uint32_t size = 0;

	*largest = 0;
	for (uint32_t i = 0; i < result->n_cells; i++) {
		const struct device_cell *cell = &result->cells[i];
		double fitted, error;

		if (cell->bytes == size)
			continue;
		size = cell->bytes;
		cell = device_result_cell(result, size);
		fitted = device_time_us(result->cost, 1, size);
		error = device_fit_error(result->cost,
					 (struct device_point){ size, cell->median_us });
		*largest = fmax(*largest, fabs(error));
		json_array_append_new(array, json_pack("{s:i, s:i, s:f, s:f, s:f}",
			"size", (int)size,
			"depth", (int)cell->depth,
			"us", cell->median_us,
			"fitted_us", fitted,
			"error", error));
	}
	return array;
}

static json_t *report_json(const struct bench_device_options *options,
			   const struct device_identity *identity,
			   const struct device_result *result)
{
	time_t now = time(NULL);
	struct utsname system;
	char date[32] = "";
	double largest;
	json_t *fit = fit_json(result, &largest);
	struct tm utc;

	uname(&system);
	if (gmtime_r(&now, &utc))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &utc);
	return json_pack("{s:f, s:f, s:I, s:i, s:f, s:{s:o, s:o, s:o}, s:o, s:s, s:s, s:s, s:I, "
			 "s:f, s:I, s:o, s:o}",
		"a_us", result->cost.a_us,
		"b_us_per_mib", result->cost.b_us_per_mib,
		"gap_bytes", (json_int_t)device_break_even_bytes(result->cost),
		"queue_depth", (int)result->queue_depth,
		"fit_error", largest,
		"device", "id", json_text(identity->id), "name", json_text(identity->name),
		"model", json_text(identity->model),
		"path", json_text(options->bench.path),
		"source", result->source,
		"kernel", system.release,
		"date", date,
		"file_bytes", (json_int_t)result->file_bytes,
		"seconds", result->seconds,
		"seed", (json_int_t)options->bench.seed,
		"fit", fit,
		"samples", samples_json_of(result));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static double number_of(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

/* The row of a size: what the fit says of it, and MB/s at each depth. */
static void show_size(const json_t *fit, const json_t *samples)
{
	double size = number_of(fit, "size");
	const json_t *sample;
	size_t i;

	printf("%6.0f KiB %10.1f %9.1f %+6.1f %%  ", size / 1024, number_of(fit, "us"),
	       number_of(fit, "fitted_us"), 100 * number_of(fit, "error"));
	json_array_foreach(samples, i, sample)
		if (number_of(sample, "size") == size)
			printf(" %7.1f", number_of(sample, "mb_s"));
	putchar('\n');
}

static void show(const json_t *report, bool kept)
{
	const json_t *fit = json_object_get(report, "fit");
	const json_t *samples = json_object_get(report, "samples"), *device, *row;
	char gap[HUMAN_SIZE];
	size_t i;

	device = json_object_get(report, "device");
	printf("%s %s (%s)\n%s%s%s\n", text_of(device, "name"), text_of(device, "model"),
	       text_of(device, "id"), text_of(report, "source"),
	       kept ? "; measured " : "", kept ? text_of(report, "date") : "");
	printf("an I/O costs %.2f us and %.1f us per MiB: gaps of up to %s are worth reading "
	       "over\nqueue depth %.0f is enough\n\n", number_of(report, "a_us"),
	       number_of(report, "b_us_per_mib"),
	       human_bytes((uint64_t)number_of(report, "gap_bytes"), gap),
	       number_of(report, "queue_depth"));
	printf("%10s %10s %9s %8s   MB/s at depth\n%10s %10s %9s %8s  ", "", "", "", "", "size",
	       "us", "fitted", "error");
	json_array_foreach(samples, i, row)
		if (number_of(row, "size") == number_of(json_array_get(samples, 0), "size"))
			printf(" %7.0f", number_of(row, "depth"));
	putchar('\n');
	json_array_foreach(fit, i, row)
		show_size(row, samples);
}

/* What is known of the device, if it was measured under this kernel; NULL: nothing. */
static json_t *find_report(const char *table, const struct device_identity *identity)
{
	struct device_cost cost;
	struct utsname system;
	json_t *report = NULL;
	struct error err;

	if (known_devices_find(table, identity->id, &cost, &report, &err) < 0)
		fprintf(stderr, "colink: %s; it is ignored\n", err.message);
	uname(&system);
	if (report && strcmp(text_of(report, "kernel"), system.release) != 0) {
		json_decref(report);
		report = NULL;
	}
	return report;
}

/* Measure, and keep the report where there is a place for it; that there is none is told. */
static int measure(const struct bench_device_options *options, const char *table,
		   const struct device_identity *identity, json_t **report, struct error *err)
{
	struct device_result *result = malloc(sizeof(*result));
	struct progress_bar bar;
	struct error why;
	int ret;

	if (!result)
		return error_no_memory(err, "a benchmark");
	progress_begin(&bar, "measure");
	ret = device_bench(&options->bench, result, &bar.progress, err);
	progress_end(&bar, ret == 0);
	if (ret == 0) {
		*report = report_json(options, identity, result);
		if (!*report)
			ret = error_no_memory(err, "a report");
		else if (table && known_devices_keep(table, identity->id, *report, &why) < 0)
			fprintf(stderr, "colink: %s; the result is not kept\n", why.message);
	}
	free(result);
	return ret;
}

static int print_report(json_t *report, bool kept, bool json, struct error *err)
{
	if (!json) {
		show(report, kept);
		return finish_output(err);
	}
	json_object_set_new(report, "kept", json_boolean(kept));
	return print_json(json_incref(report), err);
}

static int bench(const struct bench_device_options *options, struct error *err)
{
	struct device_identity identity;
	json_t *report = NULL;
	char *table = NULL;
	struct error why;
	bool kept;
	int ret;

	ret = device_identity_of(options->bench.path, &identity, err);
	if (ret < 0)
		return ret;
	if (known_devices_path(&table, &why) < 0) {
		fprintf(stderr, "colink: %s\n", why.message);
		table = NULL;
	}
	if (table && !options->force)
		report = find_report(table, &identity);
	kept = report;
	if (!report)
		ret = measure(options, table, &identity, &report, err);
	if (ret == 0)
		ret = print_report(report, kept, options->json, err);
	json_decref(report);
	free(table);
	return ret;
}

int bench_device(const struct command *command, int argc, char **argv)
{
	struct bench_device_options options = {
		.bench = { .path = ".", .source = "auto", .seconds = 3, .seed = 1 },
	};
	uint64_t mib = 512;
	const struct option_spec specs[] = {
		{ "force", 0, OPTION_FLAG, &options.force, "measure, though the result is known" },
		{ "file-mib", 0, OPTION_U64, &mib, "N: most to write in a folder (512)" },
		{ "seconds", 0, OPTION_REAL, &options.bench.seconds, "S: measure for so long (3)" },
		{ "seed", 0, OPTION_U64, &options.bench.seed, "N: of places and order (1)" },
		{ "json", 0, OPTION_FLAG, &options.json, "print one JSON object, with all medians" },
	};
	struct error err = { 0 };
	size_t n_paths;
	char **paths;
	int status;

	status = options_parse_any(command, specs, COUNT_OF(specs), argc, argv, &paths, &n_paths);
	if (status >= 0)
		return status;
	if (n_paths > 1)
		return usage_error(command, "expected: %s", command->arguments);
	if (n_paths)
		options.bench.path = paths[0];
	options.bench.file_bytes = mib_bytes(mib);
	if (device_bench_check(&options.bench, &err) < 0)
		return usage_error(command, "%s", err.message);
	return bench(&options, &err) < 0 ? report_failure(&err) : EXIT_DONE;
}
