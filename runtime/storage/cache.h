/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bundles kept in DRAM, within a budget that is fixed at creation. What is kept is
 * up to a policy, chosen by name (Documentation/cache.rst has what they are worth):
 *
 *	clock     second chance: replaces what was not used since the hand last passed
 *	lru       replaces what was used longest ago
 *	layer-lru the same in each layer, which have equal parts of it
 *	s3-fifo   Yang et al., SOSP'23: a short queue for what may never come back
 *	linked    s3-fifo that admits members of long runs with lower probability, so
 *	          that those runs stay whole on flash (arXiv 2410.19274)
 *	forecast  replaces what is expected to save the least device time
 *
 * A lookup pins what it finds: a layer is looked up when it is asked for and
 * consumed later, and other layers' bundles are admitted in between. A pinned
 * bundle is never replaced, so its address holds until it is unpinned. Hot bundles
 * are put in once and never replaced at all.
 *
 * Nothing is allocated after creation. The same calls in the same order keep the
 * same bundles, on every machine.
 *
 * Not thread-safe: one thread looks up, unpins and admits; any number of threads
 * may read pinned bundles meanwhile.
 */
#ifndef COLINK_STORAGE_CACHE_H
#define COLINK_STORAGE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define CACHE_DEFAULT_POLICY "forecast"

struct cache;

struct cache_options {
	uint32_t n_layers;
	uint32_t slots; /* bundles per layer in the file */
	uint32_t stride; /* bytes of a bundle */
	uint64_t capacity; /* bundles; more than there are is cut to that */
	uint32_t n_hot; /* of these, for cache_keep(); more than capacity is cut to that */
	const char *policy; /* NULL: CACHE_DEFAULT_POLICY */
	/*
	 * (n_layers, slots): share of tokens for which a slot fires, or NULL. Only read
	 * during creation; what is not from 0 to 1 is cut to that.
	 */
	const float *frequency;
	uint64_t break_even_bytes; /* a/b of the device cost: what an I/O costs, in bytes */
	uint64_t seed; /* of linked's random numbers */
	/*
	 * Keep no bytes, only which bundles it would have: for those who count what a cache
	 * is worth. It decides as any other, and what it is given or finds is not looked at.
	 */
	bool hollow;
};

/* The read that brought a bundle. */
struct cache_read {
	uint32_t slots; /* gaps included */
	uint32_t bundles; /* wanted ones, 1 to slots */
};

/* Name of policy i, or NULL after the last. */
const char *cache_policy_at(size_t i);
bool cache_policy_is_known(const char *name);

/*
 * Fails with -EINVAL for an unknown policy, -EOVERFLOW for more bundles than can be
 * numbered, -ENOMEM. The options may go after the call.
 */
int cache_create(const struct cache_options *options, struct cache **cache, struct error *err);

/* Bytes that a cache holds: of bundles, and of tables besides. */
struct cache_memory {
	uint64_t bundles;
	uint64_t tables;
};

/* What cache_create() would take for these options; fails as it does, but for -ENOMEM. */
int cache_memory(const struct cache_options *options, struct cache_memory *memory,
		 struct error *err);

/* NULL is allowed. */
void cache_destroy(struct cache *cache);

/* Bytes held for bundles: capacity * stride; of a hollow cache 0. */
uint64_t cache_bytes(const struct cache *cache);

/* Bytes held besides: tables of all bundles and of the cached ones. */
uint64_t cache_table_bytes(const struct cache *cache);

const char *cache_policy_name(const struct cache *cache);

/* A layer is asked for: its lookups follow. n_layers of these are one token's time. */
void cache_begin(struct cache *cache);

/* The bundle, marked as used and pinned, or NULL. Every hit needs one cache_unpin(). */
const char *cache_lookup(struct cache *cache, uint32_t layer, uint32_t slot);

/* Undo the pin of one cache_lookup() that found this bundle. */
void cache_unpin(struct cache *cache, uint32_t layer, uint32_t slot);

/*
 * Offer a bundle that was read; it is copied if the policy takes it. Does nothing
 * when it is there already or when every entry is pinned.
 */
void cache_admit(struct cache *cache, uint32_t layer, uint32_t slot, const char *bundle,
		 struct cache_read read);

/*
 * Copy a hot bundle into the cache for good. At most n_hot of them, none of which is
 * in the cache; false when there is no room.
 */
bool cache_keep(struct cache *cache, uint32_t layer, uint32_t slot, const char *bundle);

#endif
