// SPDX-License-Identifier: GPL-2.0-only
/*
 * CLOCK (second chance): a bundle that was used since the hand last passed is kept one
 * more round. A new entry starts unused, so that what is read once and never again (the
 * tail of a prompt's layers) goes first.
 *
 * One admission looks at no more than twice all entries, and usually at few: the
 * hand goes on from where it stopped. Only with nearly every entry pinned does it
 * walk far, and pins are at most the wanted bundles of the layers in flight.
 */
#include "storage/cache_policy.h"

struct clock_state {
	uint32_t hand;
	bool used[]; /* (n_replaceable): since the hand last passed */
};

static uint64_t clock_state_bytes(const struct cache *cache)
{
	return sizeof(struct clock_state) + cache->n_replaceable * sizeof(bool);
}

static void clock_used(struct cache *cache, uint32_t entry)
{
	struct clock_state *state = cache->state;

	state->used[entry] = true;
}

/* Some entry is not pinned: the hand finds one in two rounds. */
static uint32_t clock_replace(struct cache *cache, uint32_t bundle)
{
	struct clock_state *state = cache->state;

	(void)bundle;
	for (;;) {
		uint32_t entry = state->hand;

		state->hand = entry + 1 < cache->n_replaceable ? entry + 1 : 0;
		if (cache->entries[entry].pins)
			continue;
		if (!state->used[entry])
			return entry;
		state->used[entry] = false;
	}
}

const struct cache_eviction cache_clock = {
	.state_bytes = clock_state_bytes,
	.used = clock_used,
	.replace = clock_replace,
};
