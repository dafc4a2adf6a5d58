// SPDX-License-Identifier: GPL-2.0-only
/*
 * Least recently used: entries in a ring from the newest to the oldest. Pinned ones,
 * which are near its new end since a lookup pinned them, are passed over.
 *
 * layer-lru has a ring for each layer. A layer that has its equal part of the cache
 * replaces its own oldest, one that has less the oldest of the layer that has most. When
 * a token wants more than the cache has, one ring for all keeps nothing until the next
 * token comes to the same layer; these keep what fits.
 */
#include "storage/cache_policy.h"

struct lru_link {
	uint32_t newer;
	uint32_t older;
};

/* The state is these, and then (n_rings) lengths of rings. */
static struct lru_link *links_of(const struct cache *cache)
{
	return cache->state;
}

/* One for all, or one for each layer. */
static uint32_t n_rings(const struct cache *cache)
{
	return cache->policy->eviction == &cache_layer_lru ? cache->n_layers : 1;
}

/* A ring's place among the links, where it begins: older than it is the newest. */
static uint32_t head_of(const struct cache *cache, uint32_t ring)
{
	return cache->n_replaceable + ring;
}

static uint32_t *lengths_of(const struct cache *cache)
{
	return (uint32_t *)(links_of(cache) + head_of(cache, n_rings(cache)));
}

static uint32_t ring_of(const struct cache *cache, uint32_t bundle)
{
	return n_rings(cache) > 1 ? bundle / cache->slots : 0;
}

static void take_out(struct cache *cache, uint32_t entry)
{
	struct lru_link *links = links_of(cache);

	links[links[entry].newer].older = links[entry].older;
	links[links[entry].older].newer = links[entry].newer;
	lengths_of(cache)[ring_of(cache, cache->entries[entry].bundle)]--;
}

static void put_newest(struct cache *cache, uint32_t entry, uint32_t ring)
{
	struct lru_link *links = links_of(cache);
	uint32_t head = head_of(cache, ring);

	links[entry] = (struct lru_link){ .newer = head, .older = links[head].older };
	links[links[head].older].newer = entry;
	links[head].older = entry;
	lengths_of(cache)[ring]++;
}

static uint64_t lru_state_bytes(const struct cache *cache)
{
	uint64_t rings = n_rings(cache);

	return (cache->n_replaceable + rings) * sizeof(struct lru_link) +
	       rings * sizeof(uint32_t);
}

static void lru_begin_state(struct cache *cache, const struct cache_options *options)
{
	(void)options;
	for (uint32_t ring = 0; ring < n_rings(cache); ring++) {
		uint32_t head = head_of(cache, ring);

		links_of(cache)[head] = (struct lru_link){ .newer = head, .older = head };
	}
}

static void lru_used(struct cache *cache, uint32_t entry)
{
	take_out(cache, entry);
	put_newest(cache, entry, ring_of(cache, cache->entries[entry].bundle));
}

static uint32_t oldest_unpinned(const struct cache *cache, uint32_t ring)
{
	const struct lru_link *links = links_of(cache);
	uint32_t head = head_of(cache, ring), entry = links[head].newer;

	while (entry != head && cache->entries[entry].pins)
		entry = links[entry].newer;
	return entry == head ? NO_ENTRY : entry;
}

/* The first of those that have most. */
static uint32_t longest_ring(const struct cache *cache)
{
	const uint32_t *lengths = lengths_of(cache);
	uint32_t longest = 0;

	for (uint32_t ring = 1; ring < n_rings(cache); ring++)
		if (lengths[ring] > lengths[longest])
			longest = ring;
	return longest;
}

static uint32_t lru_replace(struct cache *cache, uint32_t bundle)
{
	uint32_t ring = ring_of(cache, bundle), entry;

	if (lengths_of(cache)[ring] < cache->n_replaceable / n_rings(cache))
		ring = longest_ring(cache);
	entry = oldest_unpinned(cache, ring);
	/* All of it is pinned, but some entry of another ring is not. */
	for (ring = 0; entry == NO_ENTRY; ring++)
		entry = oldest_unpinned(cache, ring);
	take_out(cache, entry);
	return entry;
}

static void lru_placed(struct cache *cache, uint32_t entry, uint32_t bundle)
{
	put_newest(cache, entry, ring_of(cache, bundle));
}

const struct cache_eviction cache_lru = {
	.state_bytes = lru_state_bytes,
	.begin_state = lru_begin_state,
	.used = lru_used,
	.replace = lru_replace,
	.placed = lru_placed,
};

const struct cache_eviction cache_layer_lru = {
	.state_bytes = lru_state_bytes,
	.begin_state = lru_begin_state,
	.used = lru_used,
	.replace = lru_replace,
	.placed = lru_placed,
};
