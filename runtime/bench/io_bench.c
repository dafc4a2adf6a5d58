// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench/io_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/median.h"
#include "base/ratio.h"
#include "base/random.h"
#include "bench/extent_file.h"
#include "bench/io_inputs.h"
#include "bench/io_method.h"
#include "placement/order_best.h"
#include "storage/read_ahead.h"
#include "storage/source.h"

struct bench {
	const struct io_bench_options *options;
	struct io_results *results; /* of all methods, until those not measured are dropped */
	const struct io_inputs *inputs;
	struct extent_file file; /* the model, for taking it out of the page cache */
	struct random_state random;
	bool *wanted; /* (n_io_methods): asked for, and not found missing */
	uint32_t *order; /* (n_io_methods): in this turn */
	struct io_token *tokens; /* (inputs->n_tokens) */
	double *scratch; /* (inputs->n_tokens) */
	uint64_t sum; /* of what was consumed; of no use but to be there */
};

static void consume(void *arg, uint32_t token, uint32_t layer, uint32_t slot,
		    const uint8_t *bytes, uint32_t n_bytes)
{
	struct bench *bench = arg;

	(void)token;
	(void)layer;
	(void)slot;
	for (uint32_t i = 0; i < n_bytes; i += EXTENT_PAGE)
		bench->sum += ((const volatile uint8_t *)bytes)[i];
	bench->sum += ((const volatile uint8_t *)bytes)[n_bytes - 1];
}

static void sum_up(struct bench *bench, uint32_t n, struct io_sample *sample, double *io_ms)
{
	struct io_token sum = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		const struct io_token *token = &bench->tokens[i];

		bench->scratch[i] = io_ms[i] = token->io_ms;
		sum.io_ms += token->io_ms;
		sum.bookkeeping_ms += token->bookkeeping_ms;
		sum.predicted_ms += token->predicted_ms;
		sum.reads += token->reads;
		sum.bytes += token->bytes;
		sum.wanted += token->wanted;
		sum.cached += token->cached;
		sum.runs += token->runs;
		sum.run_bundles += token->run_bundles;
	}
	*sample = (struct io_sample){
		.mean_ms = sum.io_ms / n,
		.median_ms = median(bench->scratch, n), /* sorts it */
		.reads = (double)sum.reads / n,
		.bytes = (double)sum.bytes / n,
		.effective_mb_s = ratio((double)sum.wanted * bench->results->stride / 1e3,
					sum.io_ms),
		.run_length = ratio(sum.run_bundles, sum.runs),
		.cache_hit_share = ratio(sum.cached, sum.wanted),
		.predicted_ms = sum.predicted_ms / n,
		.bookkeeping_share = ratio(sum.bookkeeping_ms, sum.io_ms),
	};
	sample->p99_ms = percentile(bench->scratch, n, 0.99);
}

static void note_missing(struct bench *bench, size_t method, const struct error *why)
{
	struct io_missing *missing = &bench->results->missing[bench->results->n_missing++];

	missing->name = io_methods[method].name;
	memcpy(missing->why, why->message, sizeof(missing->why));
	bench->wanted[method] = false;
}

static int measure(struct bench *bench, size_t index, uint32_t repeat, struct error *err)
{
	const struct io_bench_options *options = bench->options;
	const struct io_method *method = &io_methods[index];
	struct io_setting setting = {
		.cost = options->cost,
		.cache_ratio = options->cache_ratio,
		.queue_depth = options->queue_depth,
		.mmap_tokens = options->mmap_tokens,
		.groups = options->groups,
		.consume = consume,
		.consume_arg = bench,
	};
	struct io_result *result = &bench->results->results[index];
	uint32_t n = bench->inputs->n_tokens;
	struct io_outcome outcome = { .tokens = bench->tokens, .n_tokens = n };
	struct source_observer observer;
	int ret = extent_file_evict(&bench->file, err);

	if (ret < 0)
		return ret;
	if (options->reads && repeat == 0) {
		observer = read_log_observer(options->reads);
		setting.observer = &observer;
	}
	memset(bench->tokens, 0, n * sizeof(*bench->tokens));
	ret = method->replay(method, bench->inputs, &setting, &outcome, err);
	result->cache_bytes = outcome.cache_bytes;
	result->tokens = outcome.n_tokens;
	if (ret > 0)
		note_missing(bench, index, err);
	else if (ret == 0)
		sum_up(bench, outcome.n_tokens, &result->samples[repeat],
		       &result->io_ms[(size_t)repeat * outcome.n_tokens]);
	return ret < 0 ? ret : 0;
}

static int take_turns(struct bench *bench, struct progress *progress, struct error *err)
{
	uint32_t repeats = bench->options->repeats;
	double done = 0;

	for (uint32_t repeat = 0; repeat < repeats; repeat++) {
		random_permutation(&bench->random, bench->order, (uint32_t)n_io_methods);
		for (size_t i = 0; i < n_io_methods; i++) {
			int ret = 0;

			if (bench->wanted[bench->order[i]])
				ret = measure(bench, bench->order[i], repeat, err);
			if (ret < 0)
				return ret;
			progress_report(progress, ++done, (double)repeats * n_io_methods);
		}
	}
	return 0;
}

/* What was not measured is no result. */
static int drop_unmeasured(struct bench *bench, struct error *err)
{
	struct io_results *results = bench->results;
	size_t kept = 0;

	for (size_t i = 0; i < n_io_methods; i++) {
		if (bench->wanted[i]) {
			results->results[kept++] = results->results[i];
			continue;
		}
		free(results->results[i].samples);
		free(results->results[i].io_ms);
	}
	results->n = kept;
	if (!kept)
		return error_set(err, -ENODEV, "nothing to measure: %s", results->missing[0].why);
	return 0;
}

/* The model as a file that can be taken out of the page cache. */
static int open_file(struct bench *bench, struct error *err)
{
	uint64_t bytes = bench->inputs->file_bytes;

	bench->file.path = strdup(bench->inputs->path);
	if (!bench->file.path)
		return error_no_memory(err, "a path");
	bench->file.fd = open(bench->file.path, O_RDONLY | O_CLOEXEC);
	if (bench->file.fd < 0)
		return error_set(err, -errno, "%s: %s", bench->file.path, strerror(errno));
	/* In whole pages, as the page cache has it. */
	bench->file.bytes = (bytes + EXTENT_PAGE - 1) / EXTENT_PAGE * EXTENT_PAGE;
	bench->file.map = mmap(NULL, bench->file.bytes, PROT_READ, MAP_SHARED, bench->file.fd, 0);
	if (bench->file.map == MAP_FAILED)
		return error_set(err, -errno, "%s: cannot map: %s", bench->file.path,
				 strerror(errno));
	/* What is dirty would stay: the model may have been written a moment ago. */
	fsync(bench->file.fd);
	return 0;
}

static int make_results(struct bench *bench, struct error *err)
{
	struct io_results *results = bench->results;
	size_t repeats = bench->options->repeats, n = bench->inputs->n_tokens;

	results->results = calloc(n_io_methods, sizeof(*results->results));
	results->missing = calloc(n_io_methods, sizeof(*results->missing));
	if (!results->results || !results->missing)
		return error_no_memory(err, "results");
	results->n = n_io_methods;
	for (size_t i = 0; i < n_io_methods; i++) {
		struct io_result *result = &results->results[i];

		result->name = io_methods[i].name;
		result->samples = calloc(repeats, sizeof(*result->samples));
		result->io_ms = calloc(repeats * n, sizeof(*result->io_ms));
		if (!result->samples || !result->io_ms)
			return error_no_memory(err, "samples");
	}
	bench->wanted = calloc(n_io_methods, sizeof(*bench->wanted));
	bench->order = calloc(n_io_methods, sizeof(*bench->order));
	bench->tokens = calloc(n, sizeof(*bench->tokens));
	bench->scratch = calloc(n, sizeof(*bench->scratch));
	if (!bench->wanted || !bench->order || !bench->tokens || !bench->scratch)
		return error_no_memory(err, "samples");
	return 0;
}

/* By name, or, where no names are given, with all. */
static bool is_asked_for(const struct io_bench_options *options, const struct io_method *method)
{
	for (size_t i = 0; i < options->n_methods; i++)
		if (io_method_find(options->methods[i]) == method)
			return true;
	return !options->n_methods && (!method->copies || options->copies > 0);
}

static void describe_inputs(struct bench *bench)
{
	const struct token_slots *wanted = &bench->inputs->layouts[IO_IDENTITY].wanted;
	size_t sets = (size_t)wanted->n_tokens * wanted->n_layers;
	struct io_results *results = bench->results;

	results->tokens = bench->inputs->n_tokens;
	results->placed_tokens = bench->inputs->placed_tokens;
	results->n_layers = bench->inputs->geometry.n_layers;
	results->n_neurons = bench->inputs->geometry.slots;
	results->stride = bench->inputs->geometry.stride;
	results->n_copies = bench->inputs->n_copies;
	results->bundle_bytes = io_inputs_bundle_bytes(bench->inputs);
	results->wanted_bytes_per_token =
		(double)bits_count(wanted->sets, sets * bits_words(wanted->n_slots)) *
		results->stride / wanted->n_tokens;
	if (read_ahead_get(bench->inputs->path, &results->read_ahead_kib, NULL) < 0)
		results->read_ahead_kib = 0;
}

/* By what the engine's methods read here, in the source's own words. */
static int describe_source(struct bench *bench, struct error *err)
{
	struct io_results *results = bench->results;
	void *arena = aligned_alloc(EXTENT_PAGE, EXTENT_PAGE);
	struct source *source;
	int ret;

	if (!arena)
		return error_no_memory(err, "a read");
	ret = source_open("auto", bench->inputs->path, arena, EXTENT_PAGE,
			  bench->options->queue_depth, &source, err);
	if (ret == 0) {
		strncpy(results->source, source_describe(source), sizeof(results->source) - 1);
		source_close(source);
	}
	free(arena);
	return ret;
}

static void close_bench(struct bench *bench)
{
	extent_file_remove(&bench->file);
	free(bench->wanted);
	free(bench->order);
	free(bench->tokens);
	free(bench->scratch);
}

static int check_methods(const struct io_bench_options *options, struct error *err)
{
	for (size_t i = 0; i < options->n_methods; i++)
		if (!io_method_find(options->methods[i]))
			return error_set(err, -EINVAL, "there is no method '%s'",
					 options->methods[i]);
		else if (io_method_find(options->methods[i])->copies && !(options->copies > 0))
			return error_set(err, -EINVAL, "method '%s' needs copies",
					 options->methods[i]);
	if (!options->reads)
		return 0;
	if (options->n_methods != 1)
		return error_set(err, -EINVAL, "reads are written of one method: name it");
	if (io_method_find(options->methods[0])->replay == io_mmap_replay)
		return error_set(err, -EINVAL,
				 "method '%s' maps the file: there are no reads to write",
				 options->methods[0]);
	return 0;
}

int io_bench_check(const struct io_bench_options *options, struct error *err)
{
	const struct device_cost cost = options->cost;

	if (!options->repeats || !options->tokens || !options->mmap_tokens)
		return error_set(err, -EINVAL, "at least one repeat and one token are needed");
	if (!(options->cache_ratio >= 0 && options->cache_ratio <= 1))
		return error_set(err, -EINVAL, "a cache ratio of %g: has to be from 0 to 1",
				 options->cache_ratio);
	if (!(cost.a_us > 0 && cost.b_us_per_mib > 0 && isfinite(cost.a_us) &&
	      isfinite(cost.b_us_per_mib)))
		return error_set(err, -EINVAL,
				 "a device cost of %g us and %g us per MiB: both have to be more "
				 "than 0",
				 cost.a_us, cost.b_us_per_mib);
	if (!(options->copies >= 0 && options->copies <= 1))
		return error_set(err, -EINVAL, "copies of a share of %g of the bundles: has to be "
				 "from 0 to 1", options->copies);
	if (options->effort >= ORDER_BEST_EFFORTS)
		return error_set(err, -EINVAL, "an effort of %u: has to be from 0 to %d",
				 options->effort, ORDER_BEST_EFFORTS - 1);
	if (!options->queue_depth || options->queue_depth > SOURCE_MAX_QUEUE_DEPTH)
		return error_set(err, -EINVAL, "a queue depth of %u: has to be from 1 to %d",
				 options->queue_depth, SOURCE_MAX_QUEUE_DEPTH);
	return check_methods(options, err);
}

struct io_inputs_options io_bench_inputs(const struct io_bench_options *options)
{
	struct io_inputs_options inputs = {
		.model = options->model,
		.trace = options->trace,
		.n_tokens = options->tokens,
		.cost = options->cost,
		.cache_ratio = options->cache_ratio,
		.bundle_bytes = options->bundle_bytes,
		.effort = options->effort,
	};

	for (size_t i = 0; i < n_io_methods; i++) {
		const struct io_method *method = &io_methods[i];

		if (!is_asked_for(options, method))
			continue;
		inputs.layouts[method->layout] = true;
		if (method->copies)
			inputs.copies = options->copies;
	}
	return inputs;
}

int io_bench(const struct io_bench_options *options, const struct io_inputs *inputs,
	     struct io_results *results, struct progress *progress, struct error *err)
{
	struct bench bench = {
		.options = options,
		.inputs = inputs,
		.results = results,
		.file = { .fd = -1, .map = MAP_FAILED },
	};
	int ret = io_bench_check(options, err);

	*results = (struct io_results){ 0 };
	if (ret < 0)
		return ret;
	random_seed(&bench.random, options->seed);
	describe_inputs(&bench);
	ret = make_results(&bench, err);
	if (ret == 0)
		ret = open_file(&bench, err);
	if (ret == 0)
		ret = describe_source(&bench, err);
	if (ret == 0) {
		for (size_t i = 0; i < n_io_methods; i++)
			bench.wanted[i] = is_asked_for(options, &io_methods[i]);
		ret = take_turns(&bench, progress, err);
	}
	if (ret == 0)
		ret = drop_unmeasured(&bench, err);
	close_bench(&bench);
	if (ret < 0)
		io_results_free(results);
	return ret;
}

void io_results_free(struct io_results *results)
{
	for (size_t i = 0; results->results && i < results->n; i++) {
		free(results->results[i].samples);
		free(results->results[i].io_ms);
	}
	free(results->results);
	free(results->missing);
	*results = (struct io_results){ 0 };
}
