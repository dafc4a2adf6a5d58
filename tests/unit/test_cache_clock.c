// SPDX-License-Identifier: GPL-2.0-only
/* The clock policy against a list whose front is where the hand points. */
#include "helpers/cache_reference.h"
#include "helpers/test.h"

#include <string.h>

struct model_entry {
	uint32_t bundle;
	bool used;
};

static struct {
	struct model_entry entries[REFERENCE_BUNDLES];
	uint32_t n, capacity;
} model;

static void start(const struct cache_options *options, uint32_t capacity)
{
	(void)options;
	model.n = 0;
	model.capacity = capacity;
}

static struct model_entry *find(uint32_t bundle)
{
	for (uint32_t i = 0; i < model.n; i++)
		if (model.entries[i].bundle == bundle)
			return &model.entries[i];
	return NULL;
}

static bool has(uint32_t bundle)
{
	return find(bundle) != NULL;
}

static void lookup(uint32_t bundle)
{
	struct model_entry *entry = find(bundle);

	if (entry)
		entry->used = true;
}

static void move_hand(void)
{
	struct model_entry first = model.entries[0];

	memmove(model.entries, model.entries + 1, (model.n - 1) * sizeof(first));
	model.entries[model.n - 1] = first;
}

static void admit(uint32_t bundle, struct cache_read read)
{
	(void)read;
	if (model.n < model.capacity) {
		model.entries[model.n++] = (struct model_entry){ .bundle = bundle };
		return;
	}
	while (reference_pinned(model.entries[0].bundle) || model.entries[0].used) {
		if (!reference_pinned(model.entries[0].bundle))
			model.entries[0].used = false;
		move_hand();
	}
	model.entries[0] = (struct model_entry){ .bundle = bundle };
	move_hand();
}

static void follows_its_model(void **state)
{
	(void)state;
	follow_reference(&(struct cache_reference){
		.policy = "clock", .start = start, .lookup = lookup, .admit = admit, .has = has,
	});
}

static void used_bundles_get_a_second_chance(void **state)
{
	struct cache_options options = {
		.n_layers = 1, .slots = 4, .stride = 2, .capacity = 2, .policy = "clock",
	};
	struct cache_read read = { 1, 1 };
	struct cache *cache;
	struct error err;

	(void)state;
	assert_ok(cache_create(&options, &cache, &err), &err);
	cache_admit(cache, 0, 0, "a", read);
	cache_admit(cache, 0, 1, "b", read);
	assert_non_null(cache_lookup(cache, 0, 0));
	cache_unpin(cache, 0, 0);
	cache_admit(cache, 0, 2, "c", read); /* replaces 1: the older 0 was used */
	assert_null(cache_lookup(cache, 0, 1));
	assert_non_null(cache_lookup(cache, 0, 0));
	assert_non_null(cache_lookup(cache, 0, 2));
	cache_admit(cache, 0, 3, "d", read); /* both are pinned */
	assert_null(cache_lookup(cache, 0, 3));
	cache_destroy(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_its_model),
		cmocka_unit_test(used_bundles_get_a_second_chance),
	};

	return cmocka_run_group_tests_name("cache_clock", tests, NULL, NULL);
}
