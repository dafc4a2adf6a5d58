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
#include <errno.h>
#include <stdlib.h>

#include "storage/cache_policy.h"

struct lru_link {
	uint32_t newer;
	uint32_t older;
};

struct lru_state {
	uint32_t n_rings; /* 1, or one for each layer */
	uint32_t *lengths; /* (n_rings) */
	/* (n_replaceable + n_rings): the last ones are where rings begin, older than it the newest */
	struct lru_link *links;
};

static uint32_t ring_of(const struct cache *cache, uint32_t bundle)
{
	const struct lru_state *state = cache->state;

	return state->n_rings > 1 ? bundle / cache->slots : 0;
}

static uint32_t head_of(const struct cache *cache, uint32_t ring)
{
	return cache->n_replaceable + ring;
}

static void take_out(struct cache *cache, uint32_t entry)
{
	struct lru_state *state = cache->state;
	struct lru_link *links = state->links;

	links[links[entry].newer].older = links[entry].older;
	links[links[entry].older].newer = links[entry].newer;
	state->lengths[ring_of(cache, cache->entries[entry].bundle)]--;
}

static void put_newest(struct cache *cache, uint32_t entry, uint32_t ring)
{
	struct lru_state *state = cache->state;
	struct lru_link *links = state->links;
	uint32_t head = head_of(cache, ring);

	links[entry] = (struct lru_link){ .newer = head, .older = links[head].older };
	links[links[head].older].newer = entry;
	links[head].older = entry;
	state->lengths[ring]++;
}

static int create_rings(struct cache *cache, uint32_t n_rings)
{
	struct lru_state *state = calloc(1, sizeof(*state));
	size_t n_links = (size_t)cache->n_replaceable + n_rings;

	cache->state = state;
	if (!state)
		return -ENOMEM;
	state->n_rings = n_rings;
	state->lengths = calloc(n_rings, sizeof(*state->lengths));
	state->links = calloc(n_links, sizeof(*state->links));
	if (!state->lengths || !state->links)
		return -ENOMEM;
	cache->state_bytes = sizeof(*state) + n_rings * sizeof(*state->lengths) +
			     n_links * sizeof(*state->links);
	for (uint32_t ring = 0; ring < n_rings; ring++) {
		uint32_t head = head_of(cache, ring);

		state->links[head] = (struct lru_link){ .newer = head, .older = head };
	}
	return 0;
}

static int lru_create(struct cache *cache, const struct cache_options *options)
{
	(void)options;
	return create_rings(cache, 1);
}

static int layer_lru_create(struct cache *cache, const struct cache_options *options)
{
	return create_rings(cache, options->n_layers);
}

static void lru_destroy(struct cache *cache)
{
	struct lru_state *state = cache->state;

	if (!state)
		return;
	free(state->lengths);
	free(state->links);
	free(state);
}

static void lru_used(struct cache *cache, uint32_t entry)
{
	take_out(cache, entry);
	put_newest(cache, entry, ring_of(cache, cache->entries[entry].bundle));
}

static uint32_t oldest_unpinned(const struct cache *cache, uint32_t ring)
{
	const struct lru_state *state = cache->state;
	uint32_t head = head_of(cache, ring), entry = state->links[head].newer;

	while (entry != head && cache->entries[entry].pins)
		entry = state->links[entry].newer;
	return entry == head ? NO_ENTRY : entry;
}

/* The first of those that have most. */
static uint32_t longest_ring(const struct lru_state *state)
{
	uint32_t longest = 0;

	for (uint32_t ring = 1; ring < state->n_rings; ring++)
		if (state->lengths[ring] > state->lengths[longest])
			longest = ring;
	return longest;
}

static uint32_t lru_replace(struct cache *cache, uint32_t bundle)
{
	const struct lru_state *state = cache->state;
	uint32_t ring = ring_of(cache, bundle), entry;

	if (state->lengths[ring] < cache->n_replaceable / state->n_rings)
		ring = longest_ring(state);
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
	.create = lru_create,
	.destroy = lru_destroy,
	.used = lru_used,
	.replace = lru_replace,
	.placed = lru_placed,
};

const struct cache_eviction cache_layer_lru = {
	.create = layer_lru_create,
	.destroy = lru_destroy,
	.used = lru_used,
	.replace = lru_replace,
	.placed = lru_placed,
};
