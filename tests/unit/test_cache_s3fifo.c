// SPDX-License-Identifier: GPL-2.0-only
/*
 * The s3-fifo policy against three lists, oldest first, as in algorithm 1 of the paper,
 * with pinned entries going round; and the linked policy, which admits less into the same.
 */
#include "helpers/cache_reference.h"
#include "helpers/test.h"

#include <string.h>

#include "base/random.h"

struct list {
	uint32_t bundles[REFERENCE_BUNDLES * 4];
	uint32_t n;
};

static struct {
	struct list small, main;
	struct list gone; /* a bundle that came back leaves its place empty */
	uint32_t uses[REFERENCE_BUNDLES];
	uint32_t capacity, small_target;
	struct random_state random;
} model;

#define EMPTY UINT32_MAX

static void start(const struct cache_options *options, uint32_t capacity)
{
	memset(&model, 0, sizeof(model));
	model.capacity = capacity;
	model.small_target = capacity >= 20 ? capacity / 10 : 1;
	random_seed(&model.random, options->seed);
}

static int index_in(const struct list *list, uint32_t bundle)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (list->bundles[i] == bundle)
			return (int)i;
	return -1;
}

static void append(struct list *list, uint32_t bundle)
{
	list->bundles[list->n++] = bundle;
}

static uint32_t take_first(struct list *list)
{
	uint32_t first = list->bundles[0];

	memmove(list->bundles, list->bundles + 1, --list->n * sizeof(first));
	return first;
}

static bool has(uint32_t bundle)
{
	return index_in(&model.small, bundle) >= 0 || index_in(&model.main, bundle) >= 0;
}

static void lookup(uint32_t bundle)
{
	if (has(bundle) && model.uses[bundle] < 3)
		model.uses[bundle]++;
}

static bool all_pinned(const struct list *list)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (!reference_pinned(list->bundles[i]))
			return false;
	return true;
}

static bool evict_main(void)
{
	if (all_pinned(&model.main))
		return false;
	for (;;) {
		uint32_t bundle = take_first(&model.main);

		if (!reference_pinned(bundle) && model.uses[bundle]-- == 0)
			return true;
		append(&model.main, bundle);
	}
}

static void remember(uint32_t bundle)
{
	append(&model.gone, bundle);
	while (model.gone.n > model.capacity - model.small_target)
		take_first(&model.gone);
}

static bool evict_small(void)
{
	uint32_t n = model.small.n;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t bundle = take_first(&model.small);

		if (reference_pinned(bundle)) {
			append(&model.small, bundle);
		} else if (model.uses[bundle] < 2) {
			remember(bundle);
			return true;
		} else {
			model.uses[bundle] = 0;
			append(&model.main, bundle);
			if (model.main.n > model.capacity - model.small_target)
				return evict_main();
		}
	}
	return false;
}

static void admit(uint32_t bundle, struct cache_read read)
{
	int place;

	(void)read;
	if (model.small.n + model.main.n == model.capacity) {
		bool done = model.small.n >= model.small_target && evict_small();

		assert_true(done || evict_main() || evict_small());
	}
	place = index_in(&model.gone, bundle);
	model.uses[bundle] = 0;
	if (place < 0) {
		append(&model.small, bundle);
	} else {
		model.gone.bundles[place] = EMPTY;
		append(&model.main, bundle);
	}
}

static void admit_short(uint32_t bundle, struct cache_read read)
{
	if (read.bundles < 8 || random_below(&model.random, 4) == 0)
		admit(bundle, read);
}

static void follows_its_model(void **state)
{
	(void)state;
	follow_reference(&(struct cache_reference){
		.policy = "s3-fifo", .start = start, .lookup = lookup, .admit = admit, .has = has,
	});
}

static void linked_admits_a_quarter_of_long_runs(void **state)
{
	(void)state;
	follow_reference(&(struct cache_reference){
		.policy = "linked", .start = start, .lookup = lookup, .admit = admit_short,
		.has = has,
	});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_its_model),
		cmocka_unit_test(linked_admits_a_quarter_of_long_runs),
	};

	return cmocka_run_group_tests_name("cache_s3fifo", tests, NULL, NULL);
}
