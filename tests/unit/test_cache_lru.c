// SPDX-License-Identifier: GPL-2.0-only
/* The policies lru and layer-lru against the time at which each bundle was last used. */
#include "helpers/cache_reference.h"
#include "helpers/test.h"

#include <string.h>

static struct {
	uint64_t used[REFERENCE_BUNDLES]; /* 0: not in the cache */
	uint64_t time;
	uint32_t n, capacity;
} model;

static void start(const struct cache_options *options, uint32_t capacity)
{
	(void)options;
	memset(&model, 0, sizeof(model));
	model.capacity = capacity;
}

static bool has(uint32_t bundle)
{
	return model.used[bundle] > 0;
}

static void lookup(uint32_t bundle)
{
	if (has(bundle))
		model.used[bundle] = ++model.time;
}

/* Of the bundles [first, end): forget the unpinned one that was used longest ago. */
static bool forget_oldest(uint32_t first, uint32_t end)
{
	uint64_t oldest = UINT64_MAX;
	uint32_t bundle = end;

	for (uint32_t i = first; i < end; i++) {
		if (!has(i) || reference_pinned(i) || model.used[i] > oldest)
			continue;
		oldest = model.used[i];
		bundle = i;
	}
	if (bundle < end)
		model.used[bundle] = 0;
	return bundle < end;
}

static void admit(uint32_t bundle, struct cache_read read)
{
	(void)read;
	if (model.n == model.capacity)
		forget_oldest(0, REFERENCE_BUNDLES);
	else
		model.n++;
	model.used[bundle] = ++model.time;
}

static uint32_t count_layer(uint32_t layer)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < REFERENCE_SLOTS; i++)
		n += has(layer * REFERENCE_SLOTS + i);
	return n;
}

static bool forget_oldest_of(uint32_t layer)
{
	return forget_oldest(layer * REFERENCE_SLOTS, (layer + 1) * REFERENCE_SLOTS);
}

/* Of its own layer if that has a third, else of the one that has most. */
static void admit_by_layer(uint32_t bundle, struct cache_read read)
{
	uint32_t layer = bundle / REFERENCE_SLOTS, most = 0;

	(void)read;
	for (uint32_t i = 1; i < REFERENCE_LAYERS; i++)
		if (count_layer(i) > count_layer(most))
			most = i;
	if (count_layer(layer) < model.capacity / REFERENCE_LAYERS)
		layer = most;
	if (model.n < model.capacity)
		model.n++;
	else if (!forget_oldest_of(layer))
		for (layer = 0; !forget_oldest_of(layer);)
			layer++;
	model.used[bundle] = ++model.time;
}

static void follows_its_model(void **state)
{
	(void)state;
	follow_reference(&(struct cache_reference){
		.policy = "lru", .start = start, .lookup = lookup, .admit = admit, .has = has,
	});
}

static void follows_its_model_by_layer(void **state)
{
	(void)state;
	follow_reference(&(struct cache_reference){
		.policy = "layer-lru", .start = start, .lookup = lookup,
		.admit = admit_by_layer, .has = has,
	});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_its_model),
		cmocka_unit_test(follows_its_model_by_layer),
	};

	return cmocka_run_group_tests_name("cache_lru", tests, NULL, NULL);
}
