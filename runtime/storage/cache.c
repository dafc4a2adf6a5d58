// SPDX-License-Identifier: GPL-2.0-only
/*
 * CLOCK over a fixed array of entries. A new entry starts unused, so that what
 * is read once and never again (the tail of a prompt's layers) goes first.
 *
 * One admission looks at no more than twice all entries, and usually at few: the
 * hand goes on from where it stopped. Only with nearly every entry pinned does it
 * walk far, and pins are at most the wanted bundles of the layers in flight.
 */
#include "storage/cache.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NOT_CACHED UINT32_MAX

struct cache_entry {
	uint32_t layer;
	uint32_t slot;
	uint32_t pins;
	bool used; /* since the hand last passed */
};

struct cache {
	uint32_t slots; /* per layer */
	uint32_t stride;
	uint32_t capacity; /* entries */
	uint32_t n_entries; /* filled ones, from the start of the array */
	uint32_t n_pinned; /* entries with pins */
	uint32_t hand;
	struct cache_entry *entries; /* (capacity) */
	uint32_t *entry_of; /* (n_layers, slots): index of the entry, or NOT_CACHED */
	char *bundles; /* (capacity, stride) */
};

static bool allocate(struct cache *cache, uint64_t total)
{
	cache->entries = calloc((size_t)cache->capacity + 1, sizeof(*cache->entries));
	cache->entry_of = malloc((size_t)total * sizeof(*cache->entry_of));
	/* calloc refuses a product that overflows; untouched pages cost nothing. */
	cache->bundles = calloc((size_t)cache->capacity + 1, cache->stride);
	return cache->entries && cache->entry_of && cache->bundles;
}

int cache_create(uint32_t n_layers, uint32_t slots, uint32_t stride, uint64_t capacity,
		 struct cache **result, struct error *err)
{
	uint64_t total = (uint64_t)n_layers * slots;
	struct cache *cache;

	if (total >= NOT_CACHED)
		return error_set(err, -EOVERFLOW,
				 "%u layers of %u bundles are more than the cache can index",
				 n_layers, slots);
	cache = calloc(1, sizeof(*cache));
	if (!cache)
		return error_no_memory(err, "the bundle cache");
	cache->slots = slots;
	cache->stride = stride;
	cache->capacity = (uint32_t)(capacity < total ? capacity : total);
	if (!allocate(cache, total)) {
		cache_destroy(cache);
		return error_set(err, -ENOMEM,
				 "out of memory: a cache of %llu bundles of %u bytes; "
				 "ask for a smaller share",
				 (unsigned long long)capacity, stride);
	}
	for (uint64_t i = 0; i < total; i++)
		cache->entry_of[i] = NOT_CACHED;
	*result = cache;
	return 0;
}

void cache_destroy(struct cache *cache)
{
	if (!cache)
		return;
	free(cache->bundles);
	free(cache->entry_of);
	free(cache->entries);
	free(cache);
}

uint64_t cache_bytes(const struct cache *cache)
{
	return (uint64_t)cache->capacity * cache->stride;
}

static uint32_t *entry_index(struct cache *cache, uint32_t layer, uint32_t slot)
{
	return &cache->entry_of[(size_t)layer * cache->slots + slot];
}

const char *cache_lookup(struct cache *cache, uint32_t layer, uint32_t slot)
{
	uint32_t index = *entry_index(cache, layer, slot);
	struct cache_entry *entry;

	if (index == NOT_CACHED)
		return NULL;
	entry = &cache->entries[index];
	entry->used = true;
	if (!entry->pins++)
		cache->n_pinned++;
	return cache->bundles + (size_t)index * cache->stride;
}

void cache_unpin(struct cache *cache, uint32_t layer, uint32_t slot)
{
	struct cache_entry *entry = &cache->entries[*entry_index(cache, layer, slot)];

	if (!--entry->pins)
		cache->n_pinned--;
}

/* The entry to fill next. Some entry is free or unpinned: the hand finds one in two rounds. */
static uint32_t free_entry(struct cache *cache)
{
	if (cache->n_entries < cache->capacity)
		return cache->n_entries++;
	for (;;) {
		uint32_t index = cache->hand;
		struct cache_entry *entry = &cache->entries[index];

		cache->hand = index + 1 < cache->capacity ? index + 1 : 0;
		if (entry->pins)
			continue;
		if (entry->used) {
			entry->used = false;
			continue;
		}
		*entry_index(cache, entry->layer, entry->slot) = NOT_CACHED;
		return index;
	}
}

void cache_admit(struct cache *cache, uint32_t layer, uint32_t slot, const char *bundle)
{
	uint32_t index;

	if (*entry_index(cache, layer, slot) != NOT_CACHED || cache->n_pinned == cache->capacity)
		return;
	index = free_entry(cache);
	cache->entries[index] = (struct cache_entry){ .layer = layer, .slot = slot };
	*entry_index(cache, layer, slot) = index;
	memcpy(cache->bundles + (size_t)index * cache->stride, bundle, cache->stride);
}
