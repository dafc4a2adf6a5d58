// SPDX-License-Identifier: GPL-2.0-only
/*
 * S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache
 * eviction, SOSP'23). New bundles enter a small queue, a tenth of the cache. What was
 * used at least twice before it comes out of there goes on to the main queue, the rest
 * goes; what comes back soon after that enters the main queue at once. The main queue
 * gives what was used another round for each use, of which three count.
 *
 * The ghost queue of the paper remembers what went from the small queue; here each
 * bundle has the number of its going, and is remembered while it is among the last
 * ones, as many as the main queue holds. Numbers wrap after 2^32: a bundle may then be
 * taken for a recent one, which costs a place in the main queue, once.
 */
#include "storage/cache_policy.h"

#define SMALL_PART 10
#define USES_TO_STAY 2
#define MAX_USES 3
#define NOT_GONE 0

struct queue {
	uint32_t n;
	uint32_t oldest; /* valid with n > 0, as is newest */
	uint32_t newest;
};

struct s3_state {
	struct queue small;
	struct queue main;
	uint32_t small_target;
	uint32_t main_target; /* and how many of those that went are remembered */
	uint32_t last_gone; /* number of the last one that went from the small queue */
	uint32_t *newer; /* (n_replaceable): next in the queue */
	uint32_t *gone; /* (n_bundles): number, or NOT_GONE */
	uint8_t *uses; /* (n_replaceable) */
};

static uint64_t s3_state_bytes(const struct cache *cache)
{
	uint64_t n = cache->n_replaceable;

	return sizeof(struct s3_state) + n * sizeof(uint32_t) +
	       (uint64_t)cache->n_bundles * sizeof(uint32_t) + n * sizeof(uint8_t);
}

/* The arrays follow the struct, in its order. */
static void s3_begin_state(struct cache *cache, const struct cache_options *options)
{
	struct s3_state *state = cache->state;
	size_t n = cache->n_replaceable;

	(void)options;
	state->small_target = (uint32_t)(n / SMALL_PART);
	if (state->small_target == 0)
		state->small_target = 1;
	state->main_target = (uint32_t)(n > state->small_target ? n - state->small_target : 0);
	state->newer = (uint32_t *)(state + 1);
	state->gone = state->newer + n;
	state->uses = (uint8_t *)(state->gone + cache->n_bundles);
}

static void push(struct s3_state *state, struct queue *queue, uint32_t entry)
{
	if (queue->n++)
		state->newer[queue->newest] = entry;
	else
		queue->oldest = entry;
	queue->newest = entry;
}

static uint32_t pop(struct s3_state *state, struct queue *queue)
{
	uint32_t entry = queue->oldest;

	queue->oldest = state->newer[entry];
	queue->n--;
	return entry;
}

static void s3_used(struct cache *cache, uint32_t entry)
{
	struct s3_state *state = cache->state;

	if (state->uses[entry] < MAX_USES)
		state->uses[entry]++;
}

static void note_gone(struct s3_state *state, uint32_t bundle)
{
	if (++state->last_gone == NOT_GONE)
		state->last_gone++;
	state->gone[bundle] = state->last_gone;
}

static bool went_lately(const struct s3_state *state, uint32_t bundle)
{
	return state->gone[bundle] != NOT_GONE &&
	       state->last_gone - state->gone[bundle] < state->main_target;
}

/* Each round takes a use off every entry: NO_ENTRY is for when all are pinned. */
static uint32_t take_from_main(struct cache *cache)
{
	struct s3_state *state = cache->state;
	uint64_t most = (uint64_t)state->main.n * (MAX_USES + 1);

	for (uint64_t i = 0; i < most; i++) {
		uint32_t entry = pop(state, &state->main);

		if (!cache->entries[entry].pins) {
			if (!state->uses[entry])
				return entry;
			state->uses[entry]--;
		}
		push(state, &state->main, entry);
	}
	return NO_ENTRY;
}

/* Pinned entries go round. What is promoted makes the main queue give one up if that is full. */
static uint32_t take_from_small(struct cache *cache)
{
	struct s3_state *state = cache->state;

	for (uint32_t left = state->small.n; left; left--) {
		uint32_t entry = pop(state, &state->small);

		if (cache->entries[entry].pins) {
			push(state, &state->small, entry);
			continue;
		}
		if (state->uses[entry] < USES_TO_STAY) {
			note_gone(state, cache->entries[entry].bundle);
			return entry;
		}
		state->uses[entry] = 0;
		push(state, &state->main, entry);
		if (state->main.n > state->main_target)
			return take_from_main(cache);
	}
	return NO_ENTRY;
}

static uint32_t s3_replace(struct cache *cache, uint32_t bundle)
{
	struct s3_state *state = cache->state;
	uint32_t entry = NO_ENTRY;

	(void)bundle;
	if (state->small.n >= state->small_target)
		entry = take_from_small(cache);
	if (entry == NO_ENTRY)
		entry = take_from_main(cache);
	/* All of the main queue is pinned, and the small one is short: it has to give one. */
	if (entry == NO_ENTRY)
		entry = take_from_small(cache);
	return entry;
}

static void s3_placed(struct cache *cache, uint32_t entry, uint32_t bundle)
{
	struct s3_state *state = cache->state;
	bool back = went_lately(state, bundle);

	state->uses[entry] = 0;
	state->gone[bundle] = NOT_GONE;
	push(state, back ? &state->main : &state->small, entry);
}

const struct cache_eviction cache_s3fifo = {
	.state_bytes = s3_state_bytes,
	.begin_state = s3_begin_state,
	.used = s3_used,
	.replace = s3_replace,
	.placed = s3_placed,
};
