// SPDX-License-Identifier: GPL-2.0-only
#include "bench/prefetch_bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu_time.h"
#include "base/random.h"
#include "bench/extent_file.h"
#include "bench/prefetch_methods.h"

/* Longest gap of the layout "near", in pages. */
#define NEAR_PAGES 4

/* After the last use, until the kernel's threads have put their work away. */
#define SETTLE_US 20000

static const uint32_t extent_counts[] = { 256, 4096 };
static const uint32_t extent_sizes[] = { 4 << 10, 16 << 10, 64 << 10 };
static const char *const layouts[] = { "scattered", "near" };

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { CASES = COUNT_OF(extent_counts) * COUNT_OF(extent_sizes) * COUNT_OF(layouts) };

struct bench {
	const struct prefetch_bench_options *options;
	struct prefetch_results *results;
	struct extent_file file;
	struct prefetch_tools tools;
	struct random_state random;
	struct extent *extents; /* of the case at hand */
	uint32_t *order; /* of the methods, in this turn */
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/* One extent in each of n equal parts of the file, at a page drawn at random. */
static void scatter(struct bench *bench, uint32_t n, uint32_t bytes)
{
	uint64_t part = bench->file.bytes / n / EXTENT_PAGE * EXTENT_PAGE;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t room = (part - bytes) / EXTENT_PAGE + 1;

		bench->extents[i].offset =
			i * part + random_below(&bench->random, room) * EXTENT_PAGE;
		bench->extents[i].bytes = bytes;
	}
}

static void put_near(struct bench *bench, uint32_t n, uint32_t bytes)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < n; i++) {
		bench->extents[i] = (struct extent){ at, bytes };
		at += bytes + (1 + random_below(&bench->random, NEAR_PAGES)) * EXTENT_PAGE;
	}
}

static void draw_extents(struct bench *bench, const struct prefetch_result *result)
{
	if (!strcmp(result->layout, "near"))
		put_near(bench, result->extents, result->extent_bytes);
	else
		scatter(bench, result->extents, result->extent_bytes);
}

/* The measured part: ask, then use. */
static int ask_and_use(struct bench *bench, const struct prefetch_method *method, uint32_t n,
		       struct prefetch_sample *sample, struct error *err)
{
	double begin = now_ms();
	int ret = method->ask(&bench->tools, bench->extents, n, err);

	sample->call_ms = now_ms() - begin;
	if (ret == 0)
		ret = extent_file_use(&bench->file, bench->extents, n, err);
	sample->wall_ms = now_ms() - begin;
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

	draw_extents(bench, results);
	random_permutation(&bench->random, bench->order, n_prefetch_methods);
	for (size_t i = 0; i < n_prefetch_methods; i++) {
		struct prefetch_result *result = &results[bench->order[i]];
		const struct prefetch_method *method = &prefetch_methods[bench->order[i]];

		if (!is_measured(bench, method))
			continue;
		ret = measure(bench, method, result->extents, &result->samples[repeat], err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int take_all_turns(struct bench *bench, struct progress *progress, struct error *err)
{
	uint32_t repeats = bench->options->repeats;

	for (uint32_t repeat = 0; repeat < repeats; repeat++) {
		for (size_t i = 0; i < CASES; i++) {
			int ret = take_turns(bench, i * n_prefetch_methods, repeat, err);

			if (ret < 0)
				return ret;
			progress_report(progress, repeat * CASES + i + 1, repeats * CASES);
		}
	}
	return 0;
}

static int make_results(struct prefetch_results *results, uint32_t repeats, struct error *err)
{
	results->n = CASES * n_prefetch_methods;
	results->results = calloc(results->n, sizeof(*results->results));
	if (!results->results)
		return error_no_memory(err, "results");
	for (size_t i = 0; i < results->n; i++) {
		size_t a_case = i / n_prefetch_methods;
		struct prefetch_result *result = &results->results[i];

		result->method = prefetch_methods[i % n_prefetch_methods].name;
		result->extent_bytes = extent_sizes[a_case % COUNT_OF(extent_sizes)];
		a_case /= COUNT_OF(extent_sizes);
		result->extents = extent_counts[a_case % COUNT_OF(extent_counts)];
		result->layout = layouts[a_case / COUNT_OF(extent_counts)];
		result->samples = calloc(repeats, sizeof(*result->samples));
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

static int check_options(const struct prefetch_bench_options *options, struct error *err)
{
	/* Room for the largest case, half of it gaps. */
	uint64_t least = 2 * UINT64_C(4096) * (64 << 10);

	if (!options->repeats)
		return error_set(err, -EINVAL, "at least one repeat is needed");
	if (options->file_bytes < least || options->file_bytes % EXTENT_PAGE)
		return error_set(err, -EINVAL, "the file has to have at least %llu MiB, in pages",
				 (unsigned long long)least >> 20);
	return check_methods(options, err);
}

int prefetch_bench(const struct prefetch_bench_options *options, struct prefetch_results *results,
		   struct progress *progress, struct error *err)
{
	struct bench bench = { .options = options, .results = results };
	struct error missing = { 0 };
	int ret;

	*results = (struct prefetch_results){ 0 };
	ret = check_options(options, err);
	if (ret == 0)
		ret = make_results(results, options->repeats, err);
	if (ret < 0)
		goto free_results;
	random_seed(&bench.random, options->seed);
	bench.extents = calloc(extent_counts[COUNT_OF(extent_counts) - 1], sizeof(*bench.extents));
	bench.order = calloc(n_prefetch_methods, sizeof(*bench.order));
	if (!bench.extents || !bench.order) {
		ret = error_no_memory(err, "extents");
		goto free_extents;
	}
	ret = extent_file_create(options->directory, options->file_bytes, &bench.file, err);
	if (ret < 0)
		goto free_extents;
	ret = prefetch_tools_open(&bench.tools, &bench.file, options->gap_bytes, &missing, err);
	if (ret < 0)
		goto remove_file;
	ret = take_all_turns(&bench, progress, err);
	if (ret == 0)
		drop_unmeasured(&bench);
	memcpy(results->missing, missing.message, sizeof(results->missing));
	prefetch_tools_close(&bench.tools);
remove_file:
	extent_file_remove(&bench.file);
free_extents:
	free(bench.order);
	free(bench.extents);
free_results:
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
