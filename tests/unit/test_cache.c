// SPDX-License-Identifier: GPL-2.0-only
/* The cache against a model of CLOCK that searches a list, with pins held and dropped. */
#include "helpers/test.h"

#include <stdbool.h>
#include <string.h>

#include "base/random.h"
#include "storage/cache.h"

#define LAYERS 3
#define SLOTS 50
#define STRIDE 6
#define MAX_PINS 40

struct model_entry {
	uint32_t layer, slot;
	uint32_t pins;
	bool used;
};

/* entries[0] is where the hand points; the hand moves by rotating the list. */
struct model {
	struct model_entry entries[LAYERS * SLOTS];
	uint32_t n, capacity;
};

static struct model_entry *model_find(struct model *model, uint32_t layer, uint32_t slot)
{
	for (uint32_t i = 0; i < model->n; i++)
		if (model->entries[i].layer == layer && model->entries[i].slot == slot)
			return &model->entries[i];
	return NULL;
}

static void model_rotate(struct model *model)
{
	struct model_entry first = model->entries[0];

	memmove(model->entries, model->entries + 1, (model->n - 1) * sizeof(first));
	model->entries[model->n - 1] = first;
}

static void model_admit(struct model *model, uint32_t layer, uint32_t slot)
{
	struct model_entry entry = { .layer = layer, .slot = slot };
	uint32_t pinned = 0;

	if (model_find(model, layer, slot))
		return;
	if (model->n < model->capacity) {
		model->entries[model->n++] = entry;
		return;
	}
	for (uint32_t i = 0; i < model->n; i++)
		pinned += model->entries[i].pins > 0;
	if (pinned == model->n)
		return;
	while (model->entries[0].pins || model->entries[0].used) {
		if (!model->entries[0].pins)
			model->entries[0].used = false;
		model_rotate(model);
	}
	model->entries[0] = entry;
	model_rotate(model);
}

static void content_of(uint32_t layer, uint32_t slot, char bundle[STRIDE])
{
	for (int i = 0; i < STRIDE; i++)
		bundle[i] = (char)(layer * 101 + slot * 7 + (uint32_t)i);
}

static void check_content(const char *bundle, uint32_t layer, uint32_t slot)
{
	char expected[STRIDE];

	content_of(layer, slot, expected);
	assert_memory_equal(bundle, expected, STRIDE);
}

struct pin {
	const char *bundle;
	uint32_t layer, slot;
};

/* Look up: both find it or neither; what was found stays pinned as long as there is a place. */
static void look_up(struct cache *cache, struct model *model, struct pin *pins, uint32_t *n_pins,
		    uint32_t layer, uint32_t slot)
{
	struct model_entry *entry = model_find(model, layer, slot);
	const char *bundle = cache_lookup(cache, layer, slot);

	assert_int_equal(bundle != NULL, entry != NULL);
	if (!bundle)
		return;
	check_content(bundle, layer, slot);
	entry->used = true;
	if (*n_pins == MAX_PINS) {
		cache_unpin(cache, layer, slot);
		return;
	}
	entry->pins++;
	pins[(*n_pins)++] = (struct pin){ bundle, layer, slot };
}

static void drop_pin(struct cache *cache, struct model *model, struct pin *pins, uint32_t *n_pins,
		     uint32_t which)
{
	struct pin pin = pins[which];

	check_content(pin.bundle, pin.layer, pin.slot);
	cache_unpin(cache, pin.layer, pin.slot);
	model_find(model, pin.layer, pin.slot)->pins--;
	pins[which] = pins[--*n_pins];
}

static void compare_with_model(uint64_t capacity, uint64_t seed)
{
	static struct model model;
	struct pin pins[MAX_PINS];
	uint32_t n_pins = 0;
	struct random_state random;
	struct cache *cache;
	struct error err;

	model.n = 0;
	model.capacity = capacity < LAYERS * SLOTS ? (uint32_t)capacity : LAYERS * SLOTS;
	assert_ok(cache_create(LAYERS, SLOTS, STRIDE, capacity, &cache, &err), &err);
	assert_int_equal(cache_bytes(cache), (uint64_t)model.capacity * STRIDE);
	random_seed(&random, seed);
	for (int step = 0; step < 20000; step++) {
		uint32_t layer = (uint32_t)random_below(&random, LAYERS);
		uint32_t slot = (uint32_t)random_below(&random, SLOTS);
		char bundle[STRIDE];

		switch (random_below(&random, 4)) {
		case 0:
			look_up(cache, &model, pins, &n_pins, layer, slot);
			break;
		case 1:
			if (n_pins)
				drop_pin(cache, &model, pins, &n_pins,
					 (uint32_t)random_below(&random, n_pins));
			break;
		default:
			content_of(layer, slot, bundle);
			cache_admit(cache, layer, slot, bundle);
			model_admit(&model, layer, slot);
		}
	}
	while (n_pins)
		drop_pin(cache, &model, pins, &n_pins, 0);
	cache_destroy(cache);
}

static void every_capacity_matches_the_model(void **state)
{
	static const uint64_t capacities[] = {
		0, 1, 2, 7, 30, 75, LAYERS * SLOTS - 1, LAYERS * SLOTS, UINT64_MAX,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++)
		compare_with_model(capacities[i], i);
}

static void full_size_cache_keeps_everything(void **state)
{
	struct cache *cache;
	struct error err;
	char bundle[STRIDE];

	(void)state;
	assert_ok(cache_create(LAYERS, SLOTS, STRIDE, LAYERS * SLOTS, &cache, &err), &err);
	for (uint32_t i = 0; i < LAYERS * SLOTS; i++) {
		content_of(i / SLOTS, i % SLOTS, bundle);
		cache_admit(cache, i / SLOTS, i % SLOTS, bundle);
	}
	for (uint32_t i = 0; i < LAYERS * SLOTS; i++) {
		const char *found = cache_lookup(cache, i / SLOTS, i % SLOTS);

		assert_non_null(found);
		check_content(found, i / SLOTS, i % SLOTS);
	}
	cache_destroy(cache);
}

static void used_bundles_get_a_second_chance(void **state)
{
	struct cache *cache;
	struct error err;
	char bundle[STRIDE] = { 0 };

	(void)state;
	assert_ok(cache_create(1, SLOTS, STRIDE, 2, &cache, &err), &err);
	cache_admit(cache, 0, 0, bundle);
	cache_admit(cache, 0, 1, bundle);
	assert_non_null(cache_lookup(cache, 0, 0));
	cache_unpin(cache, 0, 0);
	cache_admit(cache, 0, 2, bundle); /* replaces 1: the older 0 was used */
	assert_null(cache_lookup(cache, 0, 1));
	assert_non_null(cache_lookup(cache, 0, 0));
	assert_non_null(cache_lookup(cache, 0, 2));
	cache_admit(cache, 0, 3, bundle); /* both are pinned */
	assert_null(cache_lookup(cache, 0, 3));
	cache_destroy(cache);
}

static void impossible_sizes_are_refused(void **state)
{
	struct cache *cache;
	struct error err;

	(void)state;
	assert_true(cache_create(UINT32_MAX, UINT32_MAX, STRIDE, 1, &cache, &err) < 0);
	cache_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_capacity_matches_the_model),
		cmocka_unit_test(full_size_cache_keeps_everything),
		cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(used_bundles_get_a_second_chance),
	};

	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
