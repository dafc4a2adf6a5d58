// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keep what is expected to save the most device time: the chance that a bundle is
 * wanted by the next token, times what it cost when it had to be read.
 *
 * The chance is a sum of three:
 *	recent   was it wanted lately? 1 for each token that wanted it, 0 for the others,
 *	         averaged with a half-life of 8 tokens;
 *	links    1/8 of the same for the slots beside it, which are linked to it;
 *	usual    0.6 of the share of tokens for which it fires, as the file has it.
 * The cost is a bundle's part of the read that brought it, gaps included: all of an
 * I/O for a bundle by itself, a small part for a member of a long run. It is averaged
 * over reads, and a fifth of an I/O is added to it, since a part of a run saves
 * nothing by itself but does together with the rest.
 *
 * All chances change with every token, so there is no order to keep entries in. One
 * hand goes over the entries instead: for each admission it looks at the next 32 and
 * gives up the least of them, or none when the new bundle is not worth more, by what
 * copying it costs. That costs the same whatever the cache's size, and a hand that looked
 * at more would gain little (Documentation/cache.rst has that, and what each part of the
 * forecast is worth). For a bundle of less than half of what the hand usually gives up,
 * which most are, it does not even look.
 *
 * Only integers: every machine keeps the same bundles.
 */
#include "storage/cache_policy.h"

#define ONE 32768u /* a chance of 1; with links `recent` is up to 5/4 of that */
#define KEPT 60097u /* of 65536, from one token to the next: 2^(-1/8) */
#define WANTED (ONE * (65536 - KEPT) / 65536) /* so that the average of ones is ONE */
#define LINK_PART 8
#define USUAL_WEIGHT (ONE * 6 / 10)
#define WHOLE_COST 255 /* an I/O of one bundle */
#define LEAST_COST 51 /* a fifth */
#define COST_STEP 4 /* a new read counts a quarter */
#define LOOK_AT 32
#define COPY_COST (ONE / 40 * (WHOLE_COST + LEAST_COST)) /* a whole I/O, once in 40 times */
#define LEAST_STEP 16 /* what the hand finds now counts a sixteenth */
#define MOST_UNLOOKED 16 /* then it looks, since what there is to find changes */
#define BLOCK 16 /* for the compiler to make vectors of */

/* What does not change with every token. */
struct prospect {
	uint16_t usual; /* weighted */
	uint8_t cost; /* 0 to WHOLE_COST */
};

/* Of all bundles, in the cache or not. */
struct forecast_state {
	uint32_t hand;
	uint32_t usual_least; /* the least that the hand saw, averaged */
	uint32_t n_unlooked; /* bundles refused since it last looked */
	uint32_t next_layer; /* to age */
	uint16_t *recent; /* (n_bundles), links included */
	struct prospect *prospects; /* (n_bundles) */
};

static uint16_t usual_share(float frequency)
{
	if (!(frequency > 0))
		return 0;
	return (uint16_t)((frequency < 1 ? frequency : 1) * (float)USUAL_WEIGHT);
}

static uint64_t forecast_state_bytes(const struct cache *cache)
{
	return sizeof(struct forecast_state) +
	       (uint64_t)cache->n_bundles * (sizeof(uint16_t) + sizeof(struct prospect));
}

/* The arrays follow the struct, in its order. */
static void forecast_begin_state(struct cache *cache, const struct cache_options *options)
{
	struct forecast_state *state = cache->state;
	size_t n = cache->n_bundles;

	state->recent = (uint16_t *)(state + 1);
	state->prospects = (struct prospect *)(state->recent + n);
	for (size_t i = 0; i < n; i++) {
		state->prospects[i].cost = WHOLE_COST;
		if (options->frequency)
			state->prospects[i].usual = usual_share(options->frequency[i]);
	}
}

static uint16_t faded(uint16_t recent)
{
	return (uint16_t)(recent * KEPT >> 16);
}

/*
 * One layer after the other, so that all are a token older after a token's requests, and
 * also those that are not asked for any more.
 */
static void forecast_begin(struct cache *cache)
{
	struct forecast_state *state = cache->state;
	uint16_t *recent = state->recent + (size_t)state->next_layer * cache->slots;
	uint16_t *end = recent + cache->slots;

	if (++state->next_layer == cache->n_layers)
		state->next_layer = 0;
	for (; end - recent >= BLOCK; recent += BLOCK)
		for (size_t i = 0; i < BLOCK; i++)
			recent[i] = faded(recent[i]);
	for (; recent < end; recent++)
		*recent = faded(*recent);
}

/* The limit is for a layer that is asked for more often than others. */
static void add(uint16_t *recent, uint32_t more)
{
	uint32_t sum = *recent + more;

	*recent = (uint16_t)(sum < UINT16_MAX ? sum : UINT16_MAX);
}

/* The first and the last slot of a layer have another layer's beside them: no harm at 1/8. */
static void forecast_wanted(struct cache *cache, uint32_t bundle)
{
	struct forecast_state *state = cache->state;
	uint16_t *recent = &state->recent[bundle];

	add(recent, WANTED);
	if (bundle > 0)
		add(recent - 1, WANTED / LINK_PART);
	if (bundle + 1 < cache->n_bundles)
		add(recent + 1, WANTED / LINK_PART);
}

/* What keeping the bundle is expected to save, in no unit. */
static uint32_t worth(const struct forecast_state *state, uint32_t bundle)
{
	const struct prospect *prospect = &state->prospects[bundle];

	return ((uint32_t)state->recent[bundle] + prospect->usual) *
	       ((uint32_t)prospect->cost + LEAST_COST);
}

/* Takes whatever may be worth it; replace() compares. */
bool cache_admit_forecast(struct cache *cache, uint32_t bundle, struct cache_read read)
{
	struct forecast_state *state = cache->state;
	struct prospect *prospect = &state->prospects[bundle];
	uint64_t io = cache->break_even_bytes;
	uint64_t cost = WHOLE_COST * (io + (uint64_t)read.slots * cache->stride) /
			(read.bundles * (io + cache->stride));
	int change = (int)(cost < WHOLE_COST ? cost : WHOLE_COST) - (int)prospect->cost;

	prospect->cost = (uint8_t)((int)prospect->cost + change / COST_STEP);
	return true;
}

static bool is_hopeless(const struct forecast_state *state, uint32_t mine)
{
	return mine < state->usual_least / 2 && state->n_unlooked < MOST_UNLOOKED;
}

/*
 * What the hand looks at next time lies anywhere in the arrays: it is on its way into the CPU's
 * cache meanwhile.
 */
static void prefetch_next(const struct cache *cache, uint32_t look_at)
{
	const struct forecast_state *state = cache->state;
	uint32_t here = state->hand;

	for (uint32_t i = 0; i < look_at; i++) {
		uint32_t bundle = cache->entries[here].bundle;

		__builtin_prefetch(&state->recent[bundle]);
		__builtin_prefetch(&state->prospects[bundle]);
		here = here + 1 < cache->n_replaceable ? here + 1 : 0;
	}
}

/* The least of the next entries. With all of those pinned the hand goes on: some entry is not. */
static uint32_t find_least(struct cache *cache, uint32_t *least)
{
	struct forecast_state *state = cache->state;
	uint32_t look_at = cache->n_replaceable < LOOK_AT ? cache->n_replaceable : LOOK_AT;
	uint32_t entry = NO_ENTRY;

	*least = UINT32_MAX;
	for (uint32_t seen = 0; seen < look_at || entry == NO_ENTRY; seen++) {
		uint32_t here = state->hand;
		uint32_t here_worth;

		state->hand = here + 1 < cache->n_replaceable ? here + 1 : 0;
		if (cache->entries[here].pins)
			continue;
		here_worth = worth(state, cache->entries[here].bundle);
		if (here_worth < *least) {
			*least = here_worth;
			entry = here;
		}
	}
	prefetch_next(cache, look_at);
	return entry;
}

static uint32_t forecast_replace(struct cache *cache, uint32_t bundle)
{
	struct forecast_state *state = cache->state;
	uint32_t mine = worth(state, bundle), least, entry;

	if (is_hopeless(state, mine)) {
		state->n_unlooked++;
		return NO_ENTRY;
	}
	entry = find_least(cache, &least);
	state->n_unlooked = 0;
	state->usual_least += ((int64_t)least - state->usual_least) / LEAST_STEP;
	return mine >= least + COPY_COST ? entry : NO_ENTRY;
}

const struct cache_eviction cache_forecast = {
	.state_bytes = forecast_state_bytes,
	.begin_state = forecast_begin_state,
	.begin = forecast_begin,
	.wanted = forecast_wanted,
	.replace = forecast_replace,
};
