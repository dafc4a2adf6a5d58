// SPDX-License-Identifier: GPL-2.0-only
/*
 * The store ties together one source, one cache and two requests (the layers in
 * flight), and keeps the books. How a request runs is in bundle_request.c.
 */
#define _GNU_SOURCE
#include "storage/bundle_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/amount.h"
#include "base/bits.h"
#include "storage/bundle_hot.h"
#include "storage/bundle_request.h"
#include "storage/staging.h"

#define DEFAULT_LAYERS_IN_FLIGHT 2
/*
 * Saturating a device takes 64. But what is beyond the depth starts only in later calls: so
 * cover what is read until the next, which the session sees to (bundle_store_advance()). Most
 * systems queue no more in the kernel.
 */
#define DEFAULT_QUEUE_DEPTH 256
#define DEFAULT_STAGING_BYTES (UINT64_C(64) << 20)
/* Larger I/Os gain nothing on flash, and the block layer splits them anyway. */
#define MAX_READ_BYTES (1u << 20)
/* Halves of the staging memory begin on pages. */
#define PAGE 4096
/* Less than this for a layer is not proposed: each half a few reads at a time. */
#define LEAST_STAGING_BYTES (UINT64_C(256) << 10)

struct bundle_store {
	uint32_t n_layers;
	uint64_t *offsets; /* (n_layers) */
	struct bundle_request_context context;
	struct bundle_places_table places;
	struct place_choice choice; /* if there are places to choose from */
	uint64_t places_bytes;
	uint32_t n_requests; /* layers that may be in flight */
	struct bundle_request requests[BUNDLE_STORE_MAX_LAYERS];
	struct device_watch watch; /* context.watch, if the cost is refined */
	char *arena; /* staging of all requests; NULL when the source needs none */
	size_t arena_bytes;
	uint32_t n_hot; /* bundles to load at opening */
	/* All but reads, bytes and the time of bookkeeping, which are counted elsewhere. */
	struct bundle_store_stats stats;
	struct source_counts counts_at_reset;
	uint64_t bookkeeping_ns_at_reset;
	struct error failure; /* code 0: none */
};

static uint64_t bytes_of_layer(const struct bundle_geometry *geometry)
{
	return (uint64_t)bundle_positions(geometry) * geometry->stride;
}

static int check_options(const struct bundle_geometry *geometry,
			 const struct bundle_store_options *options, struct error *err)
{
	uint64_t layer_bytes = bytes_of_layer(geometry);

	if (geometry->n_layers == 0 || layer_bytes == 0 || geometry->stride % 2 ||
	    geometry->stride > SOURCE_MAX_LENGTH)
		return error_set(err, -EINVAL, "no store of %u layers of %u bundles of %u bytes",
				 geometry->n_layers, geometry->slots, geometry->stride);
	if (bundle_positions(geometry) < geometry->slots ||
	    bundle_positions(geometry) - geometry->slots > geometry->slots)
		return error_set(err, -EINVAL, "no layer has %u bundles of %u neurons",
				 geometry->positions, geometry->slots);
	for (uint32_t layer = 0; layer < geometry->n_layers; layer++)
		if (geometry->offsets[layer] % 2 ||
		    geometry->offsets[layer] > (uint64_t)INT64_MAX - layer_bytes)
			return error_set(err, -EINVAL, "layer %u cannot begin at offset %llu",
					 layer, (unsigned long long)geometry->offsets[layer]);
	if (!(options->cache_ratio >= 0 && options->cache_ratio <= 1))
		return error_set(err, -EINVAL, "a cache ratio of %g is not within 0 to 1",
				 options->cache_ratio);
	if (!(options->hot_share >= 0 && options->hot_share <= 1))
		return error_set(err, -EINVAL, "a hot share of %g is not within 0 to 1",
				 options->hot_share);
	if (options->layers_in_flight > BUNDLE_STORE_MAX_LAYERS)
		return error_set(err, -EINVAL, "%u layers in flight are more than %d",
				 options->layers_in_flight, BUNDLE_STORE_MAX_LAYERS);
	if (options->staging_bytes > SIZE_MAX / (2 * BUNDLE_STORE_MAX_LAYERS))
		return error_set(err, -EINVAL, "a staging memory of %llu bytes is too large",
				 (unsigned long long)options->staging_bytes);
	return 0;
}

/* Two reads of one bundle each, with room for alignment to pages. */
static uint64_t two_reads_bytes(const struct bundle_geometry *geometry)
{
	return 2 * ((uint64_t)geometry->stride + 4 * PAGE);
}

/* A whole layer fits, if that is not too much. */
uint64_t bundle_store_default_staging(const struct bundle_geometry *geometry)
{
	uint64_t least = two_reads_bytes(geometry);
	uint64_t bytes = bytes_of_layer(geometry) + least;

	if (bytes > DEFAULT_STAGING_BYTES)
		bytes = least > DEFAULT_STAGING_BYTES ? least : DEFAULT_STAGING_BYTES;
	return bytes;
}

uint64_t bundle_store_least_staging(const struct bundle_geometry *geometry)
{
	uint64_t most = bundle_store_default_staging(geometry);
	uint64_t two_reads = two_reads_bytes(geometry);
	uint64_t least = two_reads > LEAST_STAGING_BYTES ? two_reads : LEAST_STAGING_BYTES;

	return least < most ? least : most;
}

/* Bytes of half a layer's staging. */
static size_t half_staging_bytes(const struct bundle_geometry *geometry,
				 const struct bundle_store_options *options)
{
	uint64_t bytes = options->staging_bytes;

	if (!bytes)
		bytes = bundle_store_default_staging(geometry);
	return (size_t)amount_round_up((bytes + 1) / 2, PAGE);
}

static uint32_t layers_in_flight(const struct bundle_store_options *options)
{
	return options->layers_in_flight ? options->layers_in_flight : DEFAULT_LAYERS_IN_FLIGHT;
}

static size_t arena_bytes(const struct bundle_store_options *options, size_t half_bytes)
{
	return 2 * layers_in_flight(options) * half_bytes;
}

static uint32_t queue_depth(const struct bundle_store_options *options)
{
	return options->queue_depth ? options->queue_depth : DEFAULT_QUEUE_DEPTH;
}

static uint64_t cache_capacity(const struct bundle_geometry *geometry,
			       const struct bundle_store_options *options)
{
	return (uint64_t)(options->cache_ratio * ((double)geometry->n_layers * geometry->slots));
}

static int open_source(struct bundle_store *store, const char *path, size_t half_bytes,
		       const struct bundle_store_options *options, struct error *err)
{
	size_t bytes = arena_bytes(options, half_bytes);
	void *arena;
	int ret;

	if (options->own_read_ahead)
		return source_open_mapped(path, options->read_ahead_kib, &store->context.source,
					  err);
	arena = staging_map(bytes);
	if (!arena)
		return error_no_memory(err, "staging; ask for less");
	store->arena = arena;
	store->arena_bytes = bytes;
	ret = source_open(options->source, path, arena, bytes, queue_depth(options),
			  &store->context.source, err);
	if (ret < 0)
		return ret;
	source_observe(store->context.source, options->observer);
	if (source_room(store->context.source, 1) == 0) {
		staging_unmap(arena, bytes);
		store->arena = NULL;
		store->arena_bytes = 0;
	}
	return 0;
}

static int check_staging(const struct bundle_store *store,
			 const struct bundle_store_options *options, struct error *err)
{
	uint32_t stride = store->context.limits.stride;
	size_t least = 2 * source_room(store->context.source, stride);

	if (options->staging_bytes && options->staging_bytes < least)
		return error_set(err, -EINVAL,
				 "staging of %llu bytes is too small: two reads of one bundle of "
				 "%u bytes need %zu",
				 (unsigned long long)options->staging_bytes, stride, least);
	return 0;
}

/* The largest read, in whole bundles, that has room in half a staging memory. */
static uint32_t largest_read(const struct source *source, size_t half_bytes, uint32_t stride)
{
	uint32_t bytes = MAX_READ_BYTES / stride * stride;

	while (bytes > stride && source_room(source, bytes) > half_bytes)
		bytes -= stride;
	return bytes > stride ? bytes : stride;
}

static struct cache_options cache_options_of(const struct bundle_geometry *geometry,
					     const struct bundle_store_options *options)
{
	struct cache_options cache_options = {
		.n_layers = geometry->n_layers,
		.slots = geometry->slots,
		.stride = geometry->stride,
		.capacity = cache_capacity(geometry, options),
		.policy = options->cache_policy,
		.frequency = options->frequency,
	};

	if (options->cost.b_us_per_mib > 0)
		cache_options.break_even_bytes = device_break_even_bytes(options->cost);
	return cache_options;
}

static int make_cache(struct bundle_store *store, const struct bundle_geometry *geometry,
		      const struct bundle_store_options *options, struct error *err)
{
	struct cache_options cache_options = cache_options_of(geometry, options);
	uint64_t room_for_hot = (uint64_t)(options->hot_share * (double)cache_options.capacity);

	store->n_hot = bundle_hot_count(options->frequency,
					(uint64_t)geometry->n_layers * geometry->slots,
					room_for_hot);
	cache_options.n_hot = store->n_hot;
	return cache_create(&cache_options, &store->context.cache, err);
}

static int make_places(struct bundle_store *store, const struct bundle_geometry *geometry,
		       struct error *err)
{
	int ret = bundle_places_create(geometry, &store->places, err);

	if (ret < 0 || !store->places.layers)
		return ret;
	store->places_bytes = bundle_places_bytes(geometry);
	store->context.places = store->places.layers;
	store->context.choice = &store->choice;
	return place_choice_create(geometry->slots, &store->choice, err);
}

static int make_requests(struct bundle_store *store, size_t half_bytes, struct error *err)
{
	for (size_t i = 0; i < store->n_requests; i++) {
		char *staging = store->arena ? store->arena + i * 2 * half_bytes : NULL;
		int ret = bundle_request_init(&store->requests[i], &store->context, staging,
					      half_bytes, err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static int load_hot_layer(struct bundle_store *store, uint32_t layer, const uint64_t *hot,
			  struct error *err)
{
	struct bundle_window window;
	int ret = bundle_store_request(store, layer, hot, err);

	if (ret < 0)
		return ret;
	while ((ret = bundle_store_next(store, layer, &window, err)) > 0)
		for (uint32_t i = 0; i < window.count; i++)
			cache_keep(store->context.cache, layer, window.slots[i],
				   (const char *)window.bundles[i]);
	return ret;
}

/* Read the hot bundles by the store's own means, before its books are opened. */
static int load_hot(struct bundle_store *store, const float *frequency, struct error *err)
{
	uint32_t slots = store->context.slots;
	size_t words = bits_words(slots);
	uint64_t *sets;
	int ret;

	if (!store->n_hot)
		return 0;
	sets = calloc(store->n_layers * words, sizeof(*sets));
	if (!sets)
		return error_no_memory(err, "the hot bundles");
	ret = bundle_hot_find(frequency, store->n_layers, slots, store->n_hot, sets, err);
	for (uint32_t layer = 0; ret == 0 && layer < store->n_layers; layer++)
		ret = load_hot_layer(store, layer, sets + layer * words, err);
	free(sets);
	return ret == 0 ? bundle_store_reset_stats(store, err) : ret;
}

int bundle_store_open(const char *path, const struct bundle_geometry *geometry,
		      const struct bundle_store_options *options, struct bundle_store **result,
		      struct error *err)
{
	size_t offsets_bytes, half_bytes;
	struct bundle_store *store;
	int ret = check_options(geometry, options, err);

	if (ret < 0)
		return ret;
	half_bytes = half_staging_bytes(geometry, options);
	offsets_bytes = geometry->n_layers * sizeof(*store->offsets);
	store = calloc(1, sizeof(*store));
	if (!store || !(store->offsets = malloc(offsets_bytes))) {
		free(store);
		return error_no_memory(err, "the bundle store");
	}
	memcpy(store->offsets, geometry->offsets, offsets_bytes);
	store->n_layers = geometry->n_layers;
	store->n_requests = layers_in_flight(options);
	store->context.slots = geometry->slots;
	store->context.positions = bundle_positions(geometry);
	store->context.limits = (struct plan_limits){
		.cost = options->cost,
		.gap_bytes = options->gap_bytes,
		.stride = geometry->stride,
	};
	ret = open_source(store, path, half_bytes, options, err);
	if (ret == 0)
		ret = check_staging(store, options, err);
	if (ret == 0)
		ret = make_cache(store, geometry, options, err);
	if (ret == 0)
		ret = make_places(store, geometry, err);
	if (ret == 0)
		ret = make_requests(store, half_bytes, err);
	if (ret == 0) {
		store->context.limits.max_read_bytes =
			largest_read(store->context.source, half_bytes, geometry->stride);
		ret = load_hot(store, options->frequency, err);
	}
	if (ret < 0) {
		bundle_store_close(store);
		return ret;
	}
	if (options->refine_cost) {
		device_watch_init(&store->watch, options->cost);
		store->context.watch = &store->watch;
	}
	*result = store;
	return 0;
}

void bundle_store_close(struct bundle_store *store)
{
	if (!store)
		return;
	/* First: it waits for reads that go to the memory freed below. */
	source_close(store->context.source);
	for (size_t i = 0; i < store->n_requests; i++)
		bundle_request_free(&store->requests[i]);
	cache_destroy(store->context.cache);
	bundle_places_free(&store->places);
	place_choice_free(&store->choice);
	staging_unmap(store->arena, store->arena_bytes);
	free(store->offsets);
	free(store);
}

const char *bundle_store_source_name(const struct bundle_store *store)
{
	return source_name(store->context.source);
}

const char *bundle_store_describe(const struct bundle_store *store)
{
	return source_describe(store->context.source);
}

const char *bundle_store_cache_policy(const struct bundle_store *store)
{
	return cache_policy_name(store->context.cache);
}

uint64_t bundle_store_cost(const struct bundle_store *store, struct device_cost *cost,
			   uint64_t *gap_bytes)
{
	*cost = store->context.limits.cost;
	*gap_bytes = store->context.limits.gap_bytes;
	return store->watch.estimator.observations;
}

int bundle_store_plan_memory(const struct bundle_geometry *geometry,
			     const struct bundle_store_options *options,
			     struct bundle_store_memory *memory, struct error *err)
{
	uint64_t bundles = (uint64_t)geometry->n_layers * geometry->slots;
	struct cache_options cache_options;
	struct cache_memory cache;
	int ret = check_options(geometry, options, err);

	if (ret < 0)
		return ret;
	cache_options = cache_options_of(geometry, options);
	ret = cache_memory(&cache_options, &cache, err);
	if (ret < 0)
		return ret;
	*memory = (struct bundle_store_memory){
		.requests = layers_in_flight(options) * bundle_request_bytes(geometry),
		.cache = cache.bundles,
		.tables = cache.tables + bundle_places_bytes(geometry),
	};
	if (source_uses_arena(options->source))
		memory->staging = arena_bytes(options, half_staging_bytes(geometry, options));
	memory->kernel = source_kernel_bytes(options->source, memory->staging,
					     queue_depth(options));
	if (options->hot_share > 0 && cache_options.capacity)
		memory->opening = bundle_hot_bytes(bundles) +
				  geometry->n_layers * bits_words(geometry->slots) *
					  sizeof(uint64_t);
	return 0;
}

uint64_t bundle_store_memory(const struct bundle_store *store)
{
	return store->arena_bytes + cache_bytes(store->context.cache) +
	       cache_table_bytes(store->context.cache) + store->places_bytes;
}

static struct bundle_request *active_request(struct bundle_store *store, uint32_t layer)
{
	for (size_t i = 0; i < store->n_requests; i++)
		if (store->requests[i].active && store->requests[i].layer == layer)
			return &store->requests[i];
	return NULL;
}

static int check_failure(const struct bundle_store *store, struct error *err)
{
	if (store->failure.code && err)
		*err = store->failure;
	return store->failure.code;
}

static void count_request(struct bundle_store_stats *stats, const struct bundle_request *request)
{
	stats->wanted_bundles += request->n_wanted;
	stats->cached_bundles += request->n_wanted - request->n_missing;
	stats->wanted_bytes += request->plan.wanted_bytes;
	stats->runs += request->plan.n_runs;
	stats->run_bundles += request->n_missing;
	stats->predicted_us += request->plan.predicted_us;
}

/* Plan by what the estimate is now. */
static void follow_device(struct bundle_store *store)
{
	if (store->watch.estimator.observations == 0)
		return;
	store->context.limits.cost = store->watch.estimator.cost;
	store->context.limits.gap_bytes = device_break_even_bytes(store->watch.estimator.cost);
}

int bundle_store_request(struct bundle_store *store, uint32_t layer, const uint64_t *wanted,
			 struct error *err)
{
	struct bundle_request *request = store->requests;

	if (check_failure(store, err) < 0)
		return store->failure.code;
	if (layer >= store->n_layers)
		return error_set(err, -EINVAL, "layer %u of %u was asked for", layer,
				 store->n_layers);
	if (active_request(store, layer))
		return error_set(err, -EBUSY, "layer %u was asked for twice", layer);
	while (request->active)
		if (++request == store->requests + store->n_requests)
			return error_set(err, -EBUSY,
					 "layer %u was asked for with %u others in flight", layer,
					 store->n_requests);
	follow_device(store);
	if (bundle_request_start(request, layer, store->offsets[layer], wanted,
				 &store->failure) < 0)
		return check_failure(store, err);
	count_request(&store->stats, request);
	return 0;
}

void bundle_store_advance(struct bundle_store *store)
{
	source_advance(store->context.source);
}

int bundle_store_next(struct bundle_store *store, uint32_t layer, struct bundle_window *window,
		      struct error *err)
{
	struct bundle_request *request;
	int ret;

	if (check_failure(store, err) < 0)
		return store->failure.code;
	request = active_request(store, layer);
	if (!request)
		return error_set(err, -EINVAL, "layer %u was not asked for", layer);
	ret = bundle_request_next(request, window, &store->stats.wait_ns, &store->failure);
	return ret < 0 ? check_failure(store, err) : ret;
}

static uint64_t bookkeeping_ns(const struct bundle_store *store)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < store->n_requests; i++)
		sum += store->requests[i].bookkeeping_ns;
	return sum;
}

int bundle_store_get_stats(const struct bundle_store *store, struct bundle_store_stats *stats,
			   struct error *err)
{
	struct source_counts counts;
	int ret = source_get_counts(store->context.source, &counts, err);

	if (ret < 0)
		return ret;
	*stats = store->stats;
	stats->reads = counts.reads - store->counts_at_reset.reads;
	stats->bytes = counts.bytes - store->counts_at_reset.bytes;
	stats->bookkeeping_ns = bookkeeping_ns(store) - store->bookkeeping_ns_at_reset;
	return 0;
}

int bundle_store_reset_stats(struct bundle_store *store, struct error *err)
{
	int ret = source_get_counts(store->context.source, &store->counts_at_reset, err);

	if (ret < 0)
		return ret;
	store->stats = (struct bundle_store_stats){ 0 };
	store->bookkeeping_ns_at_reset = bookkeeping_ns(store);
	return 0;
}
