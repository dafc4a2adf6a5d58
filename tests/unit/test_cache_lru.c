// SPDX-License-Identifier: GPL-2.0-only
/* The lru policy against the time at which each bundle was last used. */
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

static void forget_oldest(void)
{
	uint64_t oldest = UINT64_MAX;
	uint32_t bundle = 0;

	for (uint32_t i = 0; i < REFERENCE_BUNDLES; i++) {
		if (!has(i) || reference_pinned(i) || model.used[i] > oldest)
			continue;
		oldest = model.used[i];
		bundle = i;
	}
	model.used[bundle] = 0;
}

static void admit(uint32_t bundle, struct cache_read read)
{
	(void)read;
	if (model.n == model.capacity)
		forget_oldest();
	else
		model.n++;
	model.used[bundle] = ++model.time;
}

static void follows_its_model(void **state)
{
	(void)state;
	follow_reference(&(struct cache_reference){
		.policy = "lru", .start = start, .lookup = lookup, .admit = admit, .has = has,
	});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_its_model),
	};

	return cmocka_run_group_tests_name("cache_lru", tests, NULL, NULL);
}
