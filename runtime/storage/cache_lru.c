// SPDX-License-Identifier: GPL-2.0-only
/*
 * Least recently used: entries in a ring from the newest to the oldest. Pinned ones,
 * which are near its new end since a lookup pinned them, are passed over.
 */
#include "storage/cache_policy.h"

struct lru_link {
	uint32_t newer;
	uint32_t older;
};

/* (n_replaceable + 1): the last one is where the ring begins, older than it the newest. */
static struct lru_link *links_of(struct cache *cache)
{
	return cache->state;
}

static void take_out(struct lru_link *links, uint32_t entry)
{
	links[links[entry].newer].older = links[entry].older;
	links[links[entry].older].newer = links[entry].newer;
}

static void put_newest(struct cache *cache, uint32_t entry)
{
	struct lru_link *links = links_of(cache);
	uint32_t head = cache->n_replaceable;

	links[entry] = (struct lru_link){ .newer = head, .older = links[head].older };
	links[links[head].older].newer = entry;
	links[head].older = entry;
}

static uint64_t lru_state_bytes(const struct cache *cache)
{
	return ((uint64_t)cache->n_replaceable + 1) * sizeof(struct lru_link);
}

static void lru_begin_state(struct cache *cache, const struct cache_options *options)
{
	uint32_t head = cache->n_replaceable;

	(void)options;
	links_of(cache)[head] = (struct lru_link){ .newer = head, .older = head };
}

static void lru_used(struct cache *cache, uint32_t entry)
{
	take_out(links_of(cache), entry);
	put_newest(cache, entry);
}

static uint32_t lru_replace(struct cache *cache, uint32_t bundle)
{
	struct lru_link *links = links_of(cache);
	uint32_t entry = links[cache->n_replaceable].newer;

	(void)bundle;
	while (cache->entries[entry].pins)
		entry = links[entry].newer;
	take_out(links, entry);
	return entry;
}

static void lru_placed(struct cache *cache, uint32_t entry, uint32_t bundle)
{
	(void)bundle;
	put_newest(cache, entry);
}

const struct cache_eviction cache_lru = {
	.state_bytes = lru_state_bytes,
	.begin_state = lru_begin_state,
	.used = lru_used,
	.replace = lru_replace,
	.placed = lru_placed,
};
