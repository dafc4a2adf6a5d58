// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store that refines the device cost: it tells every wait for reads, and what, and plans
 * by what the estimate is then. What the device took is not what it took but what the test
 * says: device_watch_waited() is wrapped (see the Makefile).
 */
#include "helpers/test.h"

#include <string.h>

#include "base/bits.h"
#include "helpers/random_file.h"
#include "storage/bundle_store.h"
#include "storage/device_watch.h"

#define SLOTS 256
#define STRIDE 1024
#define WORDS (SLOTS / 64)

static struct {
	uint64_t waits;
	uint64_t reads; /* finished by the last of them */
	uint64_t bytes;
	double slower; /* what a MiB is said to take, in units of the first cost; 0: nothing */
} seen;

void __wrap_device_watch_waited(struct device_watch *watch, const struct device_mark *submitted,
				uint64_t begin_ns, const struct device_mark *end);

void __wrap_device_watch_waited(struct device_watch *watch, const struct device_mark *submitted,
				uint64_t begin_ns, const struct device_mark *end)
{
	const struct device_cost first = DEVICE_COST_UFS4;

	assert_true(submitted->ns <= begin_ns && begin_ns <= end->ns);
	assert_true(submitted->reads <= end->reads);
	seen.waits++;
	seen.reads = end->reads;
	seen.bytes = end->bytes;
	if (seen.slower > 0)
		for (uint64_t ios = 50; ios < 5000; ios *= 2)
			device_estimator_observe(&watch->estimator, ios, 10 << 20,
						 first.a_us * (double)ios +
						 seen.slower * first.b_us_per_mib * 10);
}

struct fixture {
	struct random_file file;
};

static struct bundle_store *open_store(struct fixture *fixture, const char *source, bool refine,
				       double cache_ratio)
{
	static const uint64_t offsets[] = { 0 };
	const struct bundle_geometry geometry = {
		.n_layers = 1, .slots = SLOTS, .stride = STRIDE, .offsets = offsets,
	};
	const struct bundle_store_options options = {
		.source = source,
		.cache_ratio = cache_ratio,
		.cost = DEVICE_COST_UFS4,
		.gap_bytes = device_break_even_bytes(DEVICE_COST_UFS4),
		.refine_cost = refine,
	};
	struct bundle_store *store;
	struct error err;

	assert_ok(bundle_store_open(fixture->file.path, &geometry, &options, &store, &err), &err);
	return store;
}

static int set_up(void **state)
{
	static struct fixture fixture;

	random_file_make(&fixture.file, 7, SLOTS * STRIDE);
	memset(&seen, 0, sizeof(seen));
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	random_file_remove(&fixture->file);
	return 0;
}

/* Slots with gaps of 8 KiB between them, or just one; returns the reads that it took. */
static uint64_t read_layer(struct fixture *fixture, struct bundle_store *store, bool one)
{
	struct bundle_store_stats before, after;
	uint64_t wanted[WORDS] = { 0 };
	struct bundle_window window;
	struct error err;
	int ret;

	for (size_t slot = 0; slot < (one ? 1 : SLOTS); slot += 9)
		bits_set(wanted, slot);
	assert_ok(bundle_store_get_stats(store, &before, &err), &err);
	assert_ok(bundle_store_request(store, 0, wanted, &err), &err);
	while ((ret = bundle_store_next(store, 0, &window, &err)) > 0)
		for (uint32_t i = 0; i < window.count; i++)
			assert_memory_equal(window.bundles[i],
					    fixture->file.content +
						    (size_t)window.slots[i] * STRIDE, STRIDE);
	assert_ok(ret, &err);
	assert_ok(bundle_store_get_stats(store, &after, &err), &err);
	return after.reads - before.reads;
}

static uint64_t gap_of(const struct bundle_store *store, uint64_t *observations)
{
	struct device_cost cost;
	uint64_t gap;

	*observations = bundle_store_cost(store, &cost, &gap);
	assert_int_equal(gap, device_break_even_bytes(cost));
	return gap;
}

/* A MiB takes ever longer: the gap shrinks until 8 KiB are not worth reading over. */
static void where_bandwidth_binds_gaps_are_no_longer_read(void **state)
{
	static const char *const sources[] = { "pread", "auto" };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < 2; i++) {
		struct bundle_store *store = open_store(fixture, sources[i], true, 0);
		uint64_t observations, gap = gap_of(store, &observations);

		assert_int_equal(observations, 0);
		assert_in_range(read_layer(fixture, store, false), 1, 2);
		assert_true(gap_of(store, &observations) == gap && observations == 0);
		seen.slower = 8;
		for (int again = 0; again < 20; again++)
			read_layer(fixture, store, false);
		assert_true(gap_of(store, &observations) < 8192);
		assert_true(observations > 0);
		assert_int_equal(read_layer(fixture, store, false), (SLOTS + 8) / 9);
		seen.slower = 0;
		bundle_store_close(store);
	}
}

static void every_wait_for_reads_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct bundle_store *store = open_store(fixture, "auto", true, 0);
	struct bundle_store_stats stats;
	struct error err;

	read_layer(fixture, store, true);
	read_layer(fixture, store, true);
	assert_int_equal(seen.waits, 2);
	read_layer(fixture, store, false);
	assert_ok(bundle_store_get_stats(store, &stats, &err), &err);
	assert_int_equal(seen.reads, stats.reads);
	assert_int_equal(seen.bytes, stats.bytes);
	bundle_store_close(store);
}

static void what_is_cached_is_not_waited_for(void **state)
{
	struct fixture *fixture = *state;
	struct bundle_store *store = open_store(fixture, "auto", true, 1);

	read_layer(fixture, store, true);
	assert_int_equal(read_layer(fixture, store, true), 0);
	assert_int_equal(seen.waits, 1);
	bundle_store_close(store);
}

static void otherwise_the_cost_is_fixed(void **state)
{
	struct fixture *fixture = *state;
	struct bundle_store *store = open_store(fixture, "auto", false, 0);
	uint64_t observations, gap = gap_of(store, &observations);

	seen.slower = 8;
	for (int again = 0; again < 3; again++)
		assert_in_range(read_layer(fixture, store, false), 1, 2);
	assert_int_equal(seen.waits, 0);
	assert_true(gap_of(store, &observations) == gap && observations == 0);
	bundle_store_close(store);
}

/* With mapped files it is not known what was waited for. */
static void mapped_files_tell_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct bundle_store *store = open_store(fixture, "mmap", true, 0);
	uint64_t observations;

	read_layer(fixture, store, false);
	assert_int_equal(seen.reads, 0);
	gap_of(store, &observations);
	assert_int_equal(observations, 0);
	bundle_store_close(store);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(every_wait_for_reads_is_told),
		CASE(mapped_files_tell_nothing),
		CASE(otherwise_the_cost_is_fixed),
		CASE(what_is_cached_is_not_waited_for),
		CASE(where_bandwidth_binds_gaps_are_no_longer_read),
	};

	return cmocka_run_group_tests_name("refined cost", tests, NULL, NULL);
}
