// SPDX-License-Identifier: GPL-2.0-only
/* What all policies share: which bundle is where, pins, and the memory. */
#include "storage/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/huge_pages.h"
#include "base/stream_copy.h"
#include "storage/cache_policy.h"

static const struct cache_policy policies[] = {
	{ "clock", &cache_clock, cache_admit_all },
	{ "lru", &cache_lru, cache_admit_all },
	{ "layer-lru", &cache_layer_lru, cache_admit_all },
	{ "s3-fifo", &cache_s3fifo, cache_admit_all },
	{ "linked", &cache_s3fifo, cache_admit_short_runs },
	{ "forecast", &cache_forecast, cache_admit_forecast },
};

/* A cache of more is not in the CPU's caches when a bundle of it is used. */
#define CPU_CACHE_BYTES (UINT64_C(64) << 20)

#define N_POLICIES (sizeof(policies) / sizeof(policies[0]))

const char *cache_policy_at(size_t i)
{
	return i < N_POLICIES ? policies[i].name : NULL;
}

static const struct cache_policy *find_policy(const char *name)
{
	for (size_t i = 0; i < N_POLICIES; i++)
		if (!strcmp(policies[i].name, name))
			return &policies[i];
	return NULL;
}

bool cache_policy_is_known(const char *name)
{
	return find_policy(name) != NULL;
}

/* Bytes of all that a cache holds, whose sizes are set. */
struct arrays {
	uint64_t entries;
	uint64_t entry_of;
	uint64_t bundles;
	uint64_t state;
};

static struct arrays arrays_of(const struct cache *cache)
{
	return (struct arrays){
		.entries = (uint64_t)cache->capacity * sizeof(*cache->entries),
		.entry_of = (uint64_t)cache->n_bundles * sizeof(*cache->entry_of),
		.bundles = (uint64_t)cache->capacity * cache->kept_bytes,
		.state = cache->policy->eviction->state_bytes(cache),
	};
}

/* Zeros; an array of nothing is not NULL either. Untouched pages cost nothing. */
static void *zeros(uint64_t bytes)
{
	return calloc(1, bytes + !bytes);
}

static bool allocate(struct cache *cache)
{
	struct arrays arrays = arrays_of(cache);

	cache->entries = zeros(arrays.entries);
	cache->entry_of = zeros(arrays.entry_of);
	cache->bundles = zeros(arrays.bundles);
	cache->state = zeros(arrays.state);
	if (!cache->entries || !cache->entry_of || !cache->bundles || !cache->state)
		return false;
	huge_pages_ask(cache->bundles, (size_t)cache->capacity * cache->kept_bytes);
	for (uint32_t i = 0; i < cache->n_bundles; i++)
		cache->entry_of[i] = NO_ENTRY;
	return true;
}

static void set_sizes(struct cache *cache, const struct cache_options *options, uint32_t total)
{
	uint64_t capacity = options->capacity < total ? options->capacity : total;
	uint64_t hot = options->n_hot < capacity ? options->n_hot : capacity;

	cache->n_layers = options->n_layers;
	cache->slots = options->slots;
	cache->n_bundles = total;
	cache->stride = options->stride;
	cache->kept_bytes = options->hollow ? 0 : options->stride;
	cache->capacity = (uint32_t)capacity;
	cache->n_replaceable = (uint32_t)(capacity - hot);
	cache->break_even_bytes = options->break_even_bytes;
}

/* Policy and sizes of a cache that is all zeros otherwise. */
static int set_up(struct cache *cache, const struct cache_options *options, struct error *err)
{
	uint64_t total = (uint64_t)options->n_layers * options->slots;
	const char *name = options->policy ? options->policy : CACHE_DEFAULT_POLICY;

	*cache = (struct cache){ .policy = find_policy(name) };
	if (!cache->policy)
		return error_set(err, -EINVAL, "there is no cache policy '%s'", name);
	if (total >= NO_ENTRY)
		return error_set(err, -EOVERFLOW,
				 "%u layers of %u bundles are more than the cache can index",
				 options->n_layers, options->slots);
	set_sizes(cache, options, (uint32_t)total);
	return 0;
}

int cache_memory(const struct cache_options *options, struct cache_memory *memory,
		 struct error *err)
{
	struct cache cache;
	int ret = set_up(&cache, options, err);

	if (ret == 0)
		*memory = (struct cache_memory){
			.bundles = cache_bytes(&cache),
			.tables = cache_table_bytes(&cache),
		};
	return ret;
}

int cache_create(const struct cache_options *options, struct cache **result, struct error *err)
{
	struct cache *cache = malloc(sizeof(*cache));
	int ret;

	if (!cache)
		return error_no_memory(err, "the bundle cache");
	ret = set_up(cache, options, err);
	if (ret < 0) {
		free(cache);
		return ret;
	}
	random_seed(&cache->random, options->seed);
	if (!allocate(cache)) {
		cache_destroy(cache);
		return error_set(err, -ENOMEM,
				 "out of memory: a cache of %llu bundles of %u bytes; "
				 "ask for a smaller share",
				 (unsigned long long)options->capacity, options->stride);
	}
	if (cache->policy->eviction->begin_state)
		cache->policy->eviction->begin_state(cache, options);
	*result = cache;
	return 0;
}

void cache_destroy(struct cache *cache)
{
	if (!cache)
		return;
	free(cache->state);
	free(cache->bundles);
	free(cache->entry_of);
	free(cache->entries);
	free(cache);
}

uint64_t cache_bytes(const struct cache *cache)
{
	return arrays_of(cache).bundles;
}

uint64_t cache_table_bytes(const struct cache *cache)
{
	struct arrays arrays = arrays_of(cache);

	return arrays.entries + arrays.entry_of + arrays.state;
}

const char *cache_policy_name(const struct cache *cache)
{
	return cache->policy->name;
}

static uint32_t bundle_of(const struct cache *cache, uint32_t layer, uint32_t slot)
{
	return layer * cache->slots + slot;
}

static char *memory_of(const struct cache *cache, uint32_t entry)
{
	return cache->bundles + (size_t)entry * cache->kept_bytes;
}

void cache_begin(struct cache *cache)
{
	if (cache->policy->eviction->begin)
		cache->policy->eviction->begin(cache);
}

const char *cache_lookup(struct cache *cache, uint32_t layer, uint32_t slot)
{
	const struct cache_eviction *eviction = cache->policy->eviction;
	uint32_t bundle = bundle_of(cache, layer, slot);
	uint32_t entry = cache->entry_of[bundle];

	if (eviction->wanted)
		eviction->wanted(cache, bundle);
	if (entry == NO_ENTRY)
		return NULL;
	if (entry < cache->n_replaceable) {
		if (eviction->used)
			eviction->used(cache, entry);
		if (!cache->entries[entry].pins++)
			cache->n_pinned++;
	}
	return memory_of(cache, entry);
}

void cache_unpin(struct cache *cache, uint32_t layer, uint32_t slot)
{
	uint32_t entry = cache->entry_of[bundle_of(cache, layer, slot)];

	if (entry < cache->n_replaceable && !--cache->entries[entry].pins)
		cache->n_pinned--;
}

static void place(struct cache *cache, uint32_t entry, uint32_t bundle, const char *content)
{
	cache->entries[entry] = (struct cache_entry){ .bundle = bundle };
	cache->entry_of[bundle] = entry;
	if (cache_bytes(cache) > CPU_CACHE_BYTES)
		stream_copy(memory_of(cache, entry), content, cache->kept_bytes);
	else
		memcpy(memory_of(cache, entry), content, cache->kept_bytes);
}

void cache_admit(struct cache *cache, uint32_t layer, uint32_t slot, const char *content,
		 struct cache_read read)
{
	const struct cache_policy *policy = cache->policy;
	uint32_t bundle = bundle_of(cache, layer, slot);
	uint32_t entry;

	if (cache->entry_of[bundle] != NO_ENTRY || cache->n_pinned == cache->n_replaceable)
		return;
	if (!policy->admits(cache, bundle, read))
		return;
	if (cache->n_entries < cache->n_replaceable) {
		entry = cache->n_entries++;
	} else {
		entry = policy->eviction->replace(cache, bundle);
		if (entry == NO_ENTRY)
			return;
		cache->entry_of[cache->entries[entry].bundle] = NO_ENTRY;
	}
	place(cache, entry, bundle, content);
	if (policy->eviction->placed)
		policy->eviction->placed(cache, entry, bundle);
}

bool cache_keep(struct cache *cache, uint32_t layer, uint32_t slot, const char *content)
{
	uint32_t entry = cache->n_replaceable + cache->n_kept;

	if (entry == cache->capacity)
		return false;
	place(cache, entry, bundle_of(cache, layer, slot), content);
	cache->n_kept++;
	return true;
}
