// SPDX-License-Identifier: GPL-2.0-only
#include "cli/engine_io.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory_room.h"
#include "base/proc_memory.h"
#include "infer/model_store.h"
#include "storage/bundle_places.h"
#include "storage/device_identity.h"
#include "storage/known_devices.h"

/* What colink bench device has found, where it was run. */
static void find_cost(struct engine_io *io)
{
	const char *path = gguf_path(io->file->gguf);
	struct device_identity identity;
	struct error err;
	char *table;
	int ret;

	io->cost = DEVICE_COST_UFS4;
	if (device_identity_of(path, &identity, NULL) < 0 || known_devices_path(&table, NULL) < 0)
		return;
	ret = known_devices_find(table, identity.id, &io->cost, NULL, &err);
	io->cost_measured = ret == 1;
	if (ret < 0)
		fprintf(stderr, "colink: %s; it is ignored\n", err.message);
	free(table);
}

void engine_io_open(struct engine_io *io, const struct model_file *file)
{
	*io = (struct engine_io){ .file = file };
	find_cost(io);
}

/* Within the budget, if there is one. */
static int plan_memory(struct engine_io *io, const struct engine_options *options,
		       const struct memory_user *user, uint64_t caller_bytes, struct error *err)
{
	const struct memory_budget budget = {
		.bytes = options->memory,
		.keep_cache_ratio = !isnan(options->cache_ratio) ||
				    engine_page_cache_keeps(user->store->source),
	};
	struct memory_base base = { .caller_bytes = caller_bytes };

	/* Where the kernel does not tell, there are only the allowances to go by. */
	proc_memory_read(&base.now);
	io->budget = options->memory;
	if (options->memory == ENGINE_NO_BUDGET)
		return memory_plan(user, &base, &io->planned, err);
	return memory_fit(user, &budget, &base, &io->planned, err);
}

/* What the page cache can have when the program has all that was planned, but for bundles. */
static uint64_t room_beside(const struct memory_parts *planned)
{
	uint64_t room = memory_room(&MEMORY_ROOM_SOURCES);
	uint64_t own = memory_parts_sum(planned) - planned->cache - planned->tables;

	return room > own ? room - own : 0;
}

/* For a plan that was made: which source --io auto is. */
static void choose_source(struct engine_io *io, const struct engine_options *options,
			  const struct memory_user *user)
{
	const struct bundle_geometry geometry = model_store_geometry(io->file);
	const struct source_situation situation = {
		.path = gguf_path(io->file->gguf),
		.bundle_bytes = (uint64_t)geometry.n_layers * bundle_positions(&geometry) *
				geometry.stride,
		.stride = geometry.stride,
		.cost = io->cost,
		.cache_ratio = user->store->cache_ratio,
		.room_bytes = room_beside(&io->planned),
		.sweeps = user->session && user->session->mode != SESSION_SPARSE,
		.limited = options->memory != ENGINE_NO_BUDGET,
	};

	source_choose(&situation, &io->choice);
	io->chosen = true;
}

int engine_io_plan(struct engine_io *io, const struct engine_options *options,
		   const struct memory_user *user, uint64_t caller_bytes, struct error *err)
{
	bool choose = !strcmp(options->io, "auto");
	int ret;

	/* Known without a plan, which would be one for what needs more. */
	if (choose && source_is_in_memory(gguf_path(io->file->gguf)))
		engine_set_source(options, "mmap", user->store);
	ret = plan_memory(io, options, user, caller_bytes, err);
	if (ret == 0 && choose) {
		choose_source(io, options, user);
		/* Else what was planned is taken, its cache included. */
		if (strcmp(io->choice.name, user->store->source) != 0) {
			engine_set_source(options, io->choice.name, user->store);
			ret = plan_memory(io, options, user, caller_bytes, err);
		}
	}
	io->batch = user->session ? session_planned_batch(user->model, user->session) : 1;
	return ret;
}

int engine_io_begin(struct engine_io *io, const struct bundle_store *store, struct error *err)
{
	int ret = cpu_time_begin(&io->cpu_time, err);

	io->store = store;
	/*
	 * Without these counts "kernel" is left out; nothing depends on it. They begin last and
	 * end first, since to read others is to read.
	 */
	io->kernel_counts = proc_io_read(&io->before) == 0;
	return ret;
}

void engine_io_close(struct engine_io *io)
{
	cpu_time_free(io->cpu_time);
	memset(io, 0, sizeof(*io));
}

static double per(double amount, double count)
{
	return count > 0 ? amount / count : 0;
}

static void add_kernel_counts(json_t *object, const struct engine_io *io)
{
	const struct proc_io *before = &io->before;
	struct proc_io now;

	if (!io->kernel_counts || proc_io_read(&now) < 0)
		return;
	json_object_set_new(object, "kernel", json_pack("{s:I, s:I, s:I}",
		"read_bytes", (json_int_t)(now.read_bytes - before->read_bytes),
		"rchar", (json_int_t)(now.rchar - before->rchar),
		"syscr", (json_int_t)(now.syscr - before->syscr)));
}

json_t *engine_device_json(const struct engine_io *io)
{
	const char *source = io->cost_measured ? "measured" : "published";
	struct device_cost cost;
	uint64_t gap_bytes;

	if (bundle_store_cost(io->store, &cost, &gap_bytes))
		source = "refined";
	return json_pack("{s:f, s:f, s:I, s:s}",
		"a_us", cost.a_us,
		"b_us_per_mib", cost.b_us_per_mib,
		"gap_bytes", (json_int_t)gap_bytes,
		"source", source);
}

static uint64_t cached_bundles(const struct engine_io *io)
{
	return io->planned.cache / model_bundle_stride(&io->file->config);
}

static double cached_share(const struct engine_io *io)
{
	const struct model_config *config = &io->file->config;

	return per((double)cached_bundles(io), (double)config->n_layers * config->n_ffn);
}

json_t *engine_memory_json(const struct engine_io *io)
{
	const struct memory_parts *planned = &io->planned;
	struct proc_memory now;

	proc_memory_read(&now);
	return json_pack("{s:o, s:o, s:{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}, s:i, s:o, s:f, "
			 "s:o}",
		"budget_bytes", json_u64(io->budget),
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
		"batch", (int)io->batch,
		"cache_bundles", json_u64(cached_bundles(io)),
		"cache_ratio", cached_share(io),
		"peak_bytes", json_u64(now.peak_bytes));
}

void engine_show_memory(const struct engine_io *io)
{
	const struct memory_parts *planned = &io->planned;
	char budget[HUMAN_SIZE], cache[HUMAN_SIZE], staging[HUMAN_SIZE], peak[HUMAN_SIZE];
	struct proc_memory now;

	proc_memory_read(&now);
	fprintf(stderr,
		"memory: %s at most, %s allowed; cache of %s (%llu bundles, %.1f %% of all), "
		"%s of staging, batches of %u\n",
		human_bytes(now.peak_bytes, peak), human_bytes(io->budget, budget),
		human_bytes(planned->cache, cache), (unsigned long long)cached_bundles(io),
		100 * cached_share(io), human_bytes(planned->staging, staging),
		io->batch);
}

/* Left out where it is not known. */
static void add_cpu_time(json_t *object, const struct engine_io *io, double tokens)
{
	uint64_t process_ns, kernel_ns;
	bool kernel_known;

	if (cpu_time_end(io->cpu_time, &process_ns, &kernel_ns, &kernel_known, NULL) < 0)
		return;
	json_object_set_new(object, "cpu_ms_per_token",
			    json_real(per((double)process_ns * 1e-6, tokens)));
	if (kernel_known)
		json_object_set_new(object, "kernel_cpu_ms_per_token",
				    json_real(per((double)kernel_ns * 1e-6, tokens)));
}

json_t *engine_io_json(const struct engine_io *io, const struct bundle_store_stats *stats,
		       uint64_t n_tokens)
{
	double tokens = (double)n_tokens;
	json_t *object;

	object = json_pack("{s:s, s:s, s:s?, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
		"source", bundle_store_source_name(io->store),
		"detail", bundle_store_describe(io->store),
		"chosen", io->chosen ? io->choice.reason : NULL,
		"cache_policy", bundle_store_cache_policy(io->store),
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
	add_kernel_counts(object, io);
	add_cpu_time(object, io, tokens);
	json_object_set_new(object, "device", engine_device_json(io));
	return object;
}

void engine_show_io(FILE *out, const struct engine_io *io, const struct bundle_store_stats *stats,
		    uint64_t n_tokens)
{
	double tokens = (double)n_tokens;
	char bytes[HUMAN_SIZE];

	fprintf(out, "per token: %.1f reads, %s from storage, %.2f ms waiting (%s%s%s)\n",
		per((double)stats->reads, tokens),
		human_bytes((uint64_t)per((double)stats->bytes, tokens), bytes),
		per((double)stats->wait_ns * 1e-6, tokens), bundle_store_describe(io->store),
		io->chosen ? "; auto: " : "", io->chosen ? io->choice.reason : "");
}

double engine_read_share(const struct engine_io *io, const struct bundle_store_stats *stats,
			 uint64_t n_tokens)
{
	const struct model_config *config = &io->file->config;

	return per((double)stats->bytes, (double)n_tokens * config->n_layers * config->n_ffn *
						 model_bundle_stride(config));
}
