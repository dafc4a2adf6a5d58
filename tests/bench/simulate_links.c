// SPDX-License-Identifier: GPL-2.0-only
/*
 * simulate_links MODEL TRACE TOKENS: what following links is worth beside a page cache.
 *
 * A program touches the bundles of a trace in the order of the file, page by page, from a cold
 * page cache. What is missing is read, and with it, in one I/O, those behind that the links
 * promise with more than a chance. Counted is what the device works, in a (the cost of an I/O;
 * a/b is 16 KiB), for bundles of several sizes, page caches of several shares of the file (least
 * recently used goes first), and chances; and of the pages read along for a link, those that
 * nobody used. "around" is what Linux does by itself: 128 KiB around a fault. With room, that is
 * what a fault does until something is missed that was pushed out.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "bench/token_slots.h"
#include "kernel/link_hints.h"

#define PAGE 4096
#define GAP (16 << 10)
#define AROUND_PAGES 32
#define MAX_RUN 64
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* All pages of the file, those that are resident in a ring from most to least recently used. */
struct cache {
	uint32_t *newer, *older; /* (pages + 1); the last one is where the ring begins */
	bool *resident; /* (pages) */
	bool *waits; /* (pages): was read along, and not used yet */
	bool *left; /* (pages): was pushed out */
	uint32_t pages, used, most;
};

struct run {
	const struct token_slots *slots;
	const struct link_hints *hints;
	uint32_t bundle_bytes;
	uint32_t threshold;
	bool around; /* always */
	bool room; /* as long as there is room */
	bool no_room; /* something was missed that was pushed out */
	struct cache cache;
	uint64_t ios, pages, along, used;
};

static void take_out(struct cache *cache, uint32_t page)
{
	cache->older[cache->newer[page]] = cache->older[page];
	cache->newer[cache->older[page]] = cache->newer[page];
}

static void put_first(struct cache *cache, uint32_t page)
{
	const uint32_t head = cache->pages;

	cache->newer[page] = head;
	cache->older[page] = cache->older[head];
	cache->newer[cache->older[head]] = page;
	cache->older[head] = page;
}

static void add(struct cache *cache, uint32_t page)
{
	if (cache->used == cache->most) {
		uint32_t last = cache->newer[cache->pages];

		take_out(cache, last);
		cache->resident[last] = cache->waits[last] = false;
		cache->left[last] = true;
		cache->used--;
	}
	put_first(cache, page);
	cache->resident[page] = true;
	cache->used++;
}

/* Pages but the wanted one are read along for a link, or else as the kernel does. */
static void read_pages(struct run *run, uint32_t first, uint32_t end, uint32_t wanted, bool along)
{
	bool joined = false;

	for (uint32_t page = first; page < end; page++) {
		if (run->cache.resident[page]) {
			joined = false;
			continue;
		}
		run->ios += !joined;
		run->pages++;
		joined = true;
		add(&run->cache, page);
		run->cache.waits[page] = along && page != wanted;
		run->along += run->cache.waits[page];
	}
}

/* The first slot that is not worth reading along, as the BPF program has it. */
static uint32_t end_of_run(const struct run *run, const struct link_layer *layer, uint32_t slot)
{
	const struct link_hint *hints = &run->hints->hints[layer->first_hint];
	const uint32_t first = slot;

	while (slot + 1 < layer->slots && slot - first < MAX_RUN &&
	       hints[slot].strength > run->threshold)
		slot++;
	return slot + 1;
}

static void hit(struct run *run, uint32_t page)
{
	take_out(&run->cache, page);
	put_first(&run->cache, page);
	run->used += run->cache.waits[page];
	run->cache.waits[page] = false;
}

static void miss(struct run *run, uint32_t page, const struct link_layer *layer, uint32_t slot)
{
	const uint64_t base = layer->number * (uint64_t)layer->slots;
	uint32_t from = page, end;
	bool around;

	run->no_room |= run->cache.left[page];
	around = run->around || (run->room && !run->no_room);
	if (around) {
		from = page > AROUND_PAGES / 2 ? page - AROUND_PAGES / 2 : 0;
		end = from + AROUND_PAGES;
	} else {
		end = ((base + end_of_run(run, layer, slot)) * run->bundle_bytes + PAGE - 1) / PAGE;
	}
	read_pages(run, from, end < run->cache.pages ? end : run->cache.pages, page, !around);
}

static void touch(struct run *run, uint32_t layer_number, uint32_t slot)
{
	const struct link_layer *layer = &run->hints->layers[layer_number];
	const uint64_t first = ((uint64_t)layer_number * layer->slots + slot) * run->bundle_bytes;

	for (uint32_t page = first / PAGE; page <= (first + run->bundle_bytes - 1) / PAGE; page++) {
		if (run->cache.resident[page])
			hit(run, page);
		else
			miss(run, page, layer, slot);
	}
}

static double simulate(struct run *run, double share)
{
	const struct token_slots *slots = run->slots;
	const uint64_t bytes = (uint64_t)slots->n_layers * slots->n_slots * run->bundle_bytes;
	const uint32_t pages = (bytes + PAGE - 1) / PAGE;
	struct cache cache = {
		.newer = calloc(pages + 1, sizeof(*cache.newer)),
		.older = calloc(pages + 1, sizeof(*cache.older)),
		.resident = calloc(pages, sizeof(*cache.resident)),
		.waits = calloc(pages, sizeof(*cache.waits)),
		.left = calloc(pages, sizeof(*cache.left)),
		.pages = pages,
		.most = pages * share,
	};

	if (!cache.newer || !cache.older || !cache.resident || !cache.waits || !cache.left)
		abort();
	cache.newer[pages] = cache.older[pages] = pages;
	run->cache = cache;
	run->no_room = false;
	run->ios = run->pages = run->along = run->used = 0;
	for (uint32_t token = 0; token < slots->n_tokens; token++) {
		for (uint32_t layer = 0; layer < slots->n_layers; layer++) {
			const uint64_t *set = token_slots_of(slots, token, layer);
			const size_t n = slots->n_slots;

			for (size_t slot = bits_next(set, n, 0); slot < n;
			     slot = bits_next(set, n, slot + 1))
				touch(run, layer, slot);
		}
	}
	free(cache.newer);
	free(cache.older);
	free(cache.resident);
	free(cache.waits);
	free(cache.left);
	return (run->ios + (double)run->pages * PAGE / GAP) / slots->n_tokens;
}

static void print_one(struct run *run, double share)
{
	const double cost = simulate(run, share);

	printf(" %7.1f", cost);
	if (!run->around)
		printf(" %3.0f%%",
		       run->along ? 100.0 * (run->along - run->used) / run->along : 0);
}

/* One size and share: around, then each chance. */
static void row(struct run *run, double share, const double *chances, size_t n)
{
	printf("%3g %6.2f", run->bundle_bytes / 1024.0, share);
	run->around = true;
	print_one(run, share);
	run->around = false;
	for (size_t i = 0; i < n; i++) {
		run->threshold = LINK_ONE * chances[i];
		print_one(run, share);
	}
	printf("\n");
}

static void table(struct run *run, bool room)
{
	static const double chances[] = { 0.05, 0.2, 0.35, 0.5, 0.65, 0.75, 0.85, 1 };
	static const double shares[] = { 0.2, 0.25, 0.33, 0.5, 1 };

	run->room = room;
	printf("KiB  cache  around");
	for (size_t i = 0; i < COUNT_OF(chances); i++)
		printf(" %12g", chances[i]);
	printf("\n");
	for (run->bundle_bytes = PAGE / 4; run->bundle_bytes <= 4 * PAGE; run->bundle_bytes *= 2)
		for (size_t i = 0; i < COUNT_OF(shares); i++)
			row(run, shares[i], chances, COUNT_OF(chances));
}

static void tables(struct run *run)
{
	printf("Faults read around while there is room, then follow links over a chance:\n");
	table(run, true);
	printf("\nFaults follow links over a chance:\n");
	table(run, false);
}

int main(int argc, char **argv)
{
	struct model_file *model = NULL;
	struct trace *trace = NULL;
	struct token_slots slots = { 0 };
	struct link_hints hints = { 0 };
	struct error err = { 0 };
	int ret = -1;

	if (argc != 4) {
		fprintf(stderr, "usage: simulate_links MODEL TRACE TOKENS\n");
		return 2;
	}
	ret = model_file_open(argv[1], &model, &err);
	if (ret == 0)
		ret = trace_open(argv[2], &trace, &err);
	if (ret == 0)
		ret = token_slots_read(model, trace, argv[2], 0, atoi(argv[3]), &slots, &err);
	if (ret == 0)
		ret = link_hints_read(model, GAP, &hints, &err);
	if (ret == 0)
		tables(&(struct run){ .slots = &slots, .hints = &hints });
	else
		fprintf(stderr, "simulate_links: %s\n", err.message);
	link_hints_free(&hints);
	token_slots_free(&slots);
	if (trace)
		trace_close(trace);
	if (model)
		model_file_close(model);
	return ret < 0;
}
