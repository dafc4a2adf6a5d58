// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever the source, the cache and the staging: the bundles that were asked for
 * are handed out once each, in slot order, with the bytes of the file, and stay so
 * until the layer's next call. The figures agree with each other.
 */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/random.h"
#include "helpers/arena.h"
#include "helpers/random_file.h"
#include "storage/bundle_store.h"
#include "storage/cache.h"

#define LAYERS 4
#define SLOTS 211
#define STRIDE 1538 /* of no alignment but 2 */
#define LAYER_BYTES (SLOTS * STRIDE)
#define FILE_BYTES (LAYERS * (LAYER_BYTES + 1000) + 90)
#define WORDS ((SLOTS + 63) / 64)

static const char *const names[] = { "uring", "pread", "mmap" };
#define N_NAMES (sizeof(names) / sizeof(names[0]))
static const double ratios[] = { 0, 0.05, 0.5, 1 };
#define N_RATIOS (sizeof(ratios) / sizeof(ratios[0]))
/* Two bundles at a time, a few, all. */
static const uint64_t stagings[] = { 2 * (STRIDE + 3 * 4096), 60000, 0 };
static const uint32_t least_windows[] = { 20, 4, 0 }; /* that a whole layer must exceed */
#define N_STAGINGS (sizeof(stagings) / sizeof(stagings[0]))

struct fixture {
	struct random_file file; /* of FILE_BYTES */
	uint64_t offsets[LAYERS];
	struct bundle_geometry geometry;
	bool have_uring;
	/* For open_store(); all as by default unless a test says so. */
	uint32_t layers_in_flight;
	const char *policy;
	double hot_share;
	const float *frequency;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	random_file_make(&fixture->file, 4, FILE_BYTES);
	for (uint32_t layer = 0; layer < LAYERS; layer++)
		fixture->offsets[layer] = 90 + (LAYERS - 1 - layer) * (LAYER_BYTES + 1000) + 1000;
	fixture->geometry = (struct bundle_geometry){
		.n_layers = LAYERS,
		.slots = SLOTS,
		.stride = STRIDE,
		.offsets = fixture->offsets,
	};
	fixture->have_uring = have_uring(fixture->file.path);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	random_file_remove(&fixture->file);
	free(fixture);
	return 0;
}

static struct bundle_store *open_store(struct fixture *fixture, const char *name, double ratio,
				       uint64_t staging)
{
	struct bundle_store_options options = {
		.source = name,
		.cache_ratio = ratio,
		.cache_policy = fixture->policy,
		.hot_share = fixture->hot_share,
		.frequency = fixture->frequency,
		.layers_in_flight = fixture->layers_in_flight,
		.staging_bytes = staging,
		.queue_depth = 7,
		.cost = DEVICE_COST_UFS4,
		.gap_bytes = 3 * STRIDE,
	};
	struct bundle_store *store;
	struct error err;

	assert_ok(bundle_store_open(fixture->file.path, &fixture->geometry, &options, &store, &err),
		  &err);
	return store;
}

/* A layer between request and its last window, and what is known of it. */
struct flight {
	bool active;
	uint32_t layer;
	uint64_t wanted[WORDS];
	size_t next_slot; /* the slot that has to be handed out next */
	struct bundle_window window; /* handed out last */
	uint32_t n_windows;
};

struct run {
	struct fixture *fixture;
	struct bundle_store *store;
	struct random_state random;
	struct flight flights[2];
	uint64_t wanted_bundles;
	uint32_t most_windows; /* in which a layer was handed out */
};

static void check_window(const struct run *run, const struct flight *flight)
{
	const char *layer = run->fixture->file.content + run->fixture->offsets[flight->layer];

	for (uint32_t i = 0; i < flight->window.count; i++) {
		const uint16_t *bundle = flight->window.bundles[i];

		assert_int_equal((uintptr_t)bundle % 2, 0);
		assert_memory_equal(bundle, layer + (size_t)flight->window.slots[i] * STRIDE,
				    STRIDE);
	}
}

static void request(struct run *run, struct flight *flight, uint32_t layer)
{
	double density = random_unit(&run->random);
	struct error err;

	if (random_below(&run->random, 8) == 0)
		density = (double)random_below(&run->random, 2); /* nothing, or all */
	*flight = (struct flight){ .active = true, .layer = layer };
	for (size_t slot = 0; slot < SLOTS; slot++)
		if (random_unit(&run->random) < density)
			bits_set(flight->wanted, slot);
	run->wanted_bundles += bits_count(flight->wanted, WORDS);
	assert_ok(bundle_store_request(run->store, layer, flight->wanted, &err), &err);
	flight->next_slot = bits_next(flight->wanted, SLOTS, 0);
}

/* The last window must still hold; then take the next one. */
static void next(struct run *run, struct flight *flight)
{
	struct error err;
	int ret;

	check_window(run, flight);
	ret = bundle_store_next(run->store, flight->layer, &flight->window, &err);
	assert_ok(ret, &err);
	if (ret == 0) {
		assert_int_equal(flight->next_slot, SLOTS);
		flight->active = false;
		return;
	}
	assert_int_equal(ret, 1);
	assert_true(flight->window.count > 0);
	if (++flight->n_windows > run->most_windows)
		run->most_windows = flight->n_windows;
	for (uint32_t i = 0; i < flight->window.count; i++) {
		assert_int_equal(flight->window.slots[i], flight->next_slot);
		flight->next_slot = bits_next(flight->wanted, SLOTS, flight->next_slot + 1);
	}
	check_window(run, flight);
}

static void consume(struct run *run, struct flight *flight)
{
	while (flight->active)
		next(run, flight);
}

static struct bundle_store_stats stats_of(struct bundle_store *store)
{
	struct bundle_store_stats stats;
	struct error err;

	assert_ok(bundle_store_get_stats(store, &stats, &err), &err);
	return stats;
}

static void check_stats(const struct run *run, double ratio)
{
	struct bundle_store_stats stats = stats_of(run->store);

	assert_int_equal(stats.wanted_bundles, run->wanted_bundles);
	assert_int_equal(stats.wanted_bundles, stats.cached_bundles + stats.run_bundles);
	assert_int_equal(stats.wanted_bytes, stats.run_bundles * STRIDE);
	assert_true(stats.runs <= stats.run_bundles);
	assert_int_equal(stats.cached_bundles > 0, ratio > 0);
	assert_true(stats.predicted_us > 0);
	assert_true(stats.bookkeeping_ns > 0);
	if (strcmp(bundle_store_source_name(run->store), "mmap") != 0) {
		assert_true(stats.bytes >= stats.wanted_bytes);
		assert_in_range(stats.reads, 1, stats.run_bundles);
	}
}

/* Two layers in flight, as a transformer asks for them, then in any order. */
static void hand_out(struct run *run, double ratio)
{
	struct flight *now = &run->flights[0], *ahead = &run->flights[1];
	uint32_t layer = 0;

	request(run, now, layer);
	for (int step = 0; step < 24; step++) {
		struct flight *done = now;

		layer = (layer + 1) % LAYERS;
		request(run, ahead, layer);
		consume(run, now);
		now = ahead;
		ahead = done;
	}
	consume(run, now);
	for (int step = 0; step < 250; step++) {
		uint64_t which = random_below(&run->random, 2);
		struct flight *flight = &run->flights[which], *other = &run->flights[1 - which];

		if (flight->active)
			next(run, flight);
		else if ((layer = (uint32_t)random_below(&run->random, LAYERS)) != other->layer)
			request(run, flight, layer);
	}
	consume(run, &run->flights[0]);
	consume(run, &run->flights[1]);
	check_stats(run, ratio);
}

static void every_source_cache_and_staging(void **state)
{
	struct fixture *fixture = *state;

	for (size_t n = 0; n < N_NAMES; n++)
		for (size_t r = 0; r < N_RATIOS; r++)
			for (size_t s = 0; s < N_STAGINGS; s++) {
				struct run run = { .fixture = fixture };

				if (n == 0 && !fixture->have_uring)
					continue;
				random_seed(&run.random, 5);
				run.store = open_store(fixture, names[n], ratios[r], stagings[s]);
				hand_out(&run, ratios[r]);
				if (!strcmp(names[n], "mmap"))
					assert_int_equal(run.most_windows, 1);
				else
					assert_true(run.most_windows > least_windows[s]);
				bundle_store_close(run.store);
			}
}

static void every_cache_policy(void **state)
{
	struct fixture *fixture = *state;

	for (size_t p = 0; (fixture->policy = cache_policy_at(p)) != NULL; p++)
		for (size_t s = 0; s < N_STAGINGS; s++) {
			struct run run = { .fixture = fixture };

			random_seed(&run.random, 8);
			run.store = open_store(fixture, "pread", 0.3, stagings[s]);
			assert_string_equal(bundle_store_cache_policy(run.store), fixture->policy);
			hand_out(&run, 0.3);
			bundle_store_close(run.store);
		}
}

/* The same requests give the same figures, whoever reads. */
static void figures_do_not_depend_on_the_source(void **state)
{
	struct fixture *fixture = *state;
	struct bundle_store_stats stats[2];

	for (size_t n = 0; n < 2; n++) {
		struct run run = { .fixture = fixture };

		random_seed(&run.random, 6);
		run.store = open_store(fixture, n ? "auto" : "pread", 0.3, 1u << 20);
		hand_out(&run, 0.3);
		stats[n] = stats_of(run.store);
		bundle_store_close(run.store);
	}
	assert_int_equal(stats[0].reads, stats[1].reads);
	assert_int_equal(stats[0].cached_bundles, stats[1].cached_bundles);
	assert_int_equal(stats[0].wanted_bytes, stats[1].wanted_bytes);
	assert_int_equal(stats[0].runs, stats[1].runs);
	assert_true(stats[0].predicted_us == stats[1].predicted_us);
}

static void all_of_layer(struct run *run, uint32_t layer)
{
	struct flight *flight = &run->flights[0];
	struct error err;

	*flight = (struct flight){ .active = true, .layer = layer };
	for (size_t slot = 0; slot < SLOTS; slot++)
		bits_set(flight->wanted, slot);
	assert_ok(bundle_store_request(run->store, layer, flight->wanted, &err), &err);
	consume(run, flight);
}

static void what_is_cached_is_not_read_again(void **state)
{
	struct fixture *fixture = *state;
	struct run run = { .fixture = fixture };
	struct bundle_store_stats stats;
	struct error err;

	run.store = open_store(fixture, "auto", 1, 0);
	for (uint32_t layer = 0; layer < LAYERS; layer++)
		all_of_layer(&run, layer);
	stats = stats_of(run.store);
	assert_int_equal(stats.wanted_bytes, LAYERS * LAYER_BYTES);
	assert_int_equal(stats.runs, LAYERS);
	assert_int_equal(stats.reads, LAYERS * 2); /* in two windows each */
	assert_true(bundle_store_memory(run.store) > LAYERS * LAYER_BYTES + 2 * LAYER_BYTES);

	assert_true(stats.bookkeeping_ns > 0);
	assert_ok(bundle_store_reset_stats(run.store, &err), &err);
	assert_int_equal(stats_of(run.store).bookkeeping_ns, 0);
	for (uint32_t layer = 0; layer < LAYERS; layer++)
		all_of_layer(&run, layer);
	stats = stats_of(run.store);
	assert_int_equal(stats.reads, 0);
	assert_int_equal(stats.bytes, 0);
	assert_int_equal(stats.wanted_bytes, 0);
	assert_int_equal(stats.cached_bundles, LAYERS * SLOTS);
	assert_true(stats.predicted_us == 0);
	bundle_store_close(run.store);
}

/* Room for one layer: what is asked for again and again takes the place of what was. */
static void cache_follows_the_requests(void **state)
{
	struct fixture *fixture = *state;
	struct run run = { .fixture = fixture };
	struct bundle_store_stats before;

	fixture->policy = "lru";
	run.store = open_store(fixture, "auto", 1.0 / LAYERS, 0);
	fixture->policy = NULL;
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		for (int again = 0; again < 3; again++) {
			before = stats_of(run.store);
			all_of_layer(&run, layer);
		}
		assert_int_equal(stats_of(run.store).reads, before.reads);
	}
	bundle_store_close(run.store);
}

/* A tenth of all, half of it hot: slots 0 to 20 of each layer, frequencies apart. */
static void hot_bundles_are_read_at_opening_only(void **state)
{
	struct fixture *fixture = *state;
	struct run run = { .fixture = fixture };
	static float frequency[LAYERS * SLOTS];
	const uint32_t n_hot = LAYERS * SLOTS / 10 / 2;
	struct bundle_store_stats stats;

	for (uint32_t i = 0; i < n_hot; i++)
		frequency[i % LAYERS * SLOTS + i / LAYERS] = 0.5f + (float)i / 1000;
	fixture->frequency = frequency;
	fixture->hot_share = 0.5;
	for (size_t p = 0; (fixture->policy = cache_policy_at(p)) != NULL; p++) {
		run.store = open_store(fixture, "auto", 0.1, 0);
		stats = stats_of(run.store);
		assert_int_equal(stats.reads, 0);
		assert_int_equal(stats.wanted_bundles, 0);
		for (int again = 0; again < 3; again++)
			for (uint32_t layer = 0; layer < LAYERS; layer++)
				all_of_layer(&run, layer);
		assert_true(stats_of(run.store).cached_bundles >= 3 * n_hot);
		bundle_store_close(run.store);
	}
	fixture->hot_share = 1; /* what never fires is not hot, and room for it is left */
	run.store = open_store(fixture, "auto", 1, 0);
	for (int again = 0; again < 2; again++)
		for (uint32_t layer = 0; layer < LAYERS; layer++)
			all_of_layer(&run, layer);
	stats = stats_of(run.store);
	assert_int_equal(stats.cached_bundles, LAYERS * SLOTS + n_hot);
	bundle_store_close(run.store);
	fixture->hot_share = 0;
	fixture->frequency = NULL;
}

static void hot_bundles_that_cannot_be_read_are_an_error(void **state)
{
	struct fixture *fixture = *state;
	float frequency[LAYERS * SLOTS] = { 1 };
	const struct bundle_store_options options = {
		.source = "pread", .cache_ratio = 0.5, .hot_share = 0.5, .frequency = frequency,
	};
	struct bundle_store *store;
	struct error err;

	assert_int_equal(truncate(fixture->file.path, (off_t)fixture->offsets[0] + 5), 0);
	assert_true(bundle_store_open(fixture->file.path, &fixture->geometry, &options, &store,
				      &err) < 0);
	assert_says(&err, fixture->file.path);
	random_file_restore(&fixture->file);
}

static void mapped_bundles_need_no_memory(void **state)
{
	struct fixture *fixture = *state;
	struct bundle_store *store = open_store(fixture, "mmap", 0, 0);

	/* Tables of the cache only. */
	assert_in_range(bundle_store_memory(store), 0, 16 * LAYERS * SLOTS);
	assert_string_equal(bundle_store_source_name(store), "mmap");
	assert_non_null(strstr(bundle_store_describe(store), "mmap"));
	bundle_store_close(store);
}

static void wrong_calls_are_refused(void **state)
{
	struct fixture *fixture = *state;
	struct run run = { .fixture = fixture };
	uint64_t wanted[WORDS] = { 1 };
	struct bundle_window window;
	struct error err;

	run.store = open_store(fixture, "pread", 0.5, 0);
	assert_int_equal(bundle_store_next(run.store, 0, &window, &err), -EINVAL);
	assert_int_equal(bundle_store_request(run.store, LAYERS, wanted, &err), -EINVAL);
	request(&run, &run.flights[0], 2);
	assert_int_equal(bundle_store_request(run.store, 2, wanted, &err), -EBUSY);
	request(&run, &run.flights[1], 1);
	assert_int_equal(bundle_store_request(run.store, 0, wanted, &err), -EBUSY);
	consume(&run, &run.flights[0]);
	assert_int_equal(bundle_store_next(run.store, 2, &window, &err), -EINVAL);
	consume(&run, &run.flights[1]);
	bundle_store_close(run.store);
}

/* As many as asked for, consumed from the last to the first; one more is refused. */
static void layers_in_flight(void **state)
{
	struct fixture *fixture = *state;

	for (uint32_t n = 1; n < LAYERS; n++) {
		struct run run = { .fixture = fixture };
		uint64_t wanted[WORDS] = { 1 };
		struct flight flights[LAYERS];
		struct error err;

		fixture->layers_in_flight = n;
		run.store = open_store(fixture, "pread", 0.2, 0);
		random_seed(&run.random, n);
		for (int round = 0; round < 3; round++) {
			for (uint32_t layer = 0; layer < n; layer++)
				request(&run, &flights[layer], layer);
			assert_int_equal(bundle_store_request(run.store, n, wanted, &err), -EBUSY);
			for (uint32_t layer = n; layer-- > 0;)
				consume(&run, &flights[layer]);
		}
		check_stats(&run, 0.2);
		bundle_store_close(run.store);
	}
	fixture->layers_in_flight = 0;
}

/* Each bundle alone in its half: the smallest staging that is accepted works. */
static void smallest_staging_works(void **state)
{
	struct fixture *fixture = *state;
	struct run run = { .fixture = fixture };

	run.store = open_store(fixture, "pread", 0.5, 2 * STRIDE);
	all_of_layer(&run, 0);
	all_of_layer(&run, 0);
	bundle_store_close(run.store);
}

static void a_cut_file_is_an_error(void **state)
{
	struct fixture *fixture = *state;

	for (size_t n = 0; n < N_NAMES; n++) {
		struct bundle_store *store;
		uint64_t wanted[WORDS] = { 0 };
		struct bundle_window window;
		struct error err = { 0 };
		int ret;

		if (n == 0 && !fixture->have_uring)
			continue;
		store = open_store(fixture, names[n], 0, 0);
		assert_int_equal(truncate(fixture->file.path, (off_t)fixture->offsets[0] + 5), 0);
		bits_set(wanted, 0);
		ret = bundle_store_request(store, 0, wanted, &err);
		while (ret >= 0)
			ret = bundle_store_next(store, 0, &window, &err);
		assert_int_equal(ret, -EIO);
		assert_says(&err, fixture->file.path);
		assert_says(&err, "offset");
		assert_int_equal(bundle_store_request(store, 1, wanted, NULL), -EIO);
		bundle_store_close(store);
		random_file_restore(&fixture->file);
	}
}

static void layers_beyond_the_file_are_an_error(void **state)
{
	struct fixture *fixture = *state;
	uint64_t offsets[LAYERS] = { 0, 0, 0, FILE_BYTES - LAYER_BYTES + 2 };
	struct bundle_store *store;
	uint64_t wanted[WORDS] = { 0 };
	struct error err;

	fixture->geometry.offsets = offsets;
	store = open_store(fixture, "auto", 0, 0);
	fixture->geometry.offsets = fixture->offsets;
	bits_set(wanted, SLOTS - 1);
	assert_ok(bundle_store_request(store, 0, wanted, &err), &err);
	assert_int_equal(bundle_store_request(store, LAYERS - 1, wanted, &err), -EINVAL);
	assert_says(&err, "beyond its end");
	bundle_store_close(store);
}

/* Who has a window of mapped bundles waits for what it touches: as long as it is off the CPU. */
static void mapped_bundles_are_waited_for_by_their_user(void **state)
{
	struct bundle_store *store = open_store(*state, "mmap", 0, 0);
	uint64_t wanted[WORDS] = { 1 };
	struct bundle_store_stats stats;
	struct bundle_window window;
	struct error err;

	assert_ok(bundle_store_request(store, 0, wanted, &err), &err);
	assert_int_equal(bundle_store_next(store, 0, &window, &err), 1);
	usleep(20000);
	assert_int_equal(bundle_store_next(store, 0, &window, &err), 0);
	assert_ok(bundle_store_get_stats(store, &stats, &err), &err);
	assert_true(stats.wait_ns >= 20000000);
	bundle_store_close(store);
}

static void closing_with_layers_in_flight(void **state)
{
	struct fixture *fixture = *state;

	for (size_t n = 0; n < N_NAMES; n++) {
		struct run run = { .fixture = fixture };

		if (n == 0 && !fixture->have_uring)
			continue;
		run.store = open_store(fixture, names[n], 0.5, stagings[1]);
		all_of_layer(&run, 3);
		request(&run, &run.flights[0], 3);
		request(&run, &run.flights[1], 1);
		next(&run, &run.flights[0]);
		bundle_store_close(run.store);
	}
	bundle_store_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_file_is_an_error),
		cmocka_unit_test(cache_follows_the_requests),
		cmocka_unit_test(closing_with_layers_in_flight),
		cmocka_unit_test(every_cache_policy),
		cmocka_unit_test(every_source_cache_and_staging),
		cmocka_unit_test(figures_do_not_depend_on_the_source),
		cmocka_unit_test(hot_bundles_are_read_at_opening_only),
		cmocka_unit_test(hot_bundles_that_cannot_be_read_are_an_error),
		cmocka_unit_test(layers_beyond_the_file_are_an_error),
		cmocka_unit_test(layers_in_flight),
		cmocka_unit_test(mapped_bundles_are_waited_for_by_their_user),
		cmocka_unit_test(mapped_bundles_need_no_memory),
		cmocka_unit_test(smallest_staging_works),
		cmocka_unit_test(what_is_cached_is_not_read_again),
		cmocka_unit_test(wrong_calls_are_refused),
	};

	return cmocka_run_group_tests_name("bundle store", tests, set_up, tear_down);
}
