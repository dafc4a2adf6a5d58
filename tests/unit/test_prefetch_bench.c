// SPDX-License-Identifier: GPL-2.0-only
/* The benchmark of methods on a small file: each is measured as often as asked; options. */
#include "helpers/folder_test.h"

#include <errno.h>
#include <unistd.h>

#include "bench/prefetch_bench.h"
#include "bench/prefetch_methods.h"
#include "helpers/disk.h"
#include "helpers/watcher.h"
#include "kernel/kernel_device.h"

#define REPEATS 2

static const struct extent_case cases[] = {
	{ EXTENTS_SCATTERED, 150, EXTENT_PAGE }, /* more than io_uring has in flight */
	{ EXTENTS_NEAR, 4, PREFETCH_MAX_EXTENT },
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static struct prefetch_bench_options small_options(const struct folder *folder)
{
	return (struct prefetch_bench_options){
		.directory = folder->path,
		.file_bytes = 2 << 20,
		.gap_bytes = 16 << 10,
		.seed = 1,
		.repeats = REPEATS,
		.cases = cases,
		.n_cases = CASES,
	};
}

/* Everything that is wanted comes from the disk, since nothing of it is resident at first. */
static void assert_measured(const struct prefetch_result *result)
{
	for (int repeat = 0; repeat < REPEATS; repeat++) {
		const struct prefetch_sample *sample = &result->samples[repeat];

		assert_true(sample->wall_ms > 0);
		assert_true(sample->call_ms <= sample->wall_ms);
		assert_true(sample->ios > 0);
		assert_true(sample->bytes >=
			    result->shape.extents * (uint64_t)result->shape.extent_bytes);
	}
}

/* How often a method is among the results of a case. */
static int times(const struct prefetch_results *results, const struct extent_case *one,
		 const char *method)
{
	int n = 0;

	for (size_t i = 0; i < results->n; i++)
		n += !strcmp(results->results[i].method, method) &&
		     !memcmp(&results->results[i].shape, one, sizeof(*one));
	return n;
}

static void every_method_in_every_case(void **state)
{
	static const char *const always[] = { "fault", "readahead", "fadvise", "madvise",
					      "libcolink" };
	const struct prefetch_bench_options options = small_options(*state);
	struct watcher watcher = make_watcher();
	const struct folder *folder = *state;
	struct prefetch_results results;
	size_t n_open = count_entries("/proc/self/fd");
	struct error err;

	need_disk(folder->path);
	assert_ok(prefetch_bench(&options, &results, &watcher.progress, &err), &err);
	for (size_t i = 0; i < CASES; i++) {
		for (size_t method = 0; method < 5; method++)
			assert_int_equal(times(&results, &cases[i], always[method]), 1);
		for (size_t method = 0; method < n_prefetch_methods; method++)
			assert_in_range(times(&results, &cases[i], prefetch_methods[method].name),
					0, 1);
	}
	for (size_t i = 0; i < results.n; i++)
		assert_measured(&results.results[i]);
	assert_int_equal(watcher.calls, REPEATS * CASES);
	assert_true(watcher.done == watcher.total);
	assert_int_equal(count_entries(folder->path), 0);
	assert_int_equal(count_entries("/proc/self/fd"), n_open);
	prefetch_results_free(&results);
}

static void only_the_methods_asked_for(void **state)
{
	static const char *const methods[] = { "madvise", "fault", "madvise" };
	struct prefetch_bench_options options = small_options(*state);
	const struct folder *folder = *state;
	struct prefetch_results results;
	struct error err;

	need_disk(folder->path);
	options.methods = methods;
	options.n_methods = 3;
	assert_ok(prefetch_bench(&options, &results, NULL, &err), &err);
	assert_int_equal(results.n, 2 * CASES);
	for (size_t i = 0; i < CASES; i++) {
		assert_int_equal(times(&results, &cases[i], "fault"), 1);
		assert_int_equal(times(&results, &cases[i], "madvise"), 1);
	}
	for (size_t i = 0; i < results.n; i++)
		assert_measured(&results.results[i]);
	prefetch_results_free(&results);
}

static void without_the_module(void **state)
{
	static const char *const fault[] = { "fault" }, *const module[] = { "colink" };
	struct prefetch_bench_options options = small_options(*state);
	const struct folder *folder = *state;
	struct prefetch_results results;
	struct error err = { 0 };
	int ret;

	if (access(KERNEL_DEVICE_PATH, F_OK) == 0)
		skip();
	need_disk(folder->path);
	options.n_methods = 1;
	options.methods = fault;
	assert_ok(prefetch_bench(&options, &results, NULL, &err), &err);
	assert_non_null(strstr(results.missing, "the module is not loaded"));
	prefetch_results_free(&results);

	options.methods = module;
	ret = prefetch_bench(&options, &results, NULL, &err);
	assert_int_equal(ret, -ENODEV);
	assert_refused_with(ret, &err, "nothing to measure", "the module is not loaded");
	assert_int_equal(count_entries(folder->path), 0);
}

static void assert_options_refused(const struct prefetch_bench_options *options, const char *text)
{
	struct prefetch_results results;
	struct error err = { 0 };
	int ret = prefetch_bench(options, &results, NULL, &err);

	assert_int_equal(ret, -EINVAL);
	assert_refused_with(ret, &err, text, "");
	assert_null(results.results);
	assert_int_equal(results.n, 0);
}

static void wrong_options(void **state)
{
	static const char *const methods[] = { "fault", "telepathy" };
	struct prefetch_bench_options options = small_options(*state);
	const struct folder *folder = *state;

	options.repeats = 0;
	assert_options_refused(&options, "at least one repeat");

	options = small_options(folder);
	options.methods = methods;
	options.n_methods = 2;
	assert_options_refused(&options, "there is no method 'telepathy'");

	options = small_options(folder);
	options.file_bytes = 150 * 2 * EXTENT_PAGE - EXTENT_PAGE;
	assert_options_refused(&options, "at least 2 MiB");
	options.file_bytes = (2 << 20) + 1;
	assert_options_refused(&options, "in whole pages");

	options.n_cases = 0;
	options.file_bytes = 511 << 20;
	assert_options_refused(&options, "at least 512 MiB");
	assert_int_equal(count_entries(folder->path), 0);
}

static void impossible_cases(void **state)
{
	static const struct extent_case impossible[] = {
		{ EXTENTS_NEAR, 0, EXTENT_PAGE },
		{ EXTENTS_NEAR, 1, 0 },
		{ EXTENTS_NEAR, 1, EXTENT_PAGE + 1 },
		{ EXTENTS_SCATTERED, 1, PREFETCH_MAX_EXTENT + EXTENT_PAGE },
	};
	struct prefetch_bench_options options = small_options(*state);

	options.n_cases = 1;
	for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
		options.cases = &impossible[i];
		assert_options_refused(&options, "cannot be measured");
	}
}

static void no_such_directory(void **state)
{
	struct prefetch_bench_options options = small_options(*state);
	const struct folder *folder = *state;
	struct prefetch_results results;
	struct error err = { 0 };
	int ret;

	options.directory = folder->file;
	ret = prefetch_bench(&options, &results, NULL, &err);
	assert_int_equal(ret, -ENOENT);
	assert_refused_with(ret, &err, folder->file, "cannot create");
	assert_null(results.results);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(every_method_in_every_case),
		folder_test(only_the_methods_asked_for),
		folder_test(without_the_module),
		folder_test(wrong_options),
		folder_test(impossible_cases),
		folder_test(no_such_directory),
	};

	return cmocka_run_group_tests_name("prefetch_bench", tests, NULL, NULL);
}
