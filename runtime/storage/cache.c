// SPDX-License-Identifier: GPL-2.0-only
/* What all policies share: which bundle is where, pins, and the memory. */
#include "storage/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/huge_pages.h"
#include "storage/cache_policy.h"

static const struct cache_policy policies[] = {
	{ "clock", &cache_clock, cache_admit_all },
	{ "lru", &cache_lru, cache_admit_all },
	{ "s3-fifo", &cache_s3fifo, cache_admit_all },
	{ "linked", &cache_s3fifo, cache_admit_short_runs },
	{ "forecast", &cache_forecast, cache_admit_forecast },
};

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

static bool allocate(struct cache *cache)
{
	cache->entries = calloc((size_t)cache->capacity + 1, sizeof(*cache->entries));
	cache->entry_of = malloc(((size_t)cache->n_bundles + 1) * sizeof(*cache->entry_of));
	/* calloc refuses a product that overflows; untouched pages cost nothing. */
	cache->bundles = calloc((size_t)cache->capacity + 1, cache->stride);
	if (!cache->entries || !cache->entry_of || !cache->bundles)
		return false;
	huge_pages_ask(cache->bundles, (size_t)cache->capacity * cache->stride);
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
	cache->capacity = (uint32_t)capacity;
	cache->n_replaceable = (uint32_t)(capacity - hot);
	cache->break_even_bytes = options->break_even_bytes;
}

int cache_create(const struct cache_options *options, struct cache **result, struct error *err)
{
	uint64_t total = (uint64_t)options->n_layers * options->slots;
	const char *name = options->policy ? options->policy : CACHE_DEFAULT_POLICY;
	const struct cache_policy *policy = find_policy(name);
	struct cache *cache;

	if (!policy)
		return error_set(err, -EINVAL, "there is no cache policy '%s'", name);
	if (total >= NO_ENTRY)
		return error_set(err, -EOVERFLOW,
				 "%u layers of %u bundles are more than the cache can index",
				 options->n_layers, options->slots);
	cache = calloc(1, sizeof(*cache));
	if (!cache)
		return error_no_memory(err, "the bundle cache");
	cache->policy = policy;
	set_sizes(cache, options, (uint32_t)total);
	random_seed(&cache->random, options->seed);
	if (!allocate(cache) || policy->eviction->create(cache, options) < 0) {
		cache_destroy(cache);
		return error_set(err, -ENOMEM,
				 "out of memory: a cache of %llu bundles of %u bytes; "
				 "ask for a smaller share",
				 (unsigned long long)options->capacity, options->stride);
	}
	*result = cache;
	return 0;
}

void cache_destroy(struct cache *cache)
{
	if (!cache)
		return;
	cache->policy->eviction->destroy(cache);
	free(cache->bundles);
	free(cache->entry_of);
	free(cache->entries);
	free(cache);
}

uint64_t cache_bytes(const struct cache *cache)
{
	return (uint64_t)cache->capacity * cache->stride;
}

uint64_t cache_table_bytes(const struct cache *cache)
{
	return (uint64_t)cache->capacity * sizeof(*cache->entries) +
	       (uint64_t)cache->n_bundles * sizeof(*cache->entry_of) + cache->state_bytes;
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
	return cache->bundles + (size_t)entry * cache->stride;
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
	memcpy(memory_of(cache, entry), content, cache->stride);
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
