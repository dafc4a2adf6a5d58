// SPDX-License-Identifier: GPL-2.0-only
#include "bench/prefetch_bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpu_time.h"
#include "base/random.h"
#include "bench/extent_file.h"
#include "bench/prefetch_methods.h"

/* After the last use, until the kernel's threads have put their work away. */
#define SETTLE_US 20000

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct extent_case usual_cases[] = {
	{ EXTENTS_SCATTERED, 256, 4 << 10 },
	{ EXTENTS_SCATTERED, 256, 16 << 10 },
	{ EXTENTS_SCATTERED, 256, 64 << 10 },
	{ EXTENTS_SCATTERED, 4096, 4 << 10 },
	{ EXTENTS_SCATTERED, 4096, 16 << 10 },
	{ EXTENTS_SCATTERED, 4096, 64 << 10 },
	{ EXTENTS_NEAR, 256, 4 << 10 },
	{ EXTENTS_NEAR, 256, 16 << 10 },
	{ EXTENTS_NEAR, 256, 64 << 10 },
	{ EXTENTS_NEAR, 4096, 4 << 10 },
	{ EXTENTS_NEAR, 4096, 16 << 10 },
	{ EXTENTS_NEAR, 4096, 64 << 10 },
};

struct bench {
	const struct prefetch_bench_options *options;
	const struct extent_case *cases; /* (n_cases) */
	size_t n_cases;
	struct prefetch_results *results;
	struct extent_file file;
	struct prefetch_tools tools;
	struct random_state random;
	struct extent *extents; /* of the case at hand */
	uint32_t *order; /* of the methods, in this turn */
};

/* The measured part: ask, then use. */
static int ask_and_use(struct bench *bench, const struct prefetch_method *method, uint32_t n,
		       struct prefetch_sample *sample, struct error *err)
{
	double begin = clock_ms();
	int ret = method->ask(&bench->tools, bench->extents, n, err);

	sample->call_ms = clock_ms() - begin;
	if (ret == 0)
		ret = extent_file_use(&bench->file, bench->extents, n, err);
	sample->wall_ms = clock_ms() - begin;
	return ret;
}

static int measure(struct bench *bench, const struct prefetch_method *method, uint32_t n,
		   struct prefetch_sample *sample, struct error *err)
{
	struct device_reads before, after;
	uint64_t process_ns, kernel_ns;
	struct cpu_time *cpu;
	int ret;

	ret = extent_file_evict(&bench->file, err);
	if (ret == 0)
		ret = extent_file_device_reads(&bench->file, &before, err);
	if (ret == 0)
		ret = cpu_time_begin(&cpu, err);
	if (ret < 0)
		return ret;
	ret = ask_and_use(bench, method, n, sample, err);
	usleep(SETTLE_US);
	if (ret == 0)
		ret = cpu_time_end(cpu, &process_ns, &kernel_ns,
				   &bench->results->kernel_cpu_known, err);
	cpu_time_free(cpu);
	if (ret == 0)
		ret = extent_file_device_reads(&bench->file, &after, err);
	if (ret < 0)
		return ret;
	sample->process_cpu_ms = process_ns / 1e6;
	sample->kernel_cpu_ms = kernel_ns / 1e6;
	sample->cpu_ms = sample->process_cpu_ms + sample->kernel_cpu_ms;
	sample->ios = after.ios - before.ios;
	sample->bytes = after.bytes - before.bytes;
	return 0;
}

static bool is_measured(const struct bench *bench, const struct prefetch_method *method)
{
	const struct prefetch_bench_options *options = bench->options;

	if (!method->available(&bench->tools))
		return false;
	for (size_t i = 0; i < options->n_methods; i++)
		if (!strcmp(options->methods[i], method->name))
			return true;
	return !options->n_methods;
}

/* Each method once, on the same extents, in an order drawn at random. */
static int take_turns(struct bench *bench, size_t first_result, uint32_t repeat,
		      struct error *err)
{
	struct prefetch_result *results = &bench->results->results[first_result];
	int ret;

	extent_case_draw(&results->shape, bench->file.bytes, &bench->random, bench->extents);
	random_permutation(&bench->random, bench->order, n_prefetch_methods);
	for (size_t i = 0; i < n_prefetch_methods; i++) {
		struct prefetch_result *result = &results[bench->order[i]];
		const struct prefetch_method *method = &prefetch_methods[bench->order[i]];

		if (!is_measured(bench, method))
			continue;
		ret = measure(bench, method, result->shape.extents, &result->samples[repeat],
			      err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int take_all_turns(struct bench *bench, struct progress *progress, struct error *err)
{
	uint32_t repeats = bench->options->repeats;

	for (uint32_t repeat = 0; repeat < repeats; repeat++) {
		for (size_t i = 0; i < bench->n_cases; i++) {
			int ret = take_turns(bench, i * n_prefetch_methods, repeat, err);

			if (ret < 0)
				return ret;
			progress_report(progress, (double)repeat * bench->n_cases + i + 1,
					(double)repeats * bench->n_cases);
		}
	}
	return 0;
}

static int make_results(struct bench *bench, struct error *err)
{
	struct prefetch_results *results = bench->results;
	size_t n = bench->n_cases * n_prefetch_methods;

	results->results = calloc(n, sizeof(*results->results));
	if (!results->results)
		return error_no_memory(err, "results");
	results->n = n;
	for (size_t i = 0; i < n; i++) {
		struct prefetch_result *result = &results->results[i];

		result->method = prefetch_methods[i % n_prefetch_methods].name;
		result->shape = bench->cases[i / n_prefetch_methods];
		result->samples = calloc(bench->options->repeats, sizeof(*result->samples));
		if (!result->samples)
			return error_no_memory(err, "samples");
	}
	return 0;
}

/* What was not measured is no result. */
static void drop_unmeasured(struct bench *bench)
{
	struct prefetch_results *results = bench->results;
	size_t kept = 0;

	for (size_t i = 0; i < results->n; i++) {
		if (is_measured(bench, &prefetch_methods[i % n_prefetch_methods]))
			results->results[kept++] = results->results[i];
		else
			free(results->results[i].samples);
	}
	results->n = kept;
}

static int check_methods(const struct prefetch_bench_options *options, struct error *err)
{
	for (size_t i = 0; i < options->n_methods; i++) {
		size_t at = 0;

		while (at < n_prefetch_methods &&
		       strcmp(options->methods[i], prefetch_methods[at].name))
			at++;
		if (at == n_prefetch_methods)
			return error_set(err, -EINVAL, "there is no method '%s'",
					 options->methods[i]);
	}
	return 0;
}

static int check_cases(const struct bench *bench, struct error *err)
{
	for (size_t i = 0; i < bench->n_cases; i++) {
		const struct extent_case *one = &bench->cases[i];

		if (!one->extents || !one->extent_bytes || one->extent_bytes % EXTENT_PAGE ||
		    one->extent_bytes > PREFETCH_MAX_EXTENT)
			return error_set(err, -EINVAL, "%u extents of %u bytes cannot be measured",
					 one->extents, one->extent_bytes);
	}
	return 0;
}

static int check_file_bytes(const struct bench *bench, struct error *err)
{
	uint64_t least = 0;

	for (size_t i = 0; i < bench->n_cases; i++) {
		uint64_t bytes = extent_case_file_bytes(&bench->cases[i]);

		least = bytes > least ? bytes : least;
	}
	if (bench->options->file_bytes < least || bench->options->file_bytes % EXTENT_PAGE)
		return error_set(err, -EINVAL,
				 "the file has to have at least %" PRIu64 " MiB, in whole pages",
				 (least + (1 << 20) - 1) >> 20);
	return 0;
}

static int check_options(const struct bench *bench, struct error *err)
{
	int ret;

	if (!bench->options->repeats)
		return error_set(err, -EINVAL, "at least one repeat is needed");
	ret = check_cases(bench, err);
	if (ret == 0)
		ret = check_file_bytes(bench, err);
	return ret < 0 ? ret : check_methods(bench->options, err);
}

static int make_arrays(struct bench *bench, struct error *err)
{
	uint32_t most = 0;

	for (size_t i = 0; i < bench->n_cases; i++)
		most = bench->cases[i].extents > most ? bench->cases[i].extents : most;
	bench->extents = calloc(most, sizeof(*bench->extents));
	bench->order = calloc(n_prefetch_methods, sizeof(*bench->order));
	return bench->extents && bench->order ? 0 : error_no_memory(err, "extents");
}

/* With the file there, and what works on it. */
static int measure_all(struct bench *bench, const struct error *missing,
		       struct progress *progress, struct error *err)
{
	bool any = false;
	int ret;

	for (size_t i = 0; i < n_prefetch_methods; i++)
		any = any || is_measured(bench, &prefetch_methods[i]);
	if (!any)
		return error_set(err, -ENODEV, "nothing to measure: %s",
				 missing->message[0] ? missing->message : "there is no io_uring");
	ret = take_all_turns(bench, progress, err);
	if (ret == 0)
		drop_unmeasured(bench);
	return ret;
}

static struct bench begin(const struct prefetch_bench_options *options)
{
	return (struct bench){
		.options = options,
		.cases = options->n_cases ? options->cases : usual_cases,
		.n_cases = options->n_cases ? options->n_cases : COUNT_OF(usual_cases),
	};
}

int prefetch_bench_check(const struct prefetch_bench_options *options, struct error *err)
{
	const struct bench bench = begin(options);

	return check_options(&bench, err);
}

int prefetch_bench(const struct prefetch_bench_options *options, struct prefetch_results *results,
		   struct progress *progress, struct error *err)
{
	struct bench bench = begin(options);
	struct error missing = { 0 };
	int ret;

	*results = (struct prefetch_results){ 0 };
	bench.results = results;
	random_seed(&bench.random, options->seed);
	ret = check_options(&bench, err);
	if (ret == 0)
		ret = make_results(&bench, err);
	if (ret == 0)
		ret = make_arrays(&bench, err);
	if (ret < 0)
		goto free_arrays;
	ret = extent_file_create(options->directory, options->file_bytes, &bench.file, err);
	if (ret < 0)
		goto free_arrays;
	ret = prefetch_tools_open(&bench.tools, &bench.file, options->gap_bytes, &missing, err);
	if (ret < 0)
		goto remove_file;
	ret = measure_all(&bench, &missing, progress, err);
	memcpy(results->missing, missing.message, sizeof(results->missing));
	prefetch_tools_close(&bench.tools);
remove_file:
	extent_file_remove(&bench.file);
free_arrays:
	free(bench.order);
	free(bench.extents);
	if (ret < 0)
		prefetch_results_free(results);
	return ret;
}

void prefetch_results_free(struct prefetch_results *results)
{
	for (size_t i = 0; i < results->n; i++)
		free(results->results[i].samples);
	free(results->results);
	*results = (struct prefetch_results){ 0 };
}
