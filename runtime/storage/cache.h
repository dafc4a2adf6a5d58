/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bundles kept in DRAM, within a budget that is fixed at creation. Entries are
 * replaced by CLOCK (second chance): a bundle that was used since the hand last
 * passed is kept one more round.
 *
 * Not thread-safe: one thread looks up and admits; any number of threads may
 * read bundles that were looked up, until the next admission.
 */
#ifndef COLINK_STORAGE_CACHE_H
#define COLINK_STORAGE_CACHE_H

#include <stdint.h>

#include "base/error.h"

struct cache;

/* `slots` bundles per layer in the file, room for `capacity` bundles (may be 0). */
int cache_create(uint32_t n_layers, uint32_t slots, uint32_t stride, uint64_t capacity,
		 struct cache **cache, struct error *err);
void cache_destroy(struct cache *cache);

/* The bundle, marked as used, or NULL. Valid until the next cache_admit(). */
const char *cache_lookup(struct cache *cache, uint32_t layer, uint32_t slot);

/* Copy a bundle that was read into the cache; does nothing when it is there already. */
void cache_admit(struct cache *cache, uint32_t layer, uint32_t slot, const char *bundle);

#endif
