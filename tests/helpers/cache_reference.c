// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/cache_reference.h"

#include "base/random.h"
#include "helpers/test.h"

#define MAX_PINS 40
#define STEPS 20000

/* What the cache has to honour whatever its policy. */
static struct {
	const struct cache_reference *reference;
	struct cache *cache;
	struct random_state random;
	uint32_t capacity; /* for the policy */
	uint32_t pins[REFERENCE_BUNDLES];
	bool hot[REFERENCE_BUNDLES];
	struct {
		uint32_t bundle;
		const char *content;
	} held[MAX_PINS];
	uint32_t n_held;
} now;

bool reference_pinned(uint32_t bundle)
{
	return now.pins[bundle] > 0;
}

void reference_content(uint32_t bundle, char content[REFERENCE_STRIDE])
{
	for (uint32_t i = 0; i < REFERENCE_STRIDE; i++)
		content[i] = (char)(bundle * 7 + bundle / 37 + i);
}

void check_reference_content(uint32_t bundle, const char *content)
{
	char expected[REFERENCE_STRIDE];

	reference_content(bundle, expected);
	assert_memory_equal(content, expected, REFERENCE_STRIDE);
}

static uint32_t layer_of(uint32_t bundle)
{
	return bundle / REFERENCE_SLOTS;
}

static uint32_t slot_of(uint32_t bundle)
{
	return bundle % REFERENCE_SLOTS;
}

static uint32_t random_u32(uint32_t limit)
{
	return (uint32_t)random_below(&now.random, limit);
}

/* A few bundles are wanted much more often than others, as neurons are. */
static uint32_t random_bundle(void)
{
	uint32_t most = random_u32(2) ? REFERENCE_BUNDLES : REFERENCE_BUNDLES / 5;

	return random_u32(most) * 7 % REFERENCE_BUNDLES;
}

static void look_up(uint32_t bundle)
{
	bool expected = now.hot[bundle] || now.reference->has(bundle);
	const char *content = cache_lookup(now.cache, layer_of(bundle), slot_of(bundle));

	assert_int_equal(content != NULL, expected);
	if (now.reference->lookup)
		now.reference->lookup(bundle);
	if (!content)
		return;
	check_reference_content(bundle, content);
	if (now.n_held == MAX_PINS) {
		cache_unpin(now.cache, layer_of(bundle), slot_of(bundle));
		return;
	}
	now.pins[bundle]++;
	now.held[now.n_held].bundle = bundle;
	now.held[now.n_held++].content = content;
}

/* What a pin holds is still where it was. */
static void drop_pin(uint32_t which)
{
	uint32_t bundle = now.held[which].bundle;

	check_reference_content(bundle, now.held[which].content);
	cache_unpin(now.cache, layer_of(bundle), slot_of(bundle));
	now.pins[bundle]--;
	now.held[which] = now.held[--now.n_held];
}

static bool all_pinned(void)
{
	uint32_t pinned = 0;

	for (uint32_t i = 0; i < REFERENCE_BUNDLES; i++)
		pinned += now.pins[i] > 0 && !now.hot[i];
	return pinned == now.capacity;
}

static void admit(uint32_t bundle)
{
	struct cache_read read = { .bundles = 1 + random_u32(12) };
	char content[REFERENCE_STRIDE];

	read.slots = read.bundles + random_u32(5);
	reference_content(bundle, content);
	cache_admit(now.cache, layer_of(bundle), slot_of(bundle), content, read);
	if (!now.hot[bundle] && !now.reference->has(bundle) && !all_pinned())
		now.reference->admit(bundle, read);
}

static void step(void)
{
	switch (random_u32(8)) {
	case 0:
		cache_begin(now.cache);
		if (now.reference->begin)
			now.reference->begin();
		break;
	case 1:
	case 2:
	case 3:
		if (now.n_held)
			drop_pin(random_u32(now.n_held));
		break;
	case 4:
	case 5:
		look_up(random_bundle());
		break;
	default:
		admit(random_bundle());
	}
}

static void keep_hot(uint32_t n_hot)
{
	char content[REFERENCE_STRIDE];

	for (uint32_t i = 0; i < n_hot; i++) {
		uint32_t bundle = i * 11 % REFERENCE_BUNDLES;

		reference_content(bundle, content);
		assert_true(cache_keep(now.cache, layer_of(bundle), slot_of(bundle), content));
		now.hot[bundle] = true;
	}
	assert_false(cache_keep(now.cache, 2, 49, content));
}

static void follow(const struct cache_reference *reference, uint64_t capacity, uint32_t n_hot,
		   uint64_t seed)
{
	float frequency[REFERENCE_BUNDLES];
	struct cache_options options = {
		.n_layers = REFERENCE_LAYERS,
		.slots = REFERENCE_SLOTS,
		.stride = REFERENCE_STRIDE,
		.capacity = capacity,
		.n_hot = n_hot,
		.policy = reference->policy,
		.frequency = frequency,
		.break_even_bytes = 20,
		.seed = seed,
	};
	struct error err;

	memset(&now, 0, sizeof(now));
	now.reference = reference;
	now.capacity = (uint32_t)(capacity < REFERENCE_BUNDLES ? capacity : REFERENCE_BUNDLES);
	random_seed(&now.random, seed);
	for (uint32_t i = 0; i < REFERENCE_BUNDLES; i++)
		frequency[i] = random_u32(4) ? (float)random_unit(&now.random) : 0;
	assert_ok(cache_create(&options, &now.cache, &err), &err);
	assert_int_equal(cache_bytes(now.cache), (uint64_t)now.capacity * REFERENCE_STRIDE);
	now.capacity -= n_hot;
	reference->start(&options, now.capacity);
	keep_hot(n_hot);
	for (int i = 0; i < STEPS; i++)
		step();
	while (now.n_held)
		drop_pin(0);
	for (uint32_t i = 0; i < REFERENCE_BUNDLES; i++)
		look_up(i);
	cache_destroy(now.cache);
}

void follow_reference(const struct cache_reference *reference)
{
	static const uint64_t capacities[] = {
		0, 1, 2, 7, 30, 75, REFERENCE_BUNDLES - 1, REFERENCE_BUNDLES, UINT64_MAX,
	};

	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++)
		for (uint64_t seed = 0; seed < 3; seed++)
			follow(reference, capacities[i], 0, seed);
	follow(reference, 30, 1, 10);
	follow(reference, 75, 40, 11);
	follow(reference, 20, 20, 12);
}
