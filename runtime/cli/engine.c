// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "cli/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory_room.h"
#include "base/proc_memory.h"
#include "base/thread_pool.h"
#include "infer/model_store.h"
#include "storage/bundle_places.h"
#include "storage/cache.h"
#include "storage/device_identity.h"
#include "storage/known_devices.h"
#include "storage/source.h"

/* A text to learn from or to measure on; beyond this it is surely the wrong file. */
#define MAX_TEXT_BYTES ((size_t)1 << 32)

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

size_t engine_add_specs(struct engine_options *options, struct option_spec *specs, size_t n)
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
	specs[n++] = (struct option_spec){ "threads", 't', OPTION_U32, &options->threads,
		"N: threads that compute (one per CPU)" };
	specs[n++] = (struct option_spec){ "batch", 0, OPTION_U32, &options->batch,
		"N: tokens of a prompt that pass a layer together (256)" };
	specs[n++] = (struct option_spec){ "queue-depth", 0, OPTION_U32, &options->queue_depth,
		"N: most reads in flight (256)" };
	specs[n++] = (struct option_spec){ "gap", 0, OPTION_U64, &options->gap_bytes,
		"BYTES: read over gaps of at most this (what costs as much as an I/O)" };
	specs[n++] = (struct option_spec){ "device-cost", 0, OPTION_STRING, &options->device_cost,
		"HOW: fixed, or refine it by how long reads take (fixed)" };
	return n;
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

/* With these the page cache keeps bundles, and nobody else has to. */
static bool page_cache_keeps(const char *source)
{
	return !strcmp(source, "kernel");
}

/* By a source that was named, or chosen. */
static void set_source(const struct engine_options *options, const char *source,
		       struct bundle_store_options *store)
{
	store->source = source;
	store->cache_ratio = options->cache_ratio;
	if (isnan(options->cache_ratio))
		store->cache_ratio = page_cache_keeps(source) ? 0 : ENGINE_CACHE_RATIO;
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
	set_source(options, options->io, &store);
	return store;
}

/* What colink bench device has found, where it was run. */
static void find_cost(const char *path, struct engine *engine)
{
	struct device_identity identity;
	struct error err;
	char *table;
	int ret;

	engine->cost = DEVICE_COST_UFS4;
	if (device_identity_of(path, &identity, NULL) < 0 || known_devices_path(&table, NULL) < 0)
		return;
	ret = known_devices_find(table, identity.id, &engine->cost, NULL, &err);
	engine->cost_measured = ret == 1;
	if (ret < 0)
		fprintf(stderr, "colink: %s; it is ignored\n", err.message);
	free(table);
}

int engine_open(const char *path, struct engine *engine, struct error *err)
{
	int ret;

	memset(engine, 0, sizeof(*engine));
	ret = model_open(path, &engine->model, err);
	if (ret == 0)
		find_cost(path, engine);
	return ret;
}

/* Within the budget, if there is one. */
static int plan_memory(struct engine *engine, const struct engine_options *options,
		       uint64_t work_bytes, struct session_options *session_options,
		       struct error *err)
{
	struct memory_budget budget = {
		.bytes = options->memory,
		.keep_cache_ratio = !isnan(options->cache_ratio) ||
				    page_cache_keeps(session_options->store.source),
	};
	const struct memory_user user = memory_user_session(engine->model, session_options);
	struct memory_base base = { .caller_bytes = work_bytes };

	/* Where the kernel does not tell, there are only the allowances to go by. */
	proc_memory_read(&base.now);
	engine->budget = options->memory;
	if (options->memory == ENGINE_NO_BUDGET)
		return memory_plan(&user, &base, &engine->planned, err);
	return memory_fit(&user, &budget, &base, &engine->planned, err);
}

/* What the page cache can have when the program has all that was planned, but for bundles. */
static uint64_t room_beside(const struct memory_parts *planned)
{
	uint64_t room = memory_room(&MEMORY_ROOM_SOURCES);
	uint64_t own = memory_parts_sum(planned) - planned->cache - planned->tables;

	return room > own ? room - own : 0;
}

/* For a plan that was made: which source --io auto is. */
static void choose_source(struct engine *engine, const struct engine_options *options,
			  struct session_options *session_options)
{
	const struct bundle_geometry geometry = model_store_geometry(engine->model->file);
	const struct source_situation situation = {
		.path = gguf_path(engine->model->file->gguf),
		.bundle_bytes = (uint64_t)geometry.n_layers * bundle_positions(&geometry) *
				geometry.stride,
		.stride = geometry.stride,
		.cost = engine->cost,
		.cache_ratio = session_options->store.cache_ratio,
		.room_bytes = room_beside(&engine->planned),
		.sweeps = session_options->mode != SESSION_SPARSE,
		.limited = options->memory != ENGINE_NO_BUDGET,
	};

	source_choose(&situation, &engine->choice);
	engine->chosen = true;
	set_source(options, engine->choice.name, &session_options->store);
}

int engine_start(struct engine *engine, const struct engine_options *options,
		 const struct engine_work *work, struct error *err)
{
	struct session_options session_options = {
		.mode = work->mode,
		.threads = options->threads,
		.max_tokens = work->max_tokens,
		.max_batch = options->batch,
		.store = engine_store_options(options, engine->cost),
	};
	int ret;

	ret = plan_memory(engine, options, work->bytes, &session_options, err);
	if (ret == 0 && !strcmp(options->io, "auto")) {
		choose_source(engine, options, &session_options);
		/* The sources of "auto" take what was planned. */
		if (strcmp(engine->choice.name, "auto") != 0)
			ret = plan_memory(engine, options, work->bytes, &session_options, err);
	}
	if (ret == 0)
		ret = model_load_weights(engine->model, err);
	if (ret < 0)
		return ret;
	ret = session_open(engine->model, &session_options, &engine->session, err);
	if (ret == 0)
		ret = usage_create(&engine->model->config, &engine->usage, err);
	if (ret < 0)
		return ret;
	session_observe(engine->session, &engine->usage->observer);
	ret = cpu_time_begin(&engine->cpu_time, err);
	/*
	 * Without these counts "kernel" is left out; nothing depends on it. They begin last and
	 * end first, since to read others is to read.
	 */
	engine->kernel_counts = proc_io_read(&engine->before) == 0;
	return ret;
}

void engine_close(struct engine *engine)
{
	session_close(engine->session);
	usage_free(engine->usage);
	cpu_time_free(engine->cpu_time);
	model_unload(engine->model);
	memset(engine, 0, sizeof(*engine));
}

int engine_encode(const struct model *model, const char *text, bool add_bos, uint32_t **ids,
		  size_t *count, struct error *err)
{
	int ret = tokenizer_encode(model->tokenizer, text, strlen(text), add_bos, ids, count, err);

	if (ret == 0 && *count == 0) {
		free(*ids);
		*ids = NULL;
		return error_set(err, -EINVAL, "the text has no tokens");
	}
	return ret;
}

static int append_ids(uint32_t **ids, size_t *count, const uint32_t *more, size_t n_more,
		      struct error *err)
{
	uint32_t *larger = realloc(*ids, (*count + n_more + 1) * sizeof(*larger));

	if (!larger)
		return error_no_memory(err, "token ids");
	memcpy(larger + *count, more, n_more * sizeof(*more));
	*ids = larger;
	*count += n_more;
	return 0;
}

int engine_encode_files(const struct tokenizer *tokenizer, const struct string_list *files,
			uint32_t **ids, size_t *count, struct error *err)
{
	int ret = 0;

	*ids = NULL;
	*count = 0;
	for (size_t i = 0; i < files->count && ret == 0; i++) {
		struct error why = { 0 };
		uint32_t *more = NULL;
		char *text;
		size_t length, n_more;

		ret = file_read_text(files->values[i], MAX_TEXT_BYTES, &text, &length, err);
		if (ret < 0)
			break;
		ret = tokenizer_encode(tokenizer, text, length, false, &more, &n_more, &why);
		if (ret < 0)
			error_set(err, ret, "%s: %s", files->values[i], why.message);
		else
			ret = append_ids(ids, count, more, n_more, err);
		free(more);
		free(text);
	}
	if (ret < 0) {
		free(*ids);
		*ids = NULL;
	}
	return ret;
}

static double per(double amount, double count)
{
	return count > 0 ? amount / count : 0;
}

static void add_kernel_counts(json_t *object, const struct engine *engine)
{
	const struct proc_io *before = &engine->before;
	struct proc_io now;

	if (!engine->kernel_counts || proc_io_read(&now) < 0)
		return;
	json_object_set_new(object, "kernel", json_pack("{s:I, s:I, s:I}",
		"read_bytes", (json_int_t)(now.read_bytes - before->read_bytes),
		"rchar", (json_int_t)(now.rchar - before->rchar),
		"syscr", (json_int_t)(now.syscr - before->syscr)));
}

json_t *engine_device_json(const struct engine *engine)
{
	const char *source = engine->cost_measured ? "measured" : "published";
	struct device_cost cost;
	uint64_t gap_bytes;

	if (bundle_store_cost(session_store(engine->session), &cost, &gap_bytes))
		source = "refined";
	return json_pack("{s:f, s:f, s:I, s:s}",
		"a_us", cost.a_us,
		"b_us_per_mib", cost.b_us_per_mib,
		"gap_bytes", (json_int_t)gap_bytes,
		"source", source);
}

static uint64_t cached_bundles(const struct engine *engine)
{
	return engine->planned.cache / model_bundle_stride(&engine->model->config);
}

static double cached_share(const struct engine *engine)
{
	const struct model_config *config = &engine->model->config;

	return per((double)cached_bundles(engine), (double)config->n_layers * config->n_ffn);
}

json_t *engine_memory_json(const struct engine *engine)
{
	const struct memory_parts *planned = &engine->planned;
	struct proc_memory now;

	proc_memory_read(&now);
	return json_pack("{s:o, s:o, s:{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}, s:i, s:o, s:f, "
			 "s:o}",
		"budget_bytes", json_u64(engine->budget),
		"planned_bytes", json_u64(memory_parts_sum(planned)),
		"planned",
		"program", json_u64(planned->program),
		"weights", json_u64(planned->weights),
		"keys_values", json_u64(planned->keys_values),
		"scratch", json_u64(planned->scratch),
		"staging", json_u64(planned->staging),
		"cache", json_u64(planned->cache),
		"cache_tables", json_u64(planned->tables),
		"kernel", json_u64(planned->kernel),
		"batch", (int)session_max_batch(engine->session),
		"cache_bundles", json_u64(cached_bundles(engine)),
		"cache_ratio", cached_share(engine),
		"peak_bytes", json_u64(now.peak_bytes));
}

void engine_show_memory(const struct engine *engine)
{
	const struct memory_parts *planned = &engine->planned;
	char budget[HUMAN_SIZE], cache[HUMAN_SIZE], staging[HUMAN_SIZE], peak[HUMAN_SIZE];
	struct proc_memory now;

	proc_memory_read(&now);
	fprintf(stderr,
		"memory: %s at most, %s allowed; cache of %s (%llu bundles, %.1f %% of all), "
		"%s of staging, batches of %u\n",
		human_bytes(now.peak_bytes, peak), human_bytes(engine->budget, budget),
		human_bytes(planned->cache, cache), (unsigned long long)cached_bundles(engine),
		100 * cached_share(engine), human_bytes(planned->staging, staging),
		session_max_batch(engine->session));
}

/* Left out where it is not known. */
static void add_cpu_time(json_t *object, const struct engine *engine, double tokens)
{
	uint64_t process_ns, kernel_ns;
	bool kernel_known;

	if (cpu_time_end(engine->cpu_time, &process_ns, &kernel_ns, &kernel_known, NULL) < 0)
		return;
	json_object_set_new(object, "cpu_ms_per_token",
			    json_real(per((double)process_ns * 1e-6, tokens)));
	if (kernel_known)
		json_object_set_new(object, "kernel_cpu_ms_per_token",
				    json_real(per((double)kernel_ns * 1e-6, tokens)));
}

char *engine_describe_source(const struct engine *engine)
{
	const char *detail = bundle_store_describe(session_store(engine->session));
	char *text;

	if (asprintf(&text, "%s%s%s", detail, engine->chosen ? "; auto: " : "",
		     engine->chosen ? engine->choice.reason : "") < 0)
		return NULL;
	return text;
}

json_t *engine_io_json(const struct engine *engine, const struct bundle_store_stats *stats)
{
	const struct bundle_store *store = session_store(engine->session);
	double tokens = (double)engine->usage->n_tokens;
	json_t *object;

	object = json_pack("{s:s, s:s, s:s?, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
		"source", bundle_store_source_name(store),
		"detail", bundle_store_describe(store),
		"chosen", engine->chosen ? engine->choice.reason : NULL,
		"cache_policy", bundle_store_cache_policy(store),
		"reads", (json_int_t)stats->reads,
		"bytes", (json_int_t)stats->bytes,
		"wanted_bytes", (json_int_t)stats->wanted_bytes,
		"run_length_mean", per((double)stats->run_bundles, (double)stats->runs),
		"wait_ms_per_token", per((double)stats->wait_ns * 1e-6, tokens),
		"cache_hit_share",
		per((double)stats->cached_bundles, (double)stats->wanted_bundles),
		"reads_per_token", per((double)stats->reads, tokens),
		"bytes_per_token", per((double)stats->bytes, tokens),
		"unused_share", per((double)stats->unused_bytes, (double)stats->bytes),
		"predicted_ms_per_token", per(stats->predicted_us * 1e-3, tokens));
	add_kernel_counts(object, engine);
	add_cpu_time(object, engine, tokens);
	json_object_set_new(object, "device", engine_device_json(engine));
	return object;
}

double engine_read_share(const struct engine *engine, const struct bundle_store_stats *stats)
{
	const struct model_config *config = &engine->model->config;

	return per((double)stats->bytes, (double)engine->usage->n_tokens * config->n_layers *
						 config->n_ffn * model_bundle_stride(config));
}
