// SPDX-License-Identifier: GPL-2.0-only
/*
 * simulate_links MODEL TRACE TOKENS: what following links is worth beside a page cache.
 *
 * A program touches the bundles of a trace in the order of the file, page by page. What is
 * missing is read: by itself, and with it those that the links promise with more than a
 * chance. Counted is what the device works, in a (the cost of an I/O; a/b is 16 KiB), for
 * bundles of several sizes, page caches of several shares of the file (least recently used
 * goes first), and chances. "around" is what Linux does by itself: 128 KiB around a fault.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "bench/token_slots.h"
#include "kernel/link_hints.h"

#define PAGE 4096
#define GAP (16 << 10)
#define AROUND_PAGES 32

/* All pages of the file, those that are resident in a ring from most to least recently used. */
struct cache {
	uint32_t *newer, *older; /* (pages + 1); the last one is where the ring begins */
	bool *resident; /* (pages) */
	uint32_t pages, used, most;
};

struct run {
	const struct token_slots *slots;
	const struct link_hints *hints;
	uint32_t pages_per_bundle;
	uint32_t threshold;
	bool around;
	struct cache cache;
	uint64_t ios, pages;
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
		cache->resident[last] = false;
		cache->used--;
	}
	put_first(cache, page);
	cache->resident[page] = true;
	cache->used++;
}

static void read_pages(struct run *run, uint32_t first, uint32_t end)
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
	}
}

/* The first slot that is not worth reading along, in the arithmetic of the BPF program. */
static uint32_t end_of_run(const struct run *run, const struct link_layer *layer, uint32_t slot)
{
	uint64_t product = LINK_ONE;

	for (; slot + 1 < layer->slots; slot++) {
		product = product * run->hints->hints[layer->first_hint + slot].strength >>
			  LINK_STRENGTH_BITS;
		if (product <= run->threshold)
			break;
	}
	return slot + 1;
}

static void touch(struct run *run, uint32_t layer_number, uint32_t slot)
{
	const struct link_layer *layer = &run->hints->layers[layer_number];
	const uint32_t base = layer_number * layer->slots * run->pages_per_bundle;
	const uint32_t first = base + slot * run->pages_per_bundle;

	for (uint32_t page = first; page < first + run->pages_per_bundle; page++) {
		if (run->cache.resident[page]) {
			take_out(&run->cache, page);
			put_first(&run->cache, page);
		} else if (run->around) {
			uint32_t from = page > AROUND_PAGES / 2 ? page - AROUND_PAGES / 2 : 0;
			uint32_t end = from + AROUND_PAGES;

			read_pages(run, from, end < run->cache.pages ? end : run->cache.pages);
		} else {
			read_pages(run, page, page + 1); /* the fault's own */
			read_pages(run, page + 1, base + end_of_run(run, layer, slot) *
							 run->pages_per_bundle);
		}
	}
}

static double simulate(struct run *run, double share)
{
	const struct token_slots *slots = run->slots;
	const uint32_t pages = slots->n_layers * slots->n_slots * run->pages_per_bundle;
	struct cache cache = {
		.newer = calloc(pages + 1, sizeof(*cache.newer)),
		.older = calloc(pages + 1, sizeof(*cache.older)),
		.resident = calloc(pages, sizeof(*cache.resident)),
		.pages = pages,
		.most = pages * share,
	};

	if (!cache.newer || !cache.older || !cache.resident)
		abort();
	cache.newer[pages] = cache.older[pages] = pages;
	run->cache = cache;
	run->ios = run->pages = 0;
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
	return (run->ios + (double)run->pages * PAGE / GAP) / slots->n_tokens;
}

static void table(struct run *run)
{
	static const double shares[] = { 0.2, 0.25, 0.33, 0.5 }, chances[] = { 0.2, 0.35, 0.5, 0.65, 1 };

	printf("KiB  cache  around    0.2   0.35    0.5   0.65  never\n");
	for (run->pages_per_bundle = 1; run->pages_per_bundle <= 4; run->pages_per_bundle *= 2) {
		for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
			run->around = true;
			printf("%3d %6.2f %7.1f", run->pages_per_bundle * PAGE >> 10, shares[i],
			       simulate(run, shares[i]));
			run->around = false;
			for (size_t c = 0; c < sizeof(chances) / sizeof(chances[0]); c++) {
				run->threshold = LINK_ONE * chances[c];
				printf(" %6.1f", simulate(run, shares[i]));
			}
			printf("\n");
		}
	}
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
		table(&(struct run){ .slots = &slots, .hints = &hints });
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
