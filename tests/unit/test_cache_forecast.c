// SPDX-License-Identifier: GPL-2.0-only
/* The forecast policy against its formula, worked out from the start for each comparison. */
#include "helpers/cache_reference.h"
#include "helpers/test.h"

#include <string.h>

static struct {
	uint32_t entries[REFERENCE_BUNDLES];
	uint32_t n, capacity, hand, begun;
	uint32_t unlooked;
	int64_t usual_least;
	uint32_t recent[REFERENCE_BUNDLES];
	uint32_t usual[REFERENCE_BUNDLES];
	int cost[REFERENCE_BUNDLES];
} model;

static void start(const struct cache_options *options, uint32_t capacity)
{
	memset(&model, 0, sizeof(model));
	model.capacity = capacity;
	for (uint32_t i = 0; i < REFERENCE_BUNDLES; i++) {
		model.usual[i] = (uint32_t)(options->frequency[i] * 19660.f);
		model.cost[i] = 255;
	}
}

static bool has(uint32_t bundle)
{
	for (uint32_t i = 0; i < model.n; i++)
		if (model.entries[i] == bundle)
			return true;
	return false;
}

static void begin(void)
{
	uint32_t layer = model.begun++ % REFERENCE_LAYERS;

	for (uint32_t i = 0; i < REFERENCE_BUNDLES; i++)
		if (i / REFERENCE_SLOTS == layer)
			model.recent[i] = (uint32_t)(model.recent[i] * 60097ull / 65536);
}

static void add(int64_t bundle, uint32_t more)
{
	if (bundle < 0 || bundle >= REFERENCE_BUNDLES)
		return;
	model.recent[bundle] += more;
	if (model.recent[bundle] > 65535)
		model.recent[bundle] = 65535;
}

/* 32768 * (1 - 2^(-1/8)) is 2719.5; an eighth of that is 339.9. */
static void lookup(uint32_t bundle)
{
	add(bundle, 2719);
	add((int64_t)bundle - 1, 339);
	add((int64_t)bundle + 1, 339);
}

static uint32_t worth(uint32_t bundle)
{
	return (model.recent[bundle] + model.usual[bundle]) * ((uint32_t)model.cost[bundle] + 51);
}

/* The least of the next 32 (or of all, if they are fewer), or the next unpinned one. */
static uint32_t least_of_next(void)
{
	uint32_t most = model.capacity < 32 ? model.capacity : 32;
	int64_t least = -1;

	for (uint32_t seen = 0; seen < most || least < 0; seen++) {
		uint32_t entry = model.hand;
		uint32_t bundle = model.entries[entry];

		model.hand = (entry + 1) % model.capacity;
		if (reference_pinned(bundle))
			continue;
		if (least < 0 || worth(bundle) < worth(model.entries[least]))
			least = entry;
	}
	return (uint32_t)least;
}

/* A bundle of 6 bytes, where an I/O costs as much as 20. */
static void note_cost(uint32_t bundle, struct cache_read read)
{
	int cost = (int)(255 * (20 + read.slots * 6) / (read.bundles * 26));

	if (cost > 255)
		cost = 255;
	model.cost[bundle] += (cost - model.cost[bundle]) / 4;
}

/* It has to be worth more by a fortieth (819 of 32768) of an I/O of one bundle (255 + 51). */
static void admit(uint32_t bundle, struct cache_read read)
{
	uint32_t entry, least;

	note_cost(bundle, read);
	if (model.n < model.capacity) {
		model.entries[model.n++] = bundle;
		return;
	}
	if (worth(bundle) < model.usual_least / 2 && model.unlooked < 16) {
		model.unlooked++;
		return;
	}
	model.unlooked = 0;
	entry = least_of_next();
	least = worth(model.entries[entry]);
	model.usual_least += (least - model.usual_least) / 16;
	if (worth(bundle) >= least + 819 * 306)
		model.entries[entry] = bundle;
}

static void follows_its_model(void **state)
{
	(void)state;
	follow_reference(&(struct cache_reference){
		.policy = "forecast", .start = start, .begin = begin, .lookup = lookup,
		.admit = admit, .has = has,
	});
}

/* One entry, eight bundles of one layer. */
static struct cache *small_cache(const float *frequency)
{
	struct cache_options options = {
		.n_layers = 1, .slots = 8, .stride = 2, .capacity = 1, .policy = "forecast",
		.frequency = frequency, .break_even_bytes = 100,
	};
	struct cache *cache;
	struct error err;

	assert_ok(cache_create(&options, &cache, &err), &err);
	return cache;
}

static bool holds(struct cache *cache, uint32_t slot)
{
	bool found = cache_lookup(cache, 0, slot) != NULL;

	if (found)
		cache_unpin(cache, 0, slot);
	return found;
}

static void what_fires_more_often_stays(void **state)
{
	static const float frequency[8] = { 0.1f, 0.4f, -1, 7 };
	struct cache *cache = small_cache(frequency);

	(void)state;
	cache_admit(cache, 0, 0, "a", (struct cache_read){ 1, 1 });
	cache_admit(cache, 0, 2, "c", (struct cache_read){ 1, 1 }); /* not a frequency: 0 */
	assert_true(holds(cache, 0));
	cache_admit(cache, 0, 1, "b", (struct cache_read){ 1, 1 });
	assert_true(holds(cache, 1));
	cache_admit(cache, 0, 3, "d", (struct cache_read){ 1, 1 }); /* cut to 1 */
	assert_true(holds(cache, 3));
	cache_destroy(cache);
}

static void members_of_long_runs_are_worth_less(void **state)
{
	static const float frequency[8] = { 0.5f, 0, 0.5f };
	struct cache *cache = small_cache(frequency);

	(void)state;
	cache_admit(cache, 0, 0, "a", (struct cache_read){ 1, 1 });
	cache_admit(cache, 0, 2, "c", (struct cache_read){ 20, 20 });
	assert_true(holds(cache, 0));
	cache_destroy(cache);
}

static void what_was_wanted_long_ago_goes(void **state)
{
	struct cache *cache = small_cache(NULL);

	(void)state;
	for (int i = 0; i < 20; i++) {
		cache_begin(cache);
		assert_false(holds(cache, 0));
	}
	cache_admit(cache, 0, 0, "a", (struct cache_read){ 1, 1 });
	assert_false(holds(cache, 4));
	cache_admit(cache, 0, 4, "e", (struct cache_read){ 1, 1 });
	assert_true(holds(cache, 0)); /* 20 times against once */
	for (int i = 0; i < 60; i++)
		cache_begin(cache);
	assert_false(holds(cache, 4));
	cache_admit(cache, 0, 4, "e", (struct cache_read){ 1, 1 });
	assert_true(holds(cache, 4));
	cache_destroy(cache);
}

/* What is given up for it is wanted as often: copying would gain nothing. */
static void what_is_worth_little_more_is_not_copied(void **state)
{
	static const float frequency[8] = { 0.5f, 0.53f, 0.55f };
	struct cache *cache = small_cache(frequency);

	(void)state;
	cache_admit(cache, 0, 0, "a", (struct cache_read){ 1, 1 });
	cache_admit(cache, 0, 1, "b", (struct cache_read){ 1, 1 });
	assert_true(holds(cache, 0));
	cache_destroy(cache);
	cache = small_cache(frequency);
	cache_admit(cache, 0, 0, "a", (struct cache_read){ 1, 1 });
	cache_admit(cache, 0, 2, "c", (struct cache_read){ 1, 1 }); /* 0.03 more: over a 40th */
	assert_true(holds(cache, 2));
	cache_destroy(cache);
}

static void what_is_beside_something_wanted_stays(void **state)
{
	struct cache *cache = small_cache(NULL);

	(void)state;
	cache_admit(cache, 0, 0, "a", (struct cache_read){ 1, 1 });
	assert_false(holds(cache, 1));
	cache_admit(cache, 0, 4, "e", (struct cache_read){ 1, 1 });
	assert_true(holds(cache, 0));
	cache_destroy(cache);
}

static void being_wanted_has_an_upper_limit(void **state)
{
	struct cache *cache = small_cache(NULL);

	(void)state;
	cache_admit(cache, 0, 0, "a", (struct cache_read){ 1, 1 });
	for (int i = 0; i < 25; i++) /* of which 24 would fit into 16 bits */
		assert_true(holds(cache, 0));
	for (int i = 0; i < 5; i++)
		assert_false(holds(cache, 4));
	cache_admit(cache, 0, 4, "e", (struct cache_read){ 1, 1 });
	assert_true(holds(cache, 0));
	cache_destroy(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(being_wanted_has_an_upper_limit),
		cmocka_unit_test(follows_its_model),
		cmocka_unit_test(members_of_long_runs_are_worth_less),
		cmocka_unit_test(what_is_beside_something_wanted_stays),
		cmocka_unit_test(what_fires_more_often_stays),
		cmocka_unit_test(what_is_worth_little_more_is_not_copied),
		cmocka_unit_test(what_was_wanted_long_ago_goes),
	};

	return cmocka_run_group_tests_name("cache_forecast", tests, NULL, NULL);
}
