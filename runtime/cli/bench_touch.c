// SPDX-License-Identifier: GPL-2.0-only
/* colink bench touch: a program that knows nothing, by itself and helped. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/touch_bench.h"
#include "cli/cli.h"
#include "cli/loaded.h"
#include "cli/sample_fields.h"
#include "kernel/link_policy.h"

static const struct sample_field fields[] = {
	{ "stall_ms_per_token", offsetof(struct touch_sample, stall_ms_per_token) },
	{ "compute_ms_per_token", offsetof(struct touch_sample, compute_ms_per_token) },
	{ "faults_per_token", offsetof(struct touch_sample, faults_per_token) },
	{ "ios_per_token", offsetof(struct touch_sample, ios_per_token) },
	{ "bytes_per_token", offsetof(struct touch_sample, bytes_per_token) },
	{ "prefetched_bytes_per_token",
	  offsetof(struct touch_sample, prefetched_bytes_per_token) },
	{ "given_up_bytes_per_token", offsetof(struct touch_sample, given_up_bytes_per_token) },
	{ "resident_bytes", offsetof(struct touch_sample, resident_bytes) },
};

static const struct sample_form form = {
	sizeof(struct touch_sample), fields, COUNT_OF(fields),
};

static json_t *results_json(const struct touch_bench_options *options,
			    const struct touch_results *results, double *scratch)
{
	json_t *array = json_array();

	for (size_t i = 0; i < results->n; i++) {
		const struct touch_result *result = &results->results[i];
		struct touch_sample medians;
		json_t *object;

		sample_medians(&form, result->samples, options->repeats, scratch, &medians);
		object = samples_json(&form, result->samples, options->repeats, &medians);
		json_object_set_new(object, "name", json_string(result->name));
		json_array_append_new(array, object);
	}
	return json_pack("{s:I, s:i, s:i, s:i, s:I, s:I, s:I, s:s, s:o}",
		"file_bytes", (json_int_t)results->file_bytes,
		"bundle_bytes", (int)options->bundle_bytes,
		"tokens", (int)results->tokens,
		"repeats", (int)options->repeats,
		"memory_left_bytes", (json_int_t)options->leave_bytes,
		"gap_bytes", (json_int_t)options->gap_bytes,
		"wanted_bytes_per_token", (json_int_t)results->wanted_bytes_per_token,
		"missing", results->missing,
		"results", array);
}

static void show(const struct touch_bench_options *options, const struct touch_results *results,
		 double *scratch)
{
	char file[HUMAN_SIZE], wanted[HUMAN_SIZE], bytes[HUMAN_SIZE];
	char given_up[HUMAN_SIZE], resident[HUMAN_SIZE];

	printf("%u tokens, bundles of %u KiB, file %s, wanted %s per token\n", results->tokens,
	       options->bundle_bytes >> 10, human_bytes(results->file_bytes, file),
	       human_bytes(results->wanted_bytes_per_token, wanted));
	printf("per token    %10s %10s %10s %10s %10s %10s %10s\n", "stall ms", "compute ms",
	       "faults", "I/Os", "read", "given up", "resident");
	for (size_t i = 0; i < results->n; i++) {
		struct touch_sample medians;

		sample_medians(&form, results->results[i].samples, options->repeats, scratch,
			       &medians);
		printf("%-12s %10.2f %10.2f %10.1f %10.1f %10s %10s %10s\n",
		       results->results[i].name, medians.stall_ms_per_token,
		       medians.compute_ms_per_token, medians.faults_per_token,
		       medians.ios_per_token,
		       human_bytes((uint64_t)medians.bytes_per_token, bytes),
		       human_bytes((uint64_t)medians.given_up_bytes_per_token, given_up),
		       human_bytes((uint64_t)medians.resident_bytes, resident));
	}
	if (results->missing[0])
		printf("Without link_prefetch: %s\n", results->missing);
}

static int report(const struct touch_bench_options *options, const struct touch_results *results,
		  bool json, struct error *err)
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

int bench_touch(const struct command *command, int argc, char **argv)
{
	struct touch_bench_options options = {
		.directory = ".", .bundle_bytes = 4096, .tokens = 100, .repeats = 5,
		.gap_bytes = 16 << 10, .max_hot = LINK_POLICY_DEFAULT,
	};
	uint64_t leave_mib = 0;
	const char *read_around = "room";
	double threshold = NAN;
	bool json = false;
	const struct option_spec specs[] = {
		{ "trace", 0, OPTION_STRING, &options.trace, "FILE: of the model (colink trace)" },
		{ "dir", 0, OPTION_STRING, &options.directory,
		  "DIR: where the file is made, on the disk to measure (.)" },
		{ "bundle", 0, OPTION_U32, &options.bundle_bytes,
		  "BYTES: of a bundle, in pages (4096)" },
		{ "tokens", 0, OPTION_U32, &options.tokens,
		  "N: of the trace, from its start (100)" },
		{ "leave-mib", 0, OPTION_U64, &leave_mib,
		  "N: lock all memory but so much (all may be used)" },
		{ "gap", 0, OPTION_U64, &options.gap_bytes, "BYTES: as for colink load (16384)" },
		{ "threshold", 0, OPTION_REAL, &threshold, "P: as for colink load" },
		{ "max-hot", 0, OPTION_U32, &options.max_hot, "N: as for colink load" },
		{ "read-around", 0, OPTION_STRING, &read_around,
		  "always|room|never: as for colink load" },
		{ "repeat", 0, OPTION_U32, &options.repeats, "N: medians are over this many (5)" },
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object, with every sample" },
	};
	struct touch_results results;
	struct progress_bar bar;
	struct error err = { 0 };
	int status, ret;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &options.model, 1);
	if (status >= 0)
		return status;
	if (!options.trace)
		return usage_error(command, "--trace FILE is needed");
	if (threshold < 0 || threshold > 1)
		return usage_error(command, "--threshold %g: has to be from 0 to 1", threshold);
	if (read_around_parse(read_around) < 0)
		return usage_error(command, "--read-around %s: has to be always, room or never",
				   read_around);
	options.read_around = (uint32_t)read_around_parse(read_around);
	options.threshold = isnan(threshold) ? LINK_POLICY_DEFAULT :
					       (uint32_t)(threshold * LINK_ONE + 0.5);
	options.leave_bytes = mib_bytes(leave_mib);
	if (touch_bench_check(&options, &err) < 0)
		return usage_error(command, "%s", err.message);
	progress_begin(&bar, "measure");
	ret = touch_bench(&options, &results, &bar.progress, &err);
	progress_end(&bar, ret == 0);
	if (ret == 0) {
		ret = report(&options, &results, json, &err);
		touch_results_free(&results);
	}
	return ret < 0 ? report_failure(&err) : EXIT_DONE;
}
