// SPDX-License-Identifier: GPL-2.0-only
#include "bench/touch_bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/clock.h"
#include "bench/extent_file.h"
#include "bench/memory_hog.h"
#include "bench/token_slots.h"
#include "kernel/kernel_device.h"
#include "kernel/link_loader.h"
#include "kernel/link_policy.h"
#include "kernel/module_counts.h"

struct bench {
	const struct touch_bench_options *options;
	struct touch_results *results;
	struct token_slots slots;
	struct extent_file file;
	struct link_hints hints; /* with the geometry of `file` */
	int device; /* -1: link_prefetch is not to be had */
	struct link_loader *loader; /* NULL then */
	uint32_t region;
	struct link_file key;
	uint64_t sum; /* what is computed; of no use but to be computed */
};

static uint64_t bundle_offset(const struct bench *bench, uint32_t layer, size_t slot)
{
	return ((uint64_t)layer * bench->slots.n_slots + slot) * bench->options->bundle_bytes;
}

/* Every byte of the bundle, once. */
static uint64_t compute(const struct bench *bench, const uint8_t *bundle)
{
	uint64_t sum = 0, word;

	for (uint32_t i = 0; i < bench->options->bundle_bytes; i += sizeof(word)) {
		memcpy(&word, &bundle[i], sizeof(word));
		sum += word;
	}
	return sum;
}

static int one_layer(struct bench *bench, uint32_t token, uint32_t layer,
		     struct touch_sample *sample, struct error *err)
{
	const uint64_t *set = token_slots_of(&bench->slots, token, layer);
	const size_t n = bench->slots.n_slots;

	for (size_t slot = bits_next(set, n, 0); slot < n; slot = bits_next(set, n, slot + 1)) {
		const struct extent bundle = {
			.offset = bundle_offset(bench, layer, slot),
			.bytes = bench->options->bundle_bytes,
		};
		double begin = clock_ms(), touched;
		int ret = extent_file_use(&bench->file, &bundle, 1, err);

		if (ret < 0)
			return ret;
		touched = clock_ms();
		bench->sum += compute(bench, &bench->file.map[bundle.offset]);
		sample->stall_ms_per_token += touched - begin;
		sample->compute_ms_per_token += clock_ms() - touched;
	}
	return 0;
}

static int all_tokens(struct bench *bench, struct touch_sample *sample, struct error *err)
{
	for (uint32_t token = 0; token < bench->slots.n_tokens; token++) {
		for (uint32_t layer = 0; layer < bench->slots.n_layers; layer++) {
			int ret = one_layer(bench, token, layer, sample, err);

			if (ret < 0)
				return ret;
		}
	}
	return 0;
}

static uint64_t major_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_majflt;
}

/* What there is to count, at one moment. */
struct counts {
	struct device_reads device;
	struct module_counts module; /* all 0 without the module */
	uint64_t faults;
};

static int count(struct bench *bench, struct counts *counts, struct error *err)
{
	*counts = (struct counts){ .faults = major_faults() };
	if (bench->device >= 0) {
		int ret = module_counts_read(&counts->module, err);

		if (ret < 0)
			return ret;
	}
	return extent_file_device_reads(&bench->file, &counts->device, err);
}

static int measure(struct bench *bench, struct touch_sample *sample, struct error *err)
{
	const double tokens = bench->slots.n_tokens;
	struct counts before, after;
	uint64_t resident;
	int ret;

	*sample = (struct touch_sample){ 0 };
	ret = extent_file_evict(&bench->file, err);
	if (ret == 0)
		ret = count(bench, &before, err);
	if (ret == 0)
		ret = all_tokens(bench, sample, err);
	if (ret == 0)
		ret = count(bench, &after, err);
	if (ret == 0)
		ret = extent_file_resident(&bench->file, &resident, err);
	if (ret < 0)
		return ret;
	sample->stall_ms_per_token /= tokens;
	sample->compute_ms_per_token /= tokens;
	sample->faults_per_token = (after.faults - before.faults) / tokens;
	sample->ios_per_token = (after.device.ios - before.device.ios) / tokens;
	sample->bytes_per_token = (after.device.bytes - before.device.bytes) / tokens;
	sample->prefetched_bytes_per_token =
		(after.module.bytes_read - before.module.bytes_read) / tokens;
	sample->given_up_bytes_per_token =
		(after.module.bytes_given_up - before.module.bytes_given_up) / tokens;
	sample->resident_bytes = resident;
	return 0;
}

static int as_it_is(struct bench *bench, struct touch_sample *sample, struct error *err)
{
	return measure(bench, sample, err);
}

static int with_random_advice(struct bench *bench, struct touch_sample *sample, struct error *err)
{
	int ret;

	madvise((void *)bench->file.map, bench->file.bytes, MADV_RANDOM);
	ret = measure(bench, sample, err);
	madvise((void *)bench->file.map, bench->file.bytes, MADV_NORMAL);
	return ret;
}

static int with_links(struct bench *bench, struct touch_sample *sample, struct error *err)
{
	int ret;

	ret = link_loader_attach(bench->loader, &bench->key, bench->region, err);
	if (ret == 0)
		ret = measure(bench, sample, err);
	link_loader_detach(bench->loader);
	return ret;
}

/* What needs the module comes last. */
static const struct way {
	const char *name;
	int (*measure)(struct bench *bench, struct touch_sample *sample, struct error *err);
} ways[] = {
	{ "mmap", as_it_is },
	{ "mmap-random", with_random_advice },
	{ "mmap+bpf", with_links },
};

enum { WAYS = sizeof(ways) / sizeof(ways[0]), WAYS_WITHOUT_MODULE = WAYS - 1 };

/* The model's hints, for bundles of another size, one layer directly after the other. */
static int make_hints(struct bench *bench, const struct model_file *model, struct error *err)
{
	int ret;

	if (model_has_copies(&model->config))
		return error_set(err, -EINVAL, "%s: has copies of bundles; take a file without",
				 gguf_path(model->gguf));
	ret = link_hints_read(model, bench->options->gap_bytes, &bench->hints, err);
	if (ret < 0)
		return ret;
	for (uint32_t layer = 0; layer < bench->hints.n_layers; layer++) {
		bench->hints.layers[layer].offset = bundle_offset(bench, layer, 0);
		bench->hints.layers[layer].stride = bench->options->bundle_bytes;
	}
	return 0;
}

static int register_file(struct bench *bench, struct error *err)
{
	struct colink_layer *layers = link_hints_geometry(&bench->hints);
	struct colink_register args = {
		.fd = bench->file.fd,
		.n_layers = bench->hints.n_layers,
		.layers = (uintptr_t)layers,
		.gap_bytes = bench->options->gap_bytes,
	};
	int ret;

	if (!layers)
		return error_no_memory(err, "the geometry of layers");
	ret = kernel_device_register_args(bench->device, bench->file.path, &args, &bench->region,
					  err);
	free(layers);
	bench->key = (struct link_file){ .inode = args.inode, .device = args.device };
	return ret;
}

/* While there is memory for it: what libbpf needs is more than some models are left. */
static int load_policy(struct bench *bench, struct error *err)
{
	const struct link_policy wanted = {
		.threshold = bench->options->threshold,
		.max_run = LINK_POLICY_DEFAULT,
		.max_hot = bench->options->max_hot,
		.read_around = bench->options->read_around,
	};
	const struct link_policy policy =
		link_policy_defaults(&wanted, &bench->hints, bench->options->gap_bytes);

	return link_loader_open(&bench->hints, &policy, bench->file.path, &bench->loader, err);
}

/* Without the module there is less to measure, which is no failure. */
static int open_module(struct bench *bench, struct error *err)
{
	struct error missing = { 0 };
	int ret;

	if (kernel_device_open(&bench->device, &missing) < 0) {
		bench->device = -1;
		memcpy(bench->results->missing, missing.message, sizeof(missing.message));
		bench->results->n = WAYS_WITHOUT_MODULE;
		return 0;
	}
	ret = register_file(bench, err);
	return ret < 0 ? ret : load_policy(bench, err);
}

static int read_inputs(struct bench *bench, struct error *err)
{
	const struct touch_bench_options *options = bench->options;
	struct model_file *model;
	struct trace *trace;
	int ret;

	ret = model_file_open(options->model, &model, err);
	if (ret < 0)
		return ret;
	ret = trace_open(options->trace, &trace, err);
	if (ret == 0) {
		ret = token_slots_read(model, trace, options->trace, 0,
				       options->tokens, &bench->slots, err);
		trace_close(trace);
	}
	if (ret == 0)
		ret = make_hints(bench, model, err);
	model_file_close(model);
	return ret;
}

static int make_results(struct touch_results *results, uint32_t repeats, struct error *err)
{
	results->results = calloc(WAYS, sizeof(*results->results));
	if (!results->results)
		return error_no_memory(err, "results");
	results->n = WAYS;
	for (size_t i = 0; i < WAYS; i++) {
		results->results[i].name = ways[i].name;
		results->results[i].samples = calloc(repeats, sizeof(struct touch_sample));
		if (!results->results[i].samples)
			return error_no_memory(err, "samples");
	}
	return 0;
}

static void describe(const struct bench *bench)
{
	const struct token_slots *slots = &bench->slots;
	size_t sets = (size_t)slots->n_tokens * slots->n_layers;

	bench->results->tokens = slots->n_tokens;
	bench->results->file_bytes = bench->file.bytes;
	bench->results->wanted_bytes_per_token =
		bits_count(slots->sets, sets * bits_words(slots->n_slots)) *
		bench->options->bundle_bytes / slots->n_tokens;
}

static int take_turns(struct bench *bench, struct progress *progress, struct error *err)
{
	const uint32_t repeats = bench->options->repeats;
	const size_t n = bench->results->n;
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < repeats * n; i++) {
		ret = ways[i % n].measure(bench, &bench->results->results[i % n].samples[i / n],
					  err);
		progress_report(progress, i + 1, repeats * n);
	}
	return ret;
}

int touch_bench_check(const struct touch_bench_options *options, struct error *err)
{
	if (!options->repeats || !options->tokens)
		return error_set(err, -EINVAL, "at least one repeat and one token are needed");
	if (!options->bundle_bytes || options->bundle_bytes % EXTENT_PAGE)
		return error_set(err, -EINVAL,
				 "bundles of %u bytes: have to be of whole pages, of %d bytes",
				 options->bundle_bytes, EXTENT_PAGE);
	return 0;
}

static void close_bench(struct bench *bench)
{
	link_loader_close(bench->loader);
	if (bench->device >= 0)
		close(bench->device);
	extent_file_remove(&bench->file);
	link_hints_free(&bench->hints);
	token_slots_free(&bench->slots);
}

int touch_bench(const struct touch_bench_options *options, struct touch_results *results,
		struct progress *progress, struct error *err)
{
	struct bench bench = { .options = options, .results = results, .device = -1 };
	struct memory_hog hog = { 0 };
	int ret;

	*results = (struct touch_results){ 0 };
	ret = touch_bench_check(options, err);
	if (ret == 0)
		ret = make_results(results, options->repeats, err);
	if (ret == 0)
		ret = read_inputs(&bench, err);
	if (ret == 0)
		ret = extent_file_create(options->directory,
					 bundle_offset(&bench, bench.slots.n_layers, 0),
					 &bench.file, err);
	if (ret == 0)
		ret = extent_file_evict(&bench.file, err);
	if (ret == 0)
		ret = open_module(&bench, err);
	if (ret == 0 && options->leave_bytes)
		ret = memory_hog_take(&hog, options->leave_bytes, err);
	if (ret == 0) {
		describe(&bench);
		ret = take_turns(&bench, progress, err);
	}
	memory_hog_release(&hog);
	close_bench(&bench);
	if (ret < 0)
		touch_results_free(results);
	return ret;
}

void touch_results_free(struct touch_results *results)
{
	for (size_t i = 0; results->results && i < WAYS; i++)
		free(results->results[i].samples);
	free(results->results);
	*results = (struct touch_results){ 0 };
}
