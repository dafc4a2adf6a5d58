// SPDX-License-Identifier: GPL-2.0-only
#include "infer/memory_budget.h"

#include <errno.h>
#include <stdio.h>

#include "base/amount.h"
#include "base/thread.h"
#include "base/thread_pool.h"
#include "infer/model_store.h"

#define MIB (UINT64_C(1) << 20)
/* Code and libraries as far as they are used, and small things of the heap: 7 MiB were seen. */
#define PROGRAM_BYTES (10 * MIB)
/* The file's header is in memory twice, and its vocabulary once more as tables. */
#define HEADER_COPIES 8
/*
 * Where the program has more than that before it begins (other libraries, a long text), that
 * counts, and how much more it may get; in steps, so that the same run plans the same.
 */
#define PROGRAM_GROWTH (2 * MIB)
#define PROGRAM_STEP (4 * MIB)
/* Of all memory, for tables of pages: 8 bytes per page of 4 KiB. */
#define PAGE_TABLE_SHARE 512
/* What staging grows and shrinks by, for a layer: a page in each half. */
#define STAGING_STEP 8192
/*
 * For a layer, what the reads of 256 bundles of 64 KiB take. More helps where a prompt wants all
 * of a layer; every token has more of the same bytes in the cache.
 */
#define ENOUGH_STAGING (16 * MIB)

/* The computing ones, of which the caller's is one, and one that may read. */
static uint64_t n_threads(const struct memory_user *user)
{
	return user->session ? (uint64_t)thread_pool_count(user->session->threads) + 1 : 2;
}

static uint64_t program_bytes(const struct memory_user *user, const struct memory_base *base)
{
	uint64_t allowed = PROGRAM_BYTES, header_bytes;
	uint64_t there = base->now.resident_bytes;

	gguf_header(user->file->gguf, &header_bytes);
	allowed += HEADER_COPIES * header_bytes;
	if (amount_sum(there, PROGRAM_GROWTH) > allowed)
		allowed = amount_round_up(amount_sum(there, PROGRAM_GROWTH), PROGRAM_STEP);
	return amount_sum(amount_sum(allowed, base->caller_bytes),
			  n_threads(user) * THREAD_BYTES);
}

/* All but what the kernel keeps. */
static uint64_t sum_in_process(const struct memory_parts *parts)
{
	const uint64_t all[] = {
		parts->program, parts->weights, parts->keys_values, parts->scratch,
		parts->staging, parts->cache, parts->tables,
	};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sum = amount_sum(sum, all[i]);
	return sum;
}

uint64_t memory_parts_sum(const struct memory_parts *parts)
{
	return amount_sum(sum_in_process(parts), parts->kernel);
}

struct memory_user memory_user_session(const struct model *model, struct session_options *options)
{
	return (struct memory_user){
		.file = model->file,
		.store = &options->store,
		.model = model,
		.session = options,
	};
}

/* What a session takes, or of that what a store by itself does. */
static int plan_user(const struct memory_user *user, struct session_memory *memory,
		     struct error *err)
{
	struct bundle_geometry geometry = model_store_geometry(user->file);

	if (user->session)
		return session_plan_memory(user->model, user->session, memory, err);
	*memory = (struct session_memory){
		.opening = model_store_opening_bytes(&user->file->config, user->store),
	};
	return bundle_store_plan_memory(&geometry, user->store, &memory->store, err);
}

int memory_plan(const struct memory_user *user, const struct memory_base *base,
		struct memory_parts *parts, struct error *err)
{
	struct session_memory memory;
	uint64_t opening;
	int ret = plan_user(user, &memory, err);

	if (ret < 0)
		return ret;
	opening = amount_sum(memory.opening, memory.store.opening);
	*parts = (struct memory_parts){
		.program = program_bytes(user, base),
		.weights = user->session ? model_weights_bytes(user->file) : 0,
		.keys_values = memory.keys_values,
		.scratch = amount_sum(amount_sum(memory.scratch, memory.store.requests), opening),
		.staging = memory.store.staging,
		.cache = memory.store.cache,
		.tables = memory.store.tables,
	};
	parts->kernel = amount_sum(memory.store.kernel, sum_in_process(parts) / PAGE_TABLE_SHARE);
	return 0;
}

/* The options that are being tried. */
struct search {
	const struct memory_user *user;
	const struct memory_base *base;
	struct bundle_geometry geometry;
	uint64_t budget;
	struct memory_parts parts; /* of the options tried last */
};

/* What is planned, and what the program has had already. */
static uint64_t needed(const struct search *search)
{
	uint64_t sum = memory_parts_sum(&search->parts);

	return sum > search->base->now.peak_bytes ? sum : search->base->now.peak_bytes;
}

/* Whether the options fit. They are possible ones, so that planning does not fail. */
static bool fits(struct search *search)
{
	return memory_plan(search->user, search->base, &search->parts, NULL) == 0 &&
	       needed(search) <= search->budget;
}

/* Set the options to the largest n from 0 to `most` that fits; 0 is known to. */
static void choose_largest(struct search *search, uint64_t most,
			   void (*set)(struct search *search, uint64_t n))
{
	uint64_t least = 0;

	while (least < most) {
		uint64_t middle = least + (most - least) / 2 + 1;

		set(search, middle);
		if (fits(search))
			least = middle;
		else
			most = middle - 1;
	}
	set(search, least);
}

static uint64_t most_staging(const struct search *search)
{
	uint64_t least = bundle_store_least_staging(&search->geometry);
	uint64_t usual = bundle_store_default_staging(&search->geometry);
	uint64_t enough = least > ENOUGH_STAGING ? least : ENOUGH_STAGING;

	return usual < enough ? usual : enough;
}

static void set_staging(struct search *search, uint64_t n)
{
	uint64_t bytes = bundle_store_least_staging(&search->geometry) + n * STAGING_STEP;
	uint64_t most = most_staging(search);

	search->user->store->staging_bytes = bytes < most ? bytes : most;
}

static uint64_t staging_steps(const struct search *search)
{
	uint64_t more = most_staging(search) - bundle_store_least_staging(&search->geometry);

	return (more + STAGING_STEP - 1) / STAGING_STEP;
}

static uint64_t n_bundles(const struct search *search)
{
	return (uint64_t)search->geometry.n_layers * search->geometry.slots;
}

/* The store rounds down: there may be one less, and it is that which is planned. */
static void set_cache(struct search *search, uint64_t n)
{
	search->user->store->cache_ratio = (double)n / (double)n_bundles(search);
}

/* A batch that fits; false when there is none. A store by itself has none to make smaller. */
static bool choose_batch(struct search *search)
{
	struct session_options *options = search->user->session;
	bool batch_is_free = options && options->max_batch == 0;
	uint32_t batch = options ? session_planned_batch(search->user->model, options) : 1;

	while (!fits(search)) {
		if (!batch_is_free || batch == 1)
			return false;
		batch /= 2;
		options->max_batch = batch;
	}
	return true;
}

/* Share out what is left. */
static void choose_staging_and_cache(struct search *search, bool keep_cache_ratio)
{
	uint64_t left = search->budget - needed(search);
	uint64_t for_cache = keep_cache_ratio ? 0 : left / 2;

	search->budget -= for_cache;
	choose_largest(search, staging_steps(search), set_staging);
	search->budget += for_cache;
	if (!keep_cache_ratio)
		choose_largest(search, n_bundles(search), set_cache);
}

static double mib(uint64_t bytes)
{
	return (double)bytes / (double)MIB;
}

/* "0.5 for weights, 1.0 for keys and values of 10 tokens, "; nothing of a store by itself. */
static void name_model_parts(const struct search *search, char *text, size_t size)
{
	const struct memory_user *user = search->user;

	text[0] = '\0';
	if (user->session)
		snprintf(text, size, "%.1f for weights, %.1f for keys and values of %u tokens, ",
			 mib(search->parts.weights), mib(search->parts.keys_values),
			 session_planned_tokens(user->model, user->session));
}

static int refuse(const struct search *search, struct error *err)
{
	const struct memory_parts *parts = &search->parts;
	uint64_t named = amount_sum(amount_sum(parts->weights, parts->keys_values),
				    amount_sum(parts->staging, parts->cache));
	uint64_t rest = needed(search) > named ? needed(search) - named : 0;
	char of_model[128], cache[64] = "";

	name_model_parts(search, of_model, sizeof(of_model));
	if (parts->cache)
		snprintf(cache, sizeof(cache), "%.1f for the cache asked for, ", mib(parts->cache));
	return error_set(err, -ENOMEM,
			 "%s: does not fit into %llu bytes of memory; at least %llu (%.1f MiB) are "
			 "needed: %s%.1f for staging, %s%.1f for program and scratch; allow that "
			 "much, or ask for less",
			 gguf_path(search->user->file->gguf), (unsigned long long)search->budget,
			 (unsigned long long)needed(search), mib(needed(search)), of_model,
			 mib(parts->staging), cache, mib(rest));
}

int memory_fit(const struct memory_user *user, const struct memory_budget *budget,
	       const struct memory_base *base, struct memory_parts *parts, struct error *err)
{
	struct search search = {
		.user = user,
		.base = base,
		.geometry = model_store_geometry(user->file),
		.budget = budget->bytes,
	};
	int ret;

	if (!budget->keep_cache_ratio)
		set_cache(&search, 0);
	set_staging(&search, 0);
	ret = memory_plan(user, base, parts, err);
	if (ret < 0)
		return ret;
	if (!choose_batch(&search))
		return refuse(&search, err);
	choose_staging_and_cache(&search, budget->keep_cache_ratio);
	return memory_plan(user, base, parts, err);
}
