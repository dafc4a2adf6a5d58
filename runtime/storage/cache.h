/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bundles kept in DRAM, within a budget that is fixed at creation. Entries are
 * replaced by CLOCK (second chance): a bundle that was used since the hand last
 * passed is kept one more round.
 *
 * A lookup pins what it finds: a layer is looked up when it is asked for and
 * consumed later, and other layers' bundles are admitted in between. A pinned
 * bundle is never replaced, so its address holds until it is unpinned.
 *
 * Not thread-safe: one thread looks up, unpins and admits; any number of threads
 * may read pinned bundles meanwhile.
 */
#ifndef COLINK_STORAGE_CACHE_H
#define COLINK_STORAGE_CACHE_H

#include <stdint.h>

#include "base/error.h"

struct cache;

/*
 * `slots` bundles per layer in the file, room for `capacity` bundles: may be 0;
 * more than there are bundles is cut to that.
 */
int cache_create(uint32_t n_layers, uint32_t slots, uint32_t stride, uint64_t capacity,
		 struct cache **cache, struct error *err);

/* NULL is allowed. */
void cache_destroy(struct cache *cache);

/* Bytes held for bundles: capacity * stride. */
uint64_t cache_bytes(const struct cache *cache);

/* The bundle, marked as used and pinned, or NULL. Every hit needs one cache_unpin(). */
const char *cache_lookup(struct cache *cache, uint32_t layer, uint32_t slot);

/* Undo the pin of one cache_lookup() that found this bundle. */
void cache_unpin(struct cache *cache, uint32_t layer, uint32_t slot);

/*
 * Copy a bundle that was read into the cache. Does nothing when it is there
 * already or when every entry is pinned.
 */
void cache_admit(struct cache *cache, uint32_t layer, uint32_t slot, const char *bundle);

#endif
