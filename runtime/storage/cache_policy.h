/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to the cache: what a policy has to say, and the part that all share.
 * Eviction and admission are apart: a policy is one of each.
 *
 * A bundle goes by one number, layer * slots + slot. An entry is a place in memory;
 * entries [0, n_replaceable) belong to the eviction, the others hold hot bundles and
 * are never seen by it.
 */
#ifndef COLINK_STORAGE_CACHE_POLICY_H
#define COLINK_STORAGE_CACHE_POLICY_H

#include "base/random.h"
#include "storage/cache.h"

#define NO_ENTRY UINT32_MAX

struct cache_entry {
	uint32_t bundle;
	uint32_t pins; /* of lookups; hot entries are not counted */
};

struct cache_eviction {
	/* Bytes of cache->state, which is one piece of memory; only the sizes are set. */
	uint64_t (*state_bytes)(const struct cache *cache);

	/* cache->state is there, all zeros, and the common part is complete. NULL: no matter. */
	void (*begin_state)(struct cache *cache, const struct cache_options *options);

	/* A layer is asked for: a token's part of time goes by. NULL: no matter. */
	void (*begin)(struct cache *cache);

	/* A bundle is looked up, be it there or not. NULL: no matter. */
	void (*wanted)(struct cache *cache, uint32_t bundle);

	/* A lookup found the entry. NULL: no matter. */
	void (*used)(struct cache *cache, uint32_t entry);

	/*
	 * The cache is full, and some entry is not pinned: which one is to hold `bundle`.
	 * It is forgotten here. NO_ENTRY: all are worth more than the bundle.
	 */
	uint32_t (*replace)(struct cache *cache, uint32_t bundle);

	/* The entry, free or given up by replace(), holds `bundle` now. NULL: no matter. */
	void (*placed)(struct cache *cache, uint32_t entry, uint32_t bundle);
};

/* Is a bundle that was read, and is not in the cache, a candidate for it? */
typedef bool cache_admission(struct cache *cache, uint32_t bundle, struct cache_read read);

struct cache_policy {
	const char *name;
	const struct cache_eviction *eviction;
	cache_admission *admits;
};

struct cache {
	const struct cache_policy *policy;
	uint32_t n_layers;
	uint32_t slots; /* per layer */
	uint32_t n_bundles; /* n_layers * slots */
	uint32_t stride;
	uint32_t kept_bytes; /* of a bundle: all of it, or 0 in a hollow cache */
	uint32_t capacity; /* entries */
	uint32_t n_replaceable; /* of these; the others are for hot bundles */
	uint32_t n_entries; /* filled ones, from the start of the array */
	uint32_t n_pinned; /* entries with pins */
	uint32_t n_kept; /* hot entries filled, from n_replaceable on */
	uint64_t break_even_bytes;
	struct random_state random;
	struct cache_entry *entries; /* (capacity) */
	uint32_t *entry_of; /* (n_bundles), or NO_ENTRY */
	char *bundles; /* (capacity, kept_bytes) */
	void *state; /* of the eviction: its state_bytes() */
};

extern const struct cache_eviction cache_clock;
extern const struct cache_eviction cache_lru;
extern const struct cache_eviction cache_layer_lru;
extern const struct cache_eviction cache_s3fifo;
extern const struct cache_eviction cache_forecast;

cache_admission cache_admit_all;
cache_admission cache_admit_short_runs;
cache_admission cache_admit_forecast; /* in cache_forecast.c: goes with that eviction only */

#endif
