// SPDX-License-Identifier: GPL-2.0-only
/* What a bundle store says that it will take is what it takes. */
#include "helpers/test.h"

#include <errno.h>

#include "helpers/heap.h"
#include "helpers/random_file.h"
#include "storage/bundle_store.h"
#include "storage/cache.h"

#define LAYERS 2
/* Many and small: what is planned stands out of the rest. */
#define SLOTS 4000
#define STRIDE 80
#define LAYER_BYTES (SLOTS * STRIDE)

static const uint64_t offsets[LAYERS] = { 0, LAYER_BYTES };
static const struct bundle_geometry geometry = {
	.n_layers = LAYERS, .slots = SLOTS, .stride = STRIDE, .offsets = offsets,
};

static struct bundle_store_memory planned(const struct bundle_store_options *options)
{
	struct bundle_store_memory memory;
	struct error err;

	assert_ok(bundle_store_plan_memory(&geometry, options, &memory, &err), &err);
	return memory;
}

/* Every other slot: as many reads as can be, without collapse. */
static void request_both_layers(struct bundle_store *store)
{
	uint64_t wanted[(SLOTS + 63) / 64] = { 0 };
	struct bundle_window window;
	struct error err;

	for (size_t i = 0; i < SLOTS / 64; i++)
		wanted[i] = UINT64_C(0x5555555555555555);
	for (uint32_t layer = 0; layer < LAYERS; layer++)
		assert_ok(bundle_store_request(store, layer, wanted, &err), &err);
	for (uint32_t layer = 0; layer < LAYERS; layer++)
		assert_int_equal(bundle_store_next(store, layer, &window, &err), 1);
}

static void memory_is_as_planned(void **state)
{
	static const double ratios[] = { 0, 0.001, 0.3, 1 };
	const struct random_file *file = *state;

	for (size_t p = 0; cache_policy_at(p); p++)
		for (size_t r = 0; r < sizeof(ratios) / sizeof(ratios[0]); r++) {
			const struct bundle_store_options options = {
				.source = "pread", .cache_ratio = ratios[r],
				.cache_policy = cache_policy_at(p), .cost = DEVICE_COST_UFS4,
			};
			struct bundle_store_memory memory = planned(&options);
			uint64_t before = heap_bytes();
			struct bundle_store *store;
			struct error err;

			assert_ok(bundle_store_open(file->path, &geometry, &options, &store, &err),
				  &err);
			request_both_layers(store);
			assert_heap_grew(before, memory.requests + memory.cache + memory.tables);
			assert_int_equal(bundle_store_memory(store),
					 memory.staging + memory.cache + memory.tables);
			bundle_store_close(store);
		}
}

static void parts_of_the_plan(void **state)
{
	struct bundle_store_options options = { .source = "auto", .cache_ratio = 0.5 };
	struct bundle_store_memory some = planned(&options), other;

	(void)state;
	assert_int_equal(some.cache, LAYERS * LAYER_BYTES / 2);
	assert_int_equal(some.opening, 0);
	assert_in_range(some.staging, LAYERS * LAYER_BYTES, LAYERS * LAYER_BYTES + 100000);
	assert_true(some.kernel > 256 * 100 + some.staging / 4096 * 16);

	options.hot_share = 0.5;
	options.staging_bytes = bundle_store_least_staging(&geometry);
	other = planned(&options);
	assert_in_range(other.opening, LAYERS * SLOTS * 8, LAYERS * SLOTS * 9);
	assert_int_equal(other.cache, some.cache);
	assert_int_equal(other.staging, 2 * options.staging_bytes);
	assert_true(other.staging < some.staging);
	assert_true(other.kernel < some.kernel);

	options.source = "uring";
	assert_int_equal(planned(&options).kernel, other.kernel);
	options.queue_depth = 4096;
	assert_true(planned(&options).kernel > other.kernel + 3000 * 100);
	options.source = "pread";
	assert_int_equal(planned(&options).kernel, 0);
	assert_int_equal(planned(&options).staging, other.staging);
	options.source = "mmap";
	assert_int_equal(planned(&options).staging, 0);
	assert_int_equal(planned(&options).kernel, 0);
	options.cache_ratio = 0;
	assert_int_equal(planned(&options).cache, 0);
	assert_int_equal(planned(&options).opening, 0);
}

/* Large layers, small ones, and bundles that are larger than all else. */
static void staging_has_a_least_and_a_default(void **state)
{
	static const struct bundle_geometry geometries[] = {
		{ .n_layers = 2, .slots = 16384, .stride = 16384 },
		{ .n_layers = 2, .slots = 3, .stride = 100 },
		{ .n_layers = 2, .slots = 3, .stride = 200 << 20 },
	};
	static const uint64_t least[] = {
		256 << 10, 300 + 2 * (100 + 16384), 2 * ((UINT64_C(200) << 20) + 16384),
	};
	static const uint64_t usual[] = {
		64 << 20, 300 + 2 * (100 + 16384), 2 * ((UINT64_C(200) << 20) + 16384),
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(bundle_store_least_staging(&geometries[i]), least[i]);
		assert_int_equal(bundle_store_default_staging(&geometries[i]), usual[i]);
	}
}

/* That bundles of all sizes fit: whatever the alignment of direct I/O. */
static void the_least_staging_is_enough(void **state)
{
	static const uint32_t strides[] = { 2, 4098, 131070, 200000 };
	const struct random_file *file = *state;

	for (size_t i = 0; i < sizeof(strides) / sizeof(strides[0]); i++) {
		const uint64_t at[] = { 6 };
		const struct bundle_geometry one = {
			.n_layers = 1, .slots = 3, .stride = strides[i], .offsets = at,
		};
		const struct bundle_store_options options = {
			.source = "auto", .cost = DEVICE_COST_UFS4,
			.staging_bytes = bundle_store_least_staging(&one),
		};
		const uint64_t all[] = { 7 };
		struct bundle_window window;
		struct bundle_store *store;
		uint32_t seen = 0;
		struct error err;

		assert_ok(bundle_store_open(file->path, &one, &options, &store, &err), &err);
		assert_ok(bundle_store_request(store, 0, all, &err), &err);
		while (bundle_store_next(store, 0, &window, &err) == 1)
			for (uint32_t n = 0; n < window.count; n++)
				assert_memory_equal(window.bundles[n],
						    file->content + 6 + seen++ * strides[i],
						    strides[i]);
		assert_int_equal(seen, 3);
		bundle_store_close(store);
	}
}

static void assert_not_planned(struct bundle_geometry shape, struct bundle_store_options options,
			       int code, const char *why)
{
	struct bundle_store_memory memory;
	struct error err = { 0 };

	assert_int_equal(bundle_store_plan_memory(&shape, &options, &memory, &err), code);
	assert_says(&err, why);
}

static void what_would_be_refused_is_not_planned(void **state)
{
	const struct bundle_store_options options = { .source = "pread" };
	struct bundle_store_options with = options;
	struct bundle_geometry shape = geometry;

	(void)state;
	with.cache_ratio = 1.01;
	assert_not_planned(shape, with, -EINVAL, "ratio");
	with = options;
	with.cache_policy = "mru";
	assert_not_planned(shape, with, -EINVAL, "'mru'");
	with = options;
	with.staging_bytes = UINT64_MAX;
	assert_not_planned(shape, with, -EINVAL, "too large");
	shape.stride = 3;
	assert_not_planned(shape, options, -EINVAL, "3 bytes");
	shape.stride = 2;
	shape.slots = UINT32_MAX;
	assert_not_planned(shape, options, -EOVERFLOW, "more than the cache");
}

static int set_up(void **state)
{
	static struct random_file file;

	random_file_make(&file, 4, LAYERS * LAYER_BYTES);
	*state = &file;
	return 0;
}

static int tear_down(void **state)
{
	random_file_remove(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_as_planned),
		cmocka_unit_test(parts_of_the_plan),
		cmocka_unit_test(staging_has_a_least_and_a_default),
		cmocka_unit_test(the_least_staging_is_enough),
		cmocka_unit_test(what_would_be_refused_is_not_planned),
	};

	return cmocka_run_group_tests_name("store_memory", tests, set_up, tear_down);
}
