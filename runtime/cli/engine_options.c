// SPDX-License-Identifier: GPL-2.0-only
#include "cli/engine_options.h"

#include <string.h>

#include "base/thread_pool.h"
#include "storage/cache.h"
#include "storage/source.h"

struct engine_options engine_defaults(void)
{
	return (struct engine_options){
		.io = "auto",
		.read_ahead_kib = ENGINE_READ_AHEAD_OF_DEVICE,
		.after_use = "keep",
		.cache_ratio = ENGINE_CACHE_BY_DEFAULT,
		.memory = ENGINE_NO_BUDGET,
		.cache_policy = CACHE_DEFAULT_POLICY,
		.gap_bytes = ENGINE_GAP_BY_COST,
		.device_cost = "fixed",
	};
}

size_t engine_add_store_specs(struct engine_options *options, struct option_spec *specs, size_t n)
{
	specs[n++] = (struct option_spec){ "io", 0, OPTION_STRING, &options->io,
		"SOURCE: auto, kernel, uring, mmap or pread (auto)" };
	specs[n++] = (struct option_spec){ "read-ahead", 0, OPTION_U32, &options->read_ahead_kib,
		"KIB: around a page fault of --io mmap; 0: none (the device's)" };
	specs[n++] = (struct option_spec){ "after-use", 0, OPTION_STRING, &options->after_use,
		"HOW: --io kernel: keep long runs in the page cache, cold or drop (keep)" };
	specs[n++] = (struct option_spec){ "cache-ratio", 0, OPTION_REAL, &options->cache_ratio,
		"R: share of all bundles kept in DRAM, 0 to 1 (0.05; --io kernel: 0)" };
	specs[n++] = (struct option_spec){ "memory", 0, OPTION_BYTES, &options->memory,
		"BYTES: stay within this (K, M, G); what is left over is for bundles" };
	specs[n++] = (struct option_spec){ "cache-policy", 0, OPTION_STRING, &options->cache_policy,
		"NAME: clock, lru, layer-lru, s3-fifo, linked or forecast (" CACHE_DEFAULT_POLICY ")" };
	specs[n++] = (struct option_spec){ "cache-hot", 0, OPTION_REAL, &options->cache_hot,
		"S: share of that kept for the most frequent neurons, 0 to 1 (0)" };
	specs[n++] = (struct option_spec){ "queue-depth", 0, OPTION_U32, &options->queue_depth,
		"N: most reads in flight (256)" };
	specs[n++] = (struct option_spec){ "gap", 0, OPTION_U64, &options->gap_bytes,
		"BYTES: read over gaps of at most this (what costs as much as an I/O)" };
	specs[n++] = (struct option_spec){ "device-cost", 0, OPTION_STRING, &options->device_cost,
		"HOW: fixed, or refine it by how long reads take (fixed)" };
	return n;
}

size_t engine_add_specs(struct engine_options *options, struct option_spec *specs, size_t n)
{
	specs[n++] = (struct option_spec){ "threads", 't', OPTION_U32, &options->threads,
		"N: threads that compute (one per CPU)" };
	specs[n++] = (struct option_spec){ "batch", 0, OPTION_U32, &options->batch,
		"N: tokens of a prompt that pass a layer together (256)" };
	return engine_add_store_specs(options, specs, n);
}

static bool refines(const struct engine_options *options)
{
	return !strcmp(options->device_cost, "refine");
}

/* False when there is no such word. */
static bool find_after_use(const char *word, enum source_after_use *after_use)
{
	static const char *const words[] = {
		[SOURCE_KEEP] = "keep", [SOURCE_COLD] = "cold", [SOURCE_DROP] = "drop",
	};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		*after_use = (enum source_after_use)i;
		if (!strcmp(word, words[i]))
			return true;
	}
	return false;
}

int engine_check(const struct command *command, const struct engine_options *options)
{
	static const char *const sources[] = { "auto", "kernel", "uring", "mmap", "pread" };
	enum source_after_use after_use;
	bool known = false;

	for (size_t i = 0; i < COUNT_OF(sources); i++)
		known |= !strcmp(options->io, sources[i]);
	if (!known)
		return usage_error(command, "--io %s: has to be auto, kernel, uring, mmap or "
				   "pread", options->io);
	if (options->read_ahead_kib != ENGINE_READ_AHEAD_OF_DEVICE && strcmp(options->io, "mmap"))
		return usage_error(command, "--read-ahead: only --io mmap has one");
	if (!find_after_use(options->after_use, &after_use))
		return usage_error(command, "--after-use %s: has to be keep, cold or drop",
				   options->after_use);
	if (!isnan(options->cache_ratio) &&
	    !(options->cache_ratio >= 0 && options->cache_ratio <= 1))
		return usage_error(command, "--cache-ratio %g: has to be from 0 to 1",
				   options->cache_ratio);
	if (!cache_policy_is_known(options->cache_policy))
		return usage_error(command, "--cache-policy %s: has to be clock, lru, "
				   "layer-lru, s3-fifo, linked or forecast", options->cache_policy);
	if (!(options->cache_hot >= 0 && options->cache_hot <= 1))
		return usage_error(command, "--cache-hot %g: has to be from 0 to 1",
				   options->cache_hot);
	if (options->threads > THREAD_POOL_MAX)
		return usage_error(command, "--threads %u: has to be at most %d",
				   options->threads, THREAD_POOL_MAX);
	if (options->queue_depth > SOURCE_MAX_QUEUE_DEPTH)
		return usage_error(command, "--queue-depth %u: has to be at most %d",
				   options->queue_depth, SOURCE_MAX_QUEUE_DEPTH);
	if (strcmp(options->device_cost, "fixed") != 0 && !refines(options))
		return usage_error(command, "--device-cost %s: has to be fixed or refine",
				   options->device_cost);
	if (refines(options) && options->gap_bytes != ENGINE_GAP_BY_COST)
		return usage_error(command, "--gap with --device-cost refine: the gap follows the "
				   "cost then, give one of the two");
	return -1;
}

bool engine_page_cache_keeps(const char *source)
{
	return !strcmp(source, "kernel");
}

void engine_set_source(const struct engine_options *options, const char *source,
		       struct bundle_store_options *store)
{
	store->source = source;
	store->cache_ratio = options->cache_ratio;
	if (isnan(options->cache_ratio))
		store->cache_ratio = engine_page_cache_keeps(source) ? 0 : ENGINE_CACHE_RATIO;
}

struct bundle_store_options engine_store_options(const struct engine_options *options,
						 struct device_cost cost)
{
	uint64_t gap = options->gap_bytes;
	struct bundle_store_options store = {
		.cache_policy = options->cache_policy,
		.hot_share = options->cache_hot,
		.queue_depth = options->queue_depth,
		.own_read_ahead = options->read_ahead_kib != ENGINE_READ_AHEAD_OF_DEVICE,
		.read_ahead_kib = options->read_ahead_kib,
		.cost = cost,
		.refine_cost = refines(options),
		.gap_bytes = gap == ENGINE_GAP_BY_COST ? device_break_even_bytes(cost) : gap,
	};

	find_after_use(options->after_use, &store.after_use);
	engine_set_source(options, options->io, &store);
	return store;
}
