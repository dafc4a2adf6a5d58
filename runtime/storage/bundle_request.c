// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "storage/bundle_request.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int bundle_request_init(struct bundle_request *request,
			const struct bundle_request_context *context, char *staging,
			size_t half_bytes, struct error *err)
{
	size_t slots = context->slots;
	bool all;

	*request = (struct bundle_request){
		.context = context,
		.staging = staging,
		.half_bytes = half_bytes,
		.slots = calloc(slots, sizeof(*request->slots)),
		.bundles = calloc(slots, sizeof(*request->bundles)),
		.missing = calloc(bits_words(slots), sizeof(*request->missing)),
		.reads = calloc(slots, sizeof(*request->reads)),
	};
	all = request->slots && request->bundles && request->missing && request->reads;
	if (context->places) {
		request->from = calloc(bits_words(context->positions), sizeof(*request->from));
		request->index_of = calloc(slots, sizeof(*request->index_of));
		all = all && request->from && request->index_of;
	}
	if (all)
		return 0;
	bundle_request_free(request);
	return error_no_memory(err, "the bundles of a layer in flight");
}

uint64_t bundle_request_bytes(const struct bundle_geometry *geometry)
{
	const struct bundle_request *request;
	uint64_t of_slot = sizeof(*request->slots) + sizeof(*request->bundles) +
			   sizeof(*request->reads);
	uint32_t slots = geometry->slots, positions = bundle_positions(geometry);
	uint64_t bytes = slots * of_slot + bits_words(slots) * sizeof(*request->missing) +
			 plan_bytes(positions);

	if (positions > slots)
		bytes += bits_words(positions) * sizeof(*request->from) +
			 slots * sizeof(*request->index_of);
	return bytes;
}

void bundle_request_free(struct bundle_request *request)
{
	free(request->slots);
	free(request->bundles);
	free(request->missing);
	free(request->from);
	free(request->index_of);
	free(request->reads);
	plan_free(&request->plan);
	*request = (struct bundle_request){ 0 };
}

/* List the wanted slots, pin the cached ones, note the others as missing. */
static void look_up(struct bundle_request *request, const uint64_t *wanted)
{
	const struct bundle_request_context *context = request->context;
	uint32_t slots = context->slots;

	cache_begin(context->cache);
	request->n_wanted = 0;
	request->n_missing = 0;
	memset(request->missing, 0, bits_words(slots) * sizeof(*request->missing));
	for (size_t slot = bits_next(wanted, slots, 0); slot < slots;
	     slot = bits_next(wanted, slots, slot + 1)) {
		const char *bundle = cache_lookup(context->cache, request->layer, (uint32_t)slot);

		request->slots[request->n_wanted] = (uint32_t)slot;
		request->bundles[request->n_wanted++] = (const void *)bundle;
		if (!bundle) {
			bits_set(request->missing, slot);
			request->n_missing++;
		}
	}
}

/* Of the layer; NULL: slots are positions. */
static const struct bundle_places *places_of(const struct bundle_request *request)
{
	const struct bundle_places *places = request->context->places;

	return places ? &places[request->layer] : NULL;
}

static int plan_positions(struct bundle_request *request, struct error *err)
{
	const struct bundle_request_context *context = request->context;

	return plan_make(request->from, context->positions, &context->limits, &request->plan, err);
}

static bool fits_one_half(const struct bundle_request *request)
{
	size_t left = request->half_bytes;

	for (uint32_t i = 0; i < request->plan.n_reads; i++) {
		uint32_t length = request->plan.reads[i].n_slots * request->context->limits.stride;
		size_t need = source_room(request->context->source, length);

		if (need > left)
			return false;
		left -= need;
	}
	return true;
}

/* What an I/O costs in bundles; without collapse every run is one, however little it costs. */
static double io_bundles(const struct plan_limits *limits)
{
	return limits->gap_bytes ? (double)limits->gap_bytes / limits->stride : 0.5;
}

/* From where the missing bundles are to be read: see struct bundle_request. */
static int plan_places(struct bundle_request *request, const struct bundle_places *places,
		       struct error *err)
{
	const struct bundle_request_context *context = request->context;
	const struct plan_limits *limits = &context->limits;
	int ret;

	if ((uint64_t)request->n_missing * limits->stride <= request->half_bytes) {
		place_choice_make(context->choice, &places->places, request->missing,
				  io_bundles(limits), request->from);
		ret = plan_positions(request, err);
		if (ret < 0 || fits_one_half(request))
			return ret;
	}
	bundle_places_take_primary(places, request->missing, request->from);
	return plan_positions(request, err);
}

static int make_plan(struct bundle_request *request, struct error *err)
{
	const struct bundle_request_context *context = request->context;
	const struct bundle_places *places = places_of(request);

	if (places)
		return plan_places(request, places, err);
	return plan_make(request->missing, context->slots, &context->limits, &request->plan, err);
}

static void prepare_reads(struct bundle_request *request, uint64_t offset)
{
	const struct plan *plan = &request->plan;
	uint64_t stride = request->context->limits.stride;

	for (uint32_t i = 0; i < plan->n_reads; i++)
		request->reads[i] = (struct source_read){
			.offset = offset + plan->reads[i].first_slot * stride,
			.length = (uint32_t)(plan->reads[i].n_slots * stride),
		};
}

/* Give the next reads room in one half, as many as fit; returns the first that does not. */
static uint32_t fill_half(struct bundle_request *request, uint32_t first_read, uint32_t half)
{
	size_t left = request->half_bytes;
	char *room = request->staging ? request->staging + half * request->half_bytes : NULL;
	uint32_t i;

	for (i = first_read; i < request->plan.n_reads; i++) {
		struct source_read *read = &request->reads[i];
		size_t need = source_room(request->context->source, read->length);

		if (need > left)
			break;
		read->room = room;
		if (need)
			room += need;
		left -= need;
	}
	return i;
}

/* Every read begins with a wanted bundle. */
static uint32_t first_slot_of(const struct bundle_request *request, uint32_t read)
{
	const struct bundle_places *places = places_of(request);
	uint32_t position = request->plan.reads[read].first_slot;

	return places ? places->slot_at[position] : position;
}

/* Cut the window that follows the last started one, and start its reads. */
static int start_window(struct bundle_request *request, struct error *err)
{
	uint32_t half = request->n_started % 2;
	struct bundle_request_window *window = &request->windows[half];
	const struct bundle_request_window *before = &request->windows[1 - half];
	const struct bundle_request_context *context = request->context;
	uint32_t end_bundle = request->n_wanted;
	int ret;

	*window = (struct bundle_request_window){
		.first_read = before->end_read,
		.first_bundle = before->end_bundle,
	};
	window->end_read = fill_half(request, window->first_read, half);
	if (window->end_read < request->plan.n_reads) {
		uint32_t next_slot = first_slot_of(request, window->end_read);

		for (end_bundle = window->first_bundle; request->slots[end_bundle] < next_slot;)
			end_bundle++;
	}
	window->end_bundle = end_bundle;
	request->n_started++;
	ret = source_submit(context->source, request->reads + window->first_read,
			    window->end_read - window->first_read, err);
	if (context->watch)
		window->submitted = device_mark_now(context->source);
	return ret;
}

/* Start windows until both halves are in use or every wanted bundle is in a window. */
static int start_windows(struct bundle_request *request, struct error *err)
{
	for (;;) {
		uint32_t in_use = request->n_started - request->n_handed;
		uint32_t last = (request->n_started + 1) % 2;
		int ret;

		if (in_use == 2 || request->windows[last].end_bundle == request->n_wanted)
			return 0;
		ret = start_window(request, err);
		if (ret < 0)
			return ret;
	}
}

int bundle_request_start(struct bundle_request *request, uint32_t layer, uint64_t offset,
			 const uint64_t *wanted, struct error *err)
{
	uint64_t before = now_ns();
	int ret;

	request->active = true;
	request->layer = layer;
	request->n_started = 0;
	request->n_handed = 0;
	request->handed_out = false;
	memset(request->windows, 0, sizeof(request->windows));
	look_up(request, wanted);
	ret = make_plan(request, err);
	if (ret == 0)
		prepare_reads(request, offset);
	request->bookkeeping_ns += now_ns() - before;
	if (ret == 0)
		ret = start_windows(request, err);
	return ret;
}

/* Offer the cache what one read brought, from bundle i on; returns the first one after it. */
static uint32_t admit_read(struct bundle_request *request, const struct plan_read *planned,
			   uint32_t i, uint32_t end_bundle)
{
	struct cache_read read = { .slots = planned->n_slots };
	uint32_t end;

	for (end = i; end < end_bundle; end++) {
		if (request->slots[end] >= planned->first_slot + planned->n_slots)
			break;
		read.bundles += bits_test(request->missing, request->slots[end]);
	}
	for (; i < end; i++)
		if (bits_test(request->missing, request->slots[i]))
			cache_admit(request->context->cache, request->layer, request->slots[i],
				    (const char *)request->bundles[i], read);
	return end;
}

/* The same by the positions that were wanted of the read. */
static void admit_positions(struct bundle_request *request, const struct bundle_places *places,
			    const struct plan_read *planned)
{
	struct cache_read read = { .slots = planned->n_slots };
	const uint64_t *from = request->from;
	size_t begin = planned->first_slot, end = begin + planned->n_slots;

	for (size_t i = begin; i < end; i++)
		read.bundles += bits_test(from, i);
	for (size_t i = begin; i < end; i = bits_next(from, end, i + 1)) {
		uint32_t slot = places->slot_at[i];
		const void *bundle = request->bundles[request->index_of[slot]];

		cache_admit(request->context->cache, request->layer, slot, bundle, read);
	}
}

/* The consumer is done with a window: cached bundles may go, read ones may come. */
static void finish_window(struct bundle_request *request,
			  const struct bundle_request_window *window)
{
	struct cache *cache = request->context->cache;
	const struct bundle_places *places = places_of(request);
	uint32_t next = window->first_bundle;
	uint64_t before = now_ns();

	for (uint32_t i = window->first_bundle; i < window->end_bundle; i++)
		if (!bits_test(request->missing, request->slots[i]))
			cache_unpin(cache, request->layer, request->slots[i]);
	for (uint32_t k = window->first_read; k < window->end_read; k++) {
		const struct plan_read *planned = &request->plan.reads[k];

		if (places)
			admit_positions(request, places, planned);
		else
			next = admit_read(request, planned, next, window->end_bundle);
	}
	request->bookkeeping_ns += now_ns() - before;
}

static int wait_for_window(struct bundle_request *request,
			   const struct bundle_request_window *window, uint64_t *wait_ns,
			   struct error *err)
{
	const struct bundle_request_context *context = request->context;
	uint64_t before = now_ns();
	int ret = source_wait(context->source, request->reads + window->first_read,
			      window->end_read - window->first_read, err);

	*wait_ns += now_ns() - before;
	if (ret == 0 && context->watch && window->end_read > window->first_read) {
		struct device_mark now = device_mark_now(context->source);

		device_watch_waited(context->watch, &window->submitted, before, &now);
	}
	return ret;
}

/* Every missing slot lies in a read of its window; both ascend. */
static void locate_read_bundles(struct bundle_request *request,
				const struct bundle_request_window *window)
{
	const struct plan_read *planned = request->plan.reads + window->first_read;
	const struct source_read *read = request->reads + window->first_read;
	size_t stride = request->context->limits.stride;

	for (uint32_t i = window->first_bundle; i < window->end_bundle; i++) {
		uint32_t slot = request->slots[i];

		if (!bits_test(request->missing, slot))
			continue;
		while (slot - planned->first_slot >= planned->n_slots) {
			planned++;
			read++;
		}
		request->bundles[i] =
			(const void *)(read->data + (slot - planned->first_slot) * stride);
	}
}

/* The same by the positions that were wanted of each read. */
static void locate_positions(struct bundle_request *request, const struct bundle_places *places,
			     const struct bundle_request_window *window)
{
	const uint64_t *from = request->from;
	size_t stride = request->context->limits.stride;

	for (uint32_t i = window->first_bundle; i < window->end_bundle; i++)
		request->index_of[request->slots[i]] = i;
	for (uint32_t k = window->first_read; k < window->end_read; k++) {
		const struct plan_read *planned = &request->plan.reads[k];
		size_t begin = planned->first_slot, end = begin + planned->n_slots;

		for (size_t i = begin; i < end; i = bits_next(from, end, i + 1))
			request->bundles[request->index_of[places->slot_at[i]]] =
				(const void *)(request->reads[k].data + (i - begin) * stride);
	}
}

int bundle_request_next(struct bundle_request *request, struct bundle_window *result,
			uint64_t *wait_ns, struct error *err)
{
	const struct bundle_places *places = places_of(request);
	const struct bundle_request_window *window;
	int ret;

	if (request->handed_out) {
		finish_window(request, &request->windows[(request->n_handed - 1) % 2]);
		request->handed_out = false;
		ret = start_windows(request, err);
		if (ret < 0)
			return ret;
	}
	if (request->n_handed == request->n_started) {
		request->active = false;
		return 0;
	}
	window = &request->windows[request->n_handed % 2];
	ret = wait_for_window(request, window, wait_ns, err);
	if (ret < 0)
		return ret;
	if (places)
		locate_positions(request, places, window);
	else
		locate_read_bundles(request, window);
	request->n_handed++;
	request->handed_out = true;
	*result = (struct bundle_window){
		.count = window->end_bundle - window->first_bundle,
		.slots = request->slots + window->first_bundle,
		.bundles = request->bundles + window->first_bundle,
	};
	return 1;
}
