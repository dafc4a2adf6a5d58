// SPDX-License-Identifier: GPL-2.0-only
/* What the cache promises under every policy; each one's choices are in test_cache_POLICY. */
#include "helpers/cache_reference.h"
#include "helpers/test.h"

#include <errno.h>

#include "base/random.h"

#define SLOTS REFERENCE_SLOTS
#define BUNDLES REFERENCE_BUNDLES

static const struct cache_read alone = { 1, 1 };

static struct cache *create(const char *policy, uint64_t capacity, uint64_t seed)
{
	struct cache_options options = {
		.n_layers = REFERENCE_LAYERS, .slots = SLOTS, .stride = REFERENCE_STRIDE,
		.capacity = capacity, .policy = policy, .break_even_bytes = 20, .seed = seed,
	};
	struct cache *cache;
	struct error err;

	assert_ok(cache_create(&options, &cache, &err), &err);
	return cache;
}

static void admit(struct cache *cache, uint32_t bundle, struct cache_read read)
{
	char content[REFERENCE_STRIDE];

	reference_content(bundle, content);
	cache_admit(cache, bundle / SLOTS, bundle % SLOTS, content, read);
}

static const char *look_up(struct cache *cache, uint32_t bundle)
{
	return cache_lookup(cache, bundle / SLOTS, bundle % SLOTS);
}

static void full_size_cache_keeps_everything(void **state)
{
	(void)state;
	for (size_t p = 0; cache_policy_at(p); p++) {
		struct cache *cache = create(cache_policy_at(p), BUNDLES, 0);

		for (uint32_t i = 0; i < BUNDLES; i++)
			admit(cache, i, alone);
		for (uint32_t i = 0; i < BUNDLES; i++) {
			const char *found = look_up(cache, i);

			assert_non_null(found);
			check_reference_content(i, found);
		}
		cache_destroy(cache);
	}
}

/*
 * With all of it pinned nothing comes in; with one let go, that one's place is taken by what
 * was looked up more often, so that no policy has a reason not to.
 */
static void pinned_bundles_stay(void **state)
{
	(void)state;
	for (size_t p = 0; cache_policy_at(p); p++) {
		struct cache *cache = create(cache_policy_at(p), 40, 0);
		const char *found[40];

		for (uint32_t i = 0; i < 40; i++) {
			admit(cache, i, alone);
			found[i] = look_up(cache, i);
			assert_non_null(found[i]);
		}
		for (uint32_t i = 40; i < BUNDLES; i++) {
			admit(cache, i, alone);
			assert_null(look_up(cache, i));
		}
		assert_null(look_up(cache, 40));
		cache_unpin(cache, 0, 37);
		admit(cache, 40, alone);
		assert_non_null(look_up(cache, 40));
		assert_null(look_up(cache, 37));
		for (uint32_t i = 0; i < 40; i++)
			if (i != 37)
				check_reference_content(i, found[i]);
		cache_destroy(cache);
	}
}

/* Bit i of the answer: was step i's lookup a hit? */
static void replay(struct cache *cache, uint64_t seed, uint64_t hits[16])
{
	struct random_state random;

	random_seed(&random, seed);
	for (uint32_t i = 0; i < 16 * 64; i++) {
		uint32_t bundle = (uint32_t)random_below(&random, BUNDLES / 3);
		struct cache_read read = { .slots = 8, .bundles = 1 + bundle % 8 };

		cache_begin(cache);
		if (look_up(cache, bundle)) {
			hits[i / 64] |= UINT64_C(1) << i % 64;
			cache_unpin(cache, bundle / SLOTS, bundle % SLOTS);
		} else {
			admit(cache, bundle, read);
		}
	}
}

static void same_calls_same_bundles(void **state)
{
	(void)state;
	for (size_t p = 0; cache_policy_at(p); p++) {
		uint64_t hits[2][16] = { 0 };

		for (int i = 0; i < 2; i++) {
			struct cache *cache = create(cache_policy_at(p), 20, 5);

			replay(cache, 7, hits[i]);
			cache_destroy(cache);
		}
		assert_memory_equal(hits[0], hits[1], sizeof(hits[0]));
	}
}

static void seed_decides_what_linked_admits(void **state)
{
	uint64_t hits[2][16] = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 2; i++) {
		struct cache *cache = create("linked", 20, i);

		replay(cache, 7, hits[i]);
		cache_destroy(cache);
	}
	assert_memory_not_equal(hits[0], hits[1], sizeof(hits[0]));
}

/* It has no bytes to look at, and decides by the size that they would have. */
static void hollow_cache_decides_alike(void **state)
{
	struct cache_options options = {
		.n_layers = REFERENCE_LAYERS, .slots = SLOTS, .stride = REFERENCE_STRIDE,
		.capacity = 20, .break_even_bytes = 20, .seed = 5, .hollow = true,
	};
	struct cache_memory memory;
	struct error err;

	(void)state;
	for (size_t p = 0; cache_policy_at(p); p++) {
		struct cache *cache = create(cache_policy_at(p), 20, 5), *hollow;
		uint64_t hits[2][16] = { 0 };

		options.policy = cache_policy_at(p);
		assert_ok(cache_create(&options, &hollow, &err), &err);
		assert_ok(cache_memory(&options, &memory, &err), &err);
		assert_int_equal(cache_bytes(hollow), 0);
		assert_int_equal(memory.bundles, 0);
		assert_int_equal(cache_table_bytes(hollow), cache_table_bytes(cache));
		replay(cache, 7, hits[0]);
		replay(hollow, 7, hits[1]);
		assert_memory_equal(hits[0], hits[1], sizeof(hits[0]));
		cache_destroy(cache);
		cache_destroy(hollow);
	}
}

static void memory_is_told(void **state)
{
	(void)state;
	for (size_t p = 0; cache_policy_at(p); p++) {
		struct cache *cache = create(cache_policy_at(p), BUNDLES, 0);

		assert_string_equal(cache_policy_name(cache), cache_policy_at(p));
		assert_int_equal(cache_bytes(cache), BUNDLES * REFERENCE_STRIDE);
		/* A place and an entry, and at most that much again for the policy. */
		assert_in_range(cache_table_bytes(cache), 12 * BUNDLES, 24 * BUNDLES);
		cache_destroy(cache);
	}
}

static void impossible_options_are_refused(void **state)
{
	struct cache_options options = {
		.n_layers = UINT32_MAX, .slots = UINT32_MAX, .stride = 6, .capacity = 1,
	};
	struct cache *cache;
	struct error err;

	(void)state;
	assert_int_equal(cache_create(&options, &cache, &err), -EOVERFLOW);
	options.n_layers = options.slots = 2;
	options.policy = "mru";
	assert_int_equal(cache_create(&options, &cache, &err), -EINVAL);
	assert_says(&err, "'mru'");
	assert_false(cache_policy_is_known("mru"));
	assert_true(cache_policy_is_known(CACHE_DEFAULT_POLICY));
	cache_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_size_cache_keeps_everything),
		cmocka_unit_test(hollow_cache_decides_alike),
		cmocka_unit_test(impossible_options_are_refused),
		cmocka_unit_test(memory_is_told),
		cmocka_unit_test(pinned_bundles_stay),
		cmocka_unit_test(same_calls_same_bundles),
		cmocka_unit_test(seed_decides_what_linked_admits),
	};

	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
