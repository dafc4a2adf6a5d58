/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bundles of a linked file on request: what the cache has comes from there, the
 * rest is planned and read from the source. A layer is asked for before it is
 * needed (bundle_store_request) and consumed later in windows of ascending slots
 * (bundle_store_next), so that reads of layer L+1 are in flight while layer L
 * computes, and a layer larger than the staging memory still streams through it.
 *
 *	bundle_store_request(store, 0, wanted0);
 *	for each layer:
 *		bundle_store_request(store, layer + 1, wanted of layer + 1);
 *		while ((ret = bundle_store_next(store, layer, &window, err)) > 0)
 *			compute with the window;
 *
 * At most `layers_in_flight` layers, not the same one twice, may be requested and
 * unconsumed at a time. Which bundles arrive, and in which order they are handed out, depends on
 * the request alone: never on source, cache or order of completion. Only where one
 * window ends and the next begins depends on what was cached and on the staging (and, where
 * the cost is refined, on what the device did).
 *
 * Where bundles have several places, those are read that cost the least together
 * (model/place_choice.h), if all that a layer lacks has room in half its staging. Else, as
 * with a prompt, each is read from its primary place: these ascend as slots do.
 *
 * Bundles found in the cache are pinned from the request until their window is
 * over; those that were read are admitted to the cache when their window is over.
 *
 * Not thread-safe: one thread, the one that opened the store. Any number of
 * threads may read a window's bundles.
 */
#ifndef COLINK_STORAGE_BUNDLE_STORE_H
#define COLINK_STORAGE_BUNDLE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "storage/device.h"

struct source_observer; /* storage/source.h */

struct bundle_geometry {
	uint32_t n_layers;
	uint32_t slots; /* per layer */
	uint32_t stride; /* bytes of a bundle, a multiple of 2 */
	const uint64_t *offsets; /* (n_layers): of the first bundle in the file, even; copied */
	/*
	 * Bundles of a layer on flash, where some are stored more than once, so that one may be
	 * read together with what is wanted beside it: more than slots, up to twice as many. 0: as
	 * many as slots, in their order.
	 */
	uint32_t positions;
	const uint32_t *slot_at; /* (n_layers, positions): see model/places.h; copied */
};

/* More would not help: reads of one layer ahead keep a device busy. */
#define BUNDLE_STORE_MAX_LAYERS 8

struct bundle_store_options {
	const char *source; /* see source_open() */
	double cache_ratio; /* share of all bundles kept in DRAM, 0 to 1 */
	const char *cache_policy; /* see storage/cache.h; NULL: CACHE_DEFAULT_POLICY */
	/*
	 * Share of the cache, 0 to 1, that holds the bundles with the highest frequencies:
	 * they are read at opening, which the stats do not count, and stay.
	 */
	double hot_share;
	/* (n_layers, slots): see struct cache_options; NULL: not known, and nothing is hot */
	const float *frequency;
	uint32_t layers_in_flight; /* 0: two, at most BUNDLE_STORE_MAX_LAYERS */
	uint64_t staging_bytes; /* for each of the layers in flight; 0: up to 64 MiB */
	uint32_t queue_depth; /* 0: 256 */
	/* Of the source "mmap" alone: a read-ahead of its own, as in source_open_mapped(). */
	bool own_read_ahead;
	uint32_t read_ahead_kib;
	struct device_cost cost; /* a possible one */
	uint64_t gap_bytes; /* collapse limit; usually device_break_even_bytes(cost) */
	/*
	 * Let the cost follow the device (storage/device_watch.h), and the gap be its
	 * break-even. Which bundles are handed out does not depend on it; reads and bytes do,
	 * and differ from run to run. Does nothing with a source of mapped files.
	 */
	bool refine_cost;
	/* Told of every I/O, those of opening included; stays in place. NULL: nobody. */
	const struct source_observer *observer;
};

/* Bundles in memory, ascending slots; valid until the next call for this layer. */
struct bundle_window {
	uint32_t count;
	const uint32_t *slots; /* (count) */
	const uint16_t *const *bundles; /* (count), each `stride` bytes, 2-byte aligned */
};

struct bundle_store_stats {
	uint64_t reads; /* as in struct source_counts */
	uint64_t bytes;
	uint64_t wanted_bytes; /* bundles asked for that were not in the cache */
	uint64_t wanted_bundles; /* asked for, cached ones included */
	uint64_t cached_bundles; /* of these, found in the cache */
	uint64_t runs; /* of bundles to be read, before collapse */
	uint64_t run_bundles; /* bundles in these runs: mean run length = run_bundles / runs */
	uint64_t wait_ns; /* time blocked in bundle_store_next() for data */
	uint64_t bookkeeping_ns; /* in looking up, choosing, planning and admitting, memcpy included */
	double predicted_us; /* by the device cost */
};

struct bundle_store;

/*
 * Fails with -EINVAL for options out of range, among them a staging memory too
 * small for two reads of one bundle. A source of mapped files uses none.
 */
int bundle_store_open(const char *path, const struct bundle_geometry *geometry,
		      const struct bundle_store_options *options, struct bundle_store **store,
		      struct error *err);

/* Also with layers requested and unconsumed. NULL is allowed. */
void bundle_store_close(struct bundle_store *store);

/* What the source says of itself. */
const char *bundle_store_source_name(const struct bundle_store *store);
const char *bundle_store_describe(const struct bundle_store *store);

/* Name of the cache's policy. */
const char *bundle_store_cache_policy(const struct bundle_store *store);

/*
 * By what reads are planned now. Returns how many observations have changed it: 0 without
 * refine_cost, and while the device was never waited for.
 */
uint64_t bundle_store_cost(const struct bundle_store *store, struct device_cost *cost,
			   uint64_t *gap_bytes);

/* Bytes of DRAM held for staging and cache, tables of the cache and of places included. */
uint64_t bundle_store_memory(const struct bundle_store *store);

/* Bytes of DRAM that a store takes, at most. */
struct bundle_store_memory {
	uint64_t staging; /* of both layers in flight; 0 for a source of mapped files */
	uint64_t requests; /* lists of the bundles and reads of these layers */
	uint64_t cache; /* the bundles in it */
	uint64_t tables; /* of the cache, and of places */
	uint64_t opening; /* besides, until the store is open */
	uint64_t kernel; /* that the kernel keeps for it (see source_kernel_bytes()) */
};

/*
 * What bundle_store_open() would take for these options; nothing is opened or allocated.
 * Fails for a geometry, shares and a policy that it would refuse. The source is named rightly.
 */
int bundle_store_plan_memory(const struct bundle_geometry *geometry,
			     const struct bundle_store_options *options,
			     struct bundle_store_memory *memory, struct error *err);

/*
 * Bytes of staging for each of the layers in flight: what they are without a wish
 * (staging_bytes 0), and the least that should be asked for: 256 KiB, or two reads of one
 * bundle, or the default if that is less. With less reads wait for each other.
 */
uint64_t bundle_store_default_staging(const struct bundle_geometry *geometry);
uint64_t bundle_store_least_staging(const struct bundle_geometry *geometry);

/*
 * Ask for the slots in `wanted`, a bit set over [0, slots); it is copied. Looks
 * up the cache, plans, starts reads and returns. A layer too many, or one that is
 * requested already, is refused with -EBUSY. After any other failure, here or in
 * bundle_store_next(), every later call fails the same way: close the store.
 */
int bundle_store_request(struct bundle_store *store, uint32_t layer, const uint64_t *wanted,
			 struct error *err);

/*
 * Keep reads of requested layers going, see source_advance(): to be called now and then by who
 * computes long without asking for anything.
 */
void bundle_store_advance(struct bundle_store *store);

/*
 * The next window of a requested layer: 1 and *window, 0 when all were handed
 * out (the request is then over), or a negative errno (-EINVAL for a layer that is
 * not requested).
 */
int bundle_store_next(struct bundle_store *store, uint32_t layer, struct bundle_window *window,
		      struct error *err);

/* Since opening, or since the last reset. */
int bundle_store_get_stats(const struct bundle_store *store, struct bundle_store_stats *stats,
			   struct error *err);
int bundle_store_reset_stats(struct bundle_store *store, struct error *err);

#endif
