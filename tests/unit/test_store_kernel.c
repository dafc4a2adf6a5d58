// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bundle store over the source "kernel", with a module that is a fake: what it asks for,
 * how much of it at a time, and what it makes of what the module answers.
 */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bits.h"
#include "helpers/disk.h"
#include "helpers/fake_module.h"
#include "helpers/random_file.h"
#include "storage/bundle_store.h"

#define PAGE 4096
#define LAYERS 2
#define SLOTS 128
#define STRIDE 2048 /* half a page */
#define LAYER_BYTES (SLOTS * STRIDE)

static const uint64_t offsets[LAYERS] = { 0, LAYER_BYTES };

static const struct bundle_geometry geometry = {
	.n_layers = LAYERS, .slots = SLOTS, .stride = STRIDE, .offsets = offsets,
};

struct fixture {
	struct random_file file;
	struct bundle_store *store;
	uint64_t wanted[(SLOTS + 63) / 64];
	uint32_t n_windows, n_bundles; /* of the last layer that was consumed */
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int fd;

	assert_non_null(fixture);
	fake_module_reset();
	random_file_make(&fixture->file, 9, LAYERS * LAYER_BYTES);
	fd = open(fixture->file.path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	bundle_store_close(fixture->store);
	random_file_remove(&fixture->file);
	free(fixture);
	fake_module_reset();
	return 0;
}

static void open_store(struct fixture *fixture, double cache_ratio, uint64_t staging_bytes)
{
	const struct bundle_store_options options = {
		.source = "kernel",
		.cache_ratio = cache_ratio,
		.staging_bytes = staging_bytes,
		.cost = DEVICE_COST_UFS4,
		.gap_bytes = 16384,
	};
	struct error err;

	assert_ok(bundle_store_open(fixture->file.path, &geometry, &options, &fixture->store, &err),
		  &err);
}

static void want(struct fixture *fixture, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++)
		bits_set(fixture->wanted, i);
}

static void request(struct fixture *fixture, uint32_t layer)
{
	struct error err;

	assert_ok(bundle_store_request(fixture->store, layer, fixture->wanted, &err), &err);
}

static void consume(struct fixture *fixture, uint32_t layer)
{
	struct bundle_window window;
	struct error err;
	int ret;

	fixture->n_windows = 0;
	fixture->n_bundles = 0;
	while ((ret = bundle_store_next(fixture->store, layer, &window, &err)) > 0) {
		for (uint32_t i = 0; i < window.count; i++)
			assert_memory_equal(window.bundles[i],
					    fixture->file.content + offsets[layer] +
						    window.slots[i] * STRIDE,
					    STRIDE);
		fixture->n_windows++;
		fixture->n_bundles += window.count;
	}
	assert_ok(ret, &err);
}

static struct bundle_store_stats stats_of(const struct fixture *fixture)
{
	struct bundle_store_stats stats;
	struct error err;

	assert_ok(bundle_store_get_stats(fixture->store, &stats, &err), &err);
	return stats;
}

/* A layer's runs as they are, in one call: which gaps are short enough the module says. */
static void runs_of_a_layer_in_one_call(void **state)
{
	struct fixture *fixture = *state;
	struct device_cost cost;
	uint64_t gap_bytes;

	open_store(fixture, 0, 0);
	want(fixture, 1, 1);
	want(fixture, 3, 2);
	want(fixture, 100, 10);
	request(fixture, 1);
	assert_int_equal(fake_module.calls, 1);
	assert_int_equal(fake_module.last.n_extents, 3);
	assert_int_equal(fake_module.last.gap_bytes, 16384);
	assert_int_equal(fake_module.extents[1].first, LAYER_BYTES + 3 * STRIDE);
	assert_int_equal(fake_module.extents[1].count, 2 * STRIDE);
	consume(fixture, 1);
	assert_int_equal(fixture->n_windows, 1);
	assert_int_equal(fixture->n_bundles, 13);
	bundle_store_cost(fixture->store, &cost, &gap_bytes);
	assert_int_equal(gap_bytes, 16384);
	assert_int_equal(stats_of(fixture).runs, 3);
}

/* No more of the page cache is filled ahead than others have staging. */
static void as_much_ahead_as_there_is_staging(void **state)
{
	struct fixture *fixture = *state;
	uint32_t calls;

	open_store(fixture, 0, 8 * PAGE);
	for (uint32_t i = 0; i < SLOTS; i += 2)
		want(fixture, i, 1);
	request(fixture, 0);
	assert_int_equal(fake_module.calls, 2);
	assert_int_equal(fake_module.last.n_extents, 8);
	consume(fixture, 0);
	assert_int_equal(fixture->n_bundles, SLOTS / 2);
	assert_int_equal(fixture->n_windows, SLOTS / 2 / 8);
	calls = fake_module.calls;
	assert_int_equal(calls, fixture->n_windows);
}

/* The page cache's hits are hits. */
static void residency_is_in_the_stats(void **state)
{
	struct fixture *fixture = *state;
	struct bundle_store_stats stats;

	need_disk(fixture->file.folder);
	open_store(fixture, 0, 0);
	want(fixture, 0, 8);
	request(fixture, 0);
	consume(fixture, 0);
	stats = stats_of(fixture);
	assert_int_equal(stats.wanted_bundles, 8);
	assert_int_equal(stats.cached_bundles, 0);
	assert_int_equal(stats.wanted_bytes, 8 * STRIDE);
	assert_int_equal(stats.reads, 1);
	assert_int_equal(stats.bytes, 4 * PAGE);
	assert_true(stats.predicted_us == device_time_us(DEVICE_COST_UFS4, 1, 4 * PAGE));

	want(fixture, 8, 8);
	request(fixture, 0);
	consume(fixture, 0);
	stats = stats_of(fixture);
	assert_int_equal(stats.wanted_bundles, 24);
	assert_int_equal(stats.cached_bundles, 8);
	assert_int_equal(stats.wanted_bytes, 16 * STRIDE);
	assert_int_equal(stats.reads, 2);
	assert_int_equal(stats.bytes, 8 * PAGE);
	assert_int_equal(stats.unused_bytes, 0);

	assert_ok(bundle_store_reset_stats(fixture->store, NULL), &(struct error){ 0 });
	request(fixture, 0);
	consume(fixture, 0);
	stats = stats_of(fixture);
	assert_int_equal(stats.cached_bundles, 16);
	assert_int_equal(stats.bytes, 0);
	assert_int_equal(stats.wanted_bytes, 0);
}

/* What quotas of the module refuse is no failure. */
static void refused_by_quotas(void **state)
{
	struct fixture *fixture = *state;

	open_store(fixture, 0, 0);
	fake_module.prefetch_error = -EDQUOT;
	want(fixture, 5, 20);
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		request(fixture, layer);
		consume(fixture, layer);
		assert_int_equal(fixture->n_bundles, 20);
	}
	assert_int_equal(stats_of(fixture).cached_bundles, 0);
}

/* Beside the page cache, if one is asked for. */
static void with_a_cache_of_its_own(void **state)
{
	struct fixture *fixture = *state;

	open_store(fixture, 1, 0);
	want(fixture, 5, 20);
	request(fixture, 0);
	consume(fixture, 0);
	request(fixture, 0);
	assert_int_equal(fake_module.calls, 1);
	consume(fixture, 0);
	assert_int_equal(fixture->n_bundles, 20);
}

#define store_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(runs_of_a_layer_in_one_call),
		store_test(as_much_ahead_as_there_is_staging),
		store_test(residency_is_in_the_stats),
		store_test(refused_by_quotas),
		store_test(with_a_cache_of_its_own),
	};

	return cmocka_run_group_tests_name("store_kernel", tests, NULL, NULL);
}
