// SPDX-License-Identifier: GPL-2.0-only
/* The benchmark of a program that knows nothing, on a small model; options and inputs. */
#include "helpers/folder_test.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/extent_file.h"
#include "bench/touch_bench.h"
#include "helpers/activity.h"
#include "helpers/disk.h"
#include "helpers/linked_model.h"
#include "helpers/watcher.h"
#include "kernel/kernel_device.h"
#include "kernel/link_policy.h"

#define REPEATS 2
#define TOKENS 9
#define BUNDLE (2 * EXTENT_PAGE)

/* A model with its trace, and a folder for the file of the benchmark. */
struct inputs {
	struct linked_model linked;
	char *directory;
	struct touch_bench_options options;
	size_t n_open; /* descriptors */
};

static int set_up(void **state)
{
	struct inputs *inputs = malloc(sizeof(*inputs));

	assert_non_null(inputs);
	inputs->directory = make_folder();
	linked_model_make(&inputs->linked, inputs->directory);
	inputs->options = (struct touch_bench_options){
		.model = inputs->linked.model,
		.trace = inputs->linked.trace,
		.directory = inputs->directory,
		.bundle_bytes = BUNDLE,
		.tokens = TOKENS,
		.repeats = REPEATS,
		.gap_bytes = 16 << 10,
		.threshold = LINK_POLICY_DEFAULT,
		.max_hot = LINK_POLICY_DEFAULT,
	};
	inputs->n_open = count_entries("/proc/self/fd");
	*state = inputs;
	return 0;
}

static int tear_down(void **state)
{
	struct inputs *inputs = *state;

	assert_int_equal(count_entries(inputs->directory), 2); /* model and trace */
	assert_int_equal(count_entries("/proc/self/fd"), inputs->n_open);
	linked_model_free(&inputs->linked);
	remove_folder(inputs->directory);
	free(inputs);
	return 0;
}

#define inputs_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void need_no_module(void)
{
	if (access(KERNEL_DEVICE_PATH, F_OK) == 0)
		skip();
}

/* Bundles that the tokens fire, and how many of them are different ones. */
static uint64_t fired_bundles(const struct linked_model *linked, uint64_t *different)
{
	uint64_t all = 0;

	*different = 0;
	for (uint32_t layer = 0; layer < LINKED_LAYERS; layer++) {
		for (uint32_t slot = 0; slot < LINKED_SLOTS; slot++) {
			uint32_t times = 0;

			for (uint32_t token = 0; token < TOKENS; token++)
				times += linked_model_fires(linked, token, layer, slot);
			all += times;
			*different += times > 0;
		}
	}
	return all;
}

static void assert_measured(const struct touch_result *result, uint64_t different)
{
	for (int repeat = 0; repeat < REPEATS; repeat++) {
		const struct touch_sample *sample = &result->samples[repeat];

		assert_true(sample->stall_ms_per_token > 0);
		assert_true(sample->compute_ms_per_token > 0);
		assert_true(sample->faults_per_token > 0);
		assert_true(sample->ios_per_token > 0);
		/* Nothing is resident at first. It is a mean: the sum is rounded. */
		assert_true(sample->bytes_per_token * TOKENS + 1 >= different * (double)BUNDLE);
		/* Memory is not short here: all that was wanted is there at the end. */
		assert_true(sample->resident_bytes >= different * (double)BUNDLE);
		assert_true(sample->resident_bytes <= LINKED_LAYERS * LINKED_SLOTS * (double)BUNDLE);
		assert_true(sample->prefetched_bytes_per_token == 0);
		assert_true(sample->given_up_bytes_per_token == 0);
	}
}

static void each_way_without_the_module(void **state)
{
	const struct inputs *inputs = *state;
	struct watcher watcher = make_watcher();
	struct touch_results results;
	uint64_t fired, different;
	struct error err;

	need_no_module();
	need_disk(inputs->directory);
	assert_ok(touch_bench(&inputs->options, &results, &watcher.progress, &err), &err);
	fired = fired_bundles(&inputs->linked, &different);
	assert_int_equal(results.tokens, TOKENS);
	assert_int_equal(results.file_bytes, LINKED_LAYERS * LINKED_SLOTS * BUNDLE);
	assert_int_equal(results.wanted_bytes_per_token, fired * BUNDLE / TOKENS);
	assert_non_null(strstr(results.missing, "the module is not loaded"));
	assert_int_equal(results.n, 2);
	assert_string_equal(results.results[0].name, "mmap");
	assert_string_equal(results.results[1].name, "mmap-random");
	for (size_t i = 0; i < results.n; i++)
		assert_measured(&results.results[i], different);
	assert_int_equal(watcher.calls, 2 * REPEATS);
	assert_true(watcher.done == watcher.total);
	touch_results_free(&results);
}

static void fewer_tokens_than_asked_for(void **state)
{
	const struct inputs *inputs = *state;
	struct touch_bench_options options = inputs->options;
	struct touch_results results;
	struct error err;

	need_no_module();
	need_disk(inputs->directory);
	options.tokens = UINT32_MAX;
	options.repeats = 1;
	assert_ok(touch_bench(&options, &results, NULL, &err), &err);
	assert_int_equal(results.tokens, LINKED_TOKENS);
	touch_results_free(&results);
}

static void assert_bench_refused(const struct touch_bench_options *options, int code,
				 const char *text, const char *other)
{
	struct touch_results results;
	struct error err = { 0 };
	int ret = touch_bench(options, &results, NULL, &err);

	assert_int_equal(ret, code);
	assert_refused_with(ret, &err, text, other);
	assert_null(results.results);
	assert_int_equal(results.n, 0);
}

static void wrong_options(void **state)
{
	static const uint32_t bad_bundles[] = { 0, 1, EXTENT_PAGE - 1, EXTENT_PAGE + 8 };
	const struct inputs *inputs = *state;
	struct touch_bench_options options = inputs->options;

	options.repeats = 0;
	assert_bench_refused(&options, -EINVAL, "at least one repeat", "");
	options = inputs->options;
	options.tokens = 0;
	assert_bench_refused(&options, -EINVAL, "one token", "");
	options = inputs->options;
	for (size_t i = 0; i < sizeof(bad_bundles) / sizeof(bad_bundles[0]); i++) {
		options.bundle_bytes = bad_bundles[i];
		assert_bench_refused(&options, -EINVAL, "of whole pages", "4096");
	}
}

static void wrong_inputs(void **state)
{
	const struct inputs *inputs = *state;
	struct touch_bench_options options = inputs->options;

	options.model = inputs->linked.trace;
	assert_bench_refused(&options, -EINVAL, inputs->linked.trace, "");
	options = inputs->options;
	options.trace = inputs->linked.model;
	assert_bench_refused(&options, -EINVAL, inputs->linked.model, "");
	options = inputs->options;
	options.directory = inputs->linked.model;
	assert_bench_refused(&options, -ENOTDIR, inputs->linked.model, "cannot create");
}

static void trace_of_another_model(void **state)
{
	const struct inputs *inputs = *state;

	write_activities(inputs->linked.trace, LINKED_MODEL_ID + 1, inputs->linked.layers,
			 LINKED_LAYERS, 6);
	assert_bench_refused(&inputs->options, -EINVAL, inputs->linked.trace,
			     "the trace of another model");
}

static void more_memory_than_there_is(void **state)
{
	const struct inputs *inputs = *state;
	struct touch_bench_options options = inputs->options;

	need_disk(inputs->directory);
	options.leave_bytes = UINT64_MAX;
	assert_bench_refused(&options, -ENOMEM, "MiB of memory are available", "to be left");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		inputs_test(each_way_without_the_module),
		inputs_test(fewer_tokens_than_asked_for),
		inputs_test(wrong_options),
		inputs_test(wrong_inputs),
		inputs_test(trace_of_another_model),
		inputs_test(more_memory_than_there_is),
	};

	return cmocka_run_group_tests_name("touch_bench", tests, NULL, NULL);
}
