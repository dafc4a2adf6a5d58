// SPDX-License-Identifier: GPL-2.0-only
/*
 * LLM in a flash (arXiv 2312.11514): bundles in the order of neurons, and a sliding window.
 * DRAM holds exactly the neurons that the last IO_WINDOW_TOKENS tokens used. What a token
 * wants beyond these is read, each run by one I/O, all of a layer at once, and copied to
 * where it stays; then what only the oldest token of the window used is dropped.
 *
 * Memory for a layer is what its fullest window takes, found before the replay: the paper
 * keeps a matrix with room for as many, too. It may be more than the other methods have.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/clock.h"
#include "bench/io_method.h"
#include "storage/plan.h"
#include "storage/source.h"

/* Larger I/Os gain nothing on flash. */
#define MAX_READ_BYTES (1u << 20)
#define PAGE 4096

/* The neurons of a layer that are in DRAM. */
struct layer_window {
	uint32_t capacity; /* bundles of the fullest window */
	uint8_t *bundles; /* (capacity, stride) */
	uint32_t *place_of; /* (slots): in bundles; of those that are kept */
	uint32_t *last_use; /* (slots): token + 1, 0: none; kept while within the window */
	uint32_t *free; /* (capacity): a stack of places */
	uint32_t n_free;
};

struct replay {
	const struct io_method *method;
	const struct io_inputs *inputs;
	const struct io_setting *setting;
	struct plan_limits limits;
	struct layer_window *layers; /* (n_layers) */
	uint32_t most_wanted; /* bundles, by a token in a layer */
	uint64_t *missing; /* of one layer */
	struct plan plan;
	struct source_read *reads; /* (reads_capacity) */
	uint32_t reads_capacity;
	struct source *source;
	char *arena; /* room for the reads of the largest request */
	size_t arena_bytes;
};

/* Is the slot one that the tokens before `token`, back to the window's oldest, used? */
static bool is_kept(const struct layer_window *layer, uint32_t slot, uint32_t token)
{
	return layer->last_use[slot] && layer->last_use[slot] + IO_WINDOW_TOKENS > token;
}

/* Bundles that are in DRAM together: those of the window before a token, and its own. */
static uint32_t count_window(const struct replay *replay, uint32_t layer, uint32_t token,
			     uint64_t *set)
{
	size_t words = bits_words(replay->inputs->geometry.slots);
	uint32_t first = token < IO_WINDOW_TOKENS ? 0 : token - IO_WINDOW_TOKENS;

	memset(set, 0, words * sizeof(*set));
	for (uint32_t t = first; t <= token; t++) {
		const uint64_t *wanted = io_wanted(replay->method, replay->inputs, t, layer);

		for (size_t i = 0; i < words; i++)
			set[i] |= wanted[i];
	}
	return (uint32_t)bits_count(set, words);
}

static uint32_t count_fullest_window(const struct replay *replay, uint32_t layer)
{
	uint32_t fullest = 0;

	for (uint32_t token = 0; token < replay->inputs->n_tokens; token++) {
		uint32_t n = count_window(replay, layer, token, replay->missing);

		fullest = n > fullest ? n : fullest;
	}
	return fullest;
}

static int make_layer(struct replay *replay, uint32_t index, struct error *err)
{
	const struct bundle_geometry *geometry = &replay->inputs->geometry;
	struct layer_window *layer = &replay->layers[index];

	for (uint32_t token = 0; token < replay->inputs->n_tokens; token++) {
		const uint64_t *wanted = io_wanted(replay->method, replay->inputs, token, index);
		uint32_t own = (uint32_t)bits_count(wanted, bits_words(geometry->slots));

		replay->most_wanted = own > replay->most_wanted ? own : replay->most_wanted;
	}
	layer->capacity = count_fullest_window(replay, index);
	layer->bundles = malloc((size_t)layer->capacity * geometry->stride + 1);
	layer->place_of = calloc(geometry->slots, sizeof(*layer->place_of));
	layer->last_use = calloc(geometry->slots, sizeof(*layer->last_use));
	layer->free = malloc(((size_t)layer->capacity + 1) * sizeof(*layer->free));
	if (!layer->bundles || !layer->place_of || !layer->last_use || !layer->free)
		return error_no_memory(err, "the neurons of the last tokens");
	/* Page faults are no part of what is measured. */
	memset(layer->bundles, 0, (size_t)layer->capacity * geometry->stride);
	for (uint32_t i = 0; i < layer->capacity; i++)
		layer->free[layer->n_free++] = i;
	return 0;
}

int io_window_bytes(const struct io_inputs *inputs, uint64_t *bytes, struct error *err)
{
	const struct io_method method = { .layout = IO_IDENTITY };
	struct replay replay = { .method = &method, .inputs = inputs };
	uint64_t bundles = 0;

	replay.missing = calloc(bits_words(inputs->geometry.slots), sizeof(*replay.missing));
	if (!replay.missing)
		return error_no_memory(err, "a layer's neurons");
	for (uint32_t layer = 0; layer < inputs->geometry.n_layers; layer++)
		bundles += count_fullest_window(&replay, layer);
	free(replay.missing);
	*bytes = bundles * inputs->geometry.stride;
	return 0;
}

static int open_source(struct replay *replay, struct error *err)
{
	/* At the worst each bundle is a run by itself, with room to align it. */
	uint64_t bytes = (replay->most_wanted + UINT64_C(1)) *
			 (replay->inputs->geometry.stride + UINT64_C(4) * PAGE);
	int ret;

	bytes = (bytes + PAGE - 1) / PAGE * PAGE;
	replay->arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
	if (replay->arena == MAP_FAILED) {
		replay->arena = NULL;
		return error_no_memory(err, "the reads of a layer");
	}
	replay->arena_bytes = bytes;
	ret = source_open("auto", replay->inputs->path, replay->arena, bytes,
			  replay->setting->queue_depth, &replay->source, err);
	if (ret == 0)
		source_observe(replay->source, replay->setting->observer);
	return ret;
}

static int prepare(struct replay *replay, struct error *err)
{
	const struct bundle_geometry *geometry = &replay->inputs->geometry;
	int ret = 0;

	replay->limits = (struct plan_limits){
		.cost = replay->setting->cost,
		.stride = geometry->stride,
		.max_read_bytes = MAX_READ_BYTES,
	};
	replay->layers = calloc(geometry->n_layers, sizeof(*replay->layers));
	replay->missing = calloc(bits_words(geometry->slots), sizeof(*replay->missing));
	if (!replay->layers || !replay->missing)
		return error_no_memory(err, "layers");
	for (uint32_t layer = 0; ret == 0 && layer < geometry->n_layers; layer++)
		ret = make_layer(replay, layer, err);
	return ret < 0 ? ret : open_source(replay, err);
}

static void finish(struct replay *replay)
{
	source_close(replay->source);
	if (replay->arena)
		munmap(replay->arena, replay->arena_bytes);
	for (uint32_t i = 0; replay->layers && i < replay->inputs->geometry.n_layers; i++) {
		free(replay->layers[i].bundles);
		free(replay->layers[i].place_of);
		free(replay->layers[i].last_use);
		free(replay->layers[i].free);
	}
	free(replay->layers);
	free(replay->missing);
	free(replay->reads);
	plan_free(&replay->plan);
}

/* Note what is not kept as missing; returns how many are. */
static uint32_t look_up(struct replay *replay, const struct layer_window *layer,
			const uint64_t *wanted, uint32_t token)
{
	size_t n = replay->inputs->geometry.slots;
	uint32_t kept = 0;

	memset(replay->missing, 0, bits_words(n) * sizeof(*replay->missing));
	for (size_t slot = bits_next(wanted, n, 0); slot < n; slot = bits_next(wanted, n, slot + 1)) {
		if (is_kept(layer, (uint32_t)slot, token))
			kept++;
		else
			bits_set(replay->missing, slot);
	}
	return kept;
}

static int make_reads(struct replay *replay, uint32_t layer, struct error *err)
{
	const struct bundle_geometry *geometry = &replay->inputs->geometry;
	char *room = replay->arena;
	int ret = plan_make(replay->missing, geometry->slots, &replay->limits, &replay->plan, err);

	if (ret < 0)
		return ret;
	if (replay->plan.n_reads > replay->reads_capacity) {
		free(replay->reads);
		replay->reads = calloc(replay->plan.capacity, sizeof(*replay->reads));
		replay->reads_capacity = replay->reads ? replay->plan.capacity : 0;
		if (!replay->reads)
			return error_no_memory(err, "the reads of a layer");
	}
	for (uint32_t i = 0; i < replay->plan.n_reads; i++) {
		const struct plan_read *planned = &replay->plan.reads[i];
		uint64_t first = (uint64_t)planned->first_slot * geometry->stride;
		uint32_t length = planned->n_slots * geometry->stride;

		replay->reads[i] = (struct source_read){
			.offset = geometry->offsets[layer] + first,
			.length = length,
			.room = room,
		};
		room += source_room(replay->source, length);
	}
	return 0;
}

/* Copy what was read to where it stays. Without collapse a read has nothing else. */
static void keep_reads(struct replay *replay, struct layer_window *layer)
{
	size_t stride = replay->inputs->geometry.stride;

	for (uint32_t i = 0; i < replay->plan.n_reads; i++) {
		const struct plan_read *planned = &replay->plan.reads[i];

		for (uint32_t k = 0; k < planned->n_slots; k++) {
			uint32_t place = layer->free[--layer->n_free];

			layer->place_of[planned->first_slot + k] = place;
			memcpy(layer->bundles + place * stride, replay->reads[i].data + k * stride,
			       stride);
		}
	}
}

static void consume(const struct replay *replay, uint32_t token, uint32_t index,
		    const uint64_t *wanted)
{
	const struct layer_window *layer = &replay->layers[index];
	const struct io_setting *setting = replay->setting;
	size_t n = replay->inputs->geometry.slots, stride = replay->inputs->geometry.stride;

	for (size_t slot = bits_next(wanted, n, 0); slot < n; slot = bits_next(wanted, n, slot + 1))
		setting->consume(setting->consume_arg, token, index, (uint32_t)slot,
				 layer->bundles + layer->place_of[slot] * stride, (uint32_t)stride);
}

/* The window moves on: the token's neurons are its newest, and its oldest token leaves. */
static void move_window(struct replay *replay, uint32_t token, uint32_t index)
{
	const uint64_t *newest = io_wanted(replay->method, replay->inputs, token, index);
	struct layer_window *layer = &replay->layers[index];
	size_t n = replay->inputs->geometry.slots;
	const uint64_t *oldest;
	size_t slot;

	for (slot = bits_next(newest, n, 0); slot < n; slot = bits_next(newest, n, slot + 1))
		layer->last_use[slot] = token + 1;
	if (token < IO_WINDOW_TOKENS)
		return;
	oldest = io_wanted(replay->method, replay->inputs, token - IO_WINDOW_TOKENS, index);
	for (slot = bits_next(oldest, n, 0); slot < n; slot = bits_next(oldest, n, slot + 1))
		if (!is_kept(layer, (uint32_t)slot, token + 1))
			layer->free[layer->n_free++] = layer->place_of[slot];
}

static int replay_layer(struct replay *replay, uint32_t token, uint32_t index,
			struct io_token *result, struct error *err)
{
	const uint64_t *wanted = io_wanted(replay->method, replay->inputs, token, index);
	struct layer_window *layer = &replay->layers[index];
	double begin = clock_ms(), after;
	uint32_t kept = look_up(replay, layer, wanted, token);
	int ret = make_reads(replay, index, err);

	result->bookkeeping_ms += clock_ms() - begin;
	if (ret == 0)
		ret = source_submit(replay->source, replay->reads, replay->plan.n_reads, err);
	if (ret == 0)
		ret = source_wait(replay->source, replay->reads, replay->plan.n_reads, err);
	if (ret < 0)
		return ret;
	begin = clock_ms();
	keep_reads(replay, layer);
	after = clock_ms();
	consume(replay, token, index, wanted);
	result->bookkeeping_ms += after - begin;
	begin = clock_ms();
	move_window(replay, token, index);
	result->bookkeeping_ms += clock_ms() - begin;
	result->cached += kept;
	result->runs += replay->plan.n_runs;
	result->run_bundles += replay->plan.wanted_bytes / replay->limits.stride;
	result->predicted_ms += replay->plan.predicted_us / 1e3;
	return 0;
}

static int replay_token(struct replay *replay, uint32_t token, struct io_token *result,
			struct error *err)
{
	struct source_counts before, after;
	int ret = source_get_counts(replay->source, &before, err);
	double begin = clock_ms();

	for (uint32_t layer = 0; ret == 0 && layer < replay->inputs->geometry.n_layers; layer++)
		ret = replay_layer(replay, token, layer, result, err);
	result->io_ms = clock_ms() - begin;
	if (ret == 0)
		ret = source_get_counts(replay->source, &after, err);
	if (ret < 0)
		return ret;
	result->reads = after.reads - before.reads;
	result->bytes = after.bytes - before.bytes;
	result->wanted = result->cached + result->run_bundles;
	return 0;
}

int io_window_replay(const struct io_method *method, const struct io_inputs *inputs,
		     const struct io_setting *setting, struct io_outcome *outcome, struct error *err)
{
	struct replay replay = { .method = method, .inputs = inputs, .setting = setting };
	int ret = prepare(&replay, err);

	for (uint32_t token = 0; ret == 0 && token < outcome->n_tokens; token++)
		ret = replay_token(&replay, token, &outcome->tokens[token], err);
	for (uint32_t layer = 0; ret == 0 && layer < inputs->geometry.n_layers; layer++)
		outcome->cache_bytes +=
			(uint64_t)replay.layers[layer].capacity * inputs->geometry.stride;
	finish(&replay);
	return ret;
}
