// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store whose layers have copies hands out what one without them does: the same slots in the
 * same order with the same bytes, whatever source, cache, staging and gap. It reads the places
 * that cost less where all has room at once, and primary ones where not.
 */
#include "helpers/test.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "helpers/arena.h"
#include "helpers/random_file.h"
#include "storage/bundle_store.h"

#define LAYERS 3
#define SLOTS 150
#define COPIES 40
#define POSITIONS (SLOTS + COPIES)
#define STRIDE 1538 /* of no alignment but 2 */
#define PLAIN_OFFSET(layer) (90 + (layer) * (size_t)SLOTS * STRIDE)
#define COPIES_OFFSET(layer) (PLAIN_OFFSET(LAYERS) + 1000 + (layer) * (size_t)POSITIONS * STRIDE)
#define FILE_BYTES COPIES_OFFSET(LAYERS)
#define WORDS ((SLOTS + 63) / 64)

static const char *const names[] = { "uring", "pread", "mmap" };
#define N_NAMES (sizeof(names) / sizeof(names[0]))
/* Two bundles at a time, some, all. */
static const uint64_t stagings[] = { 2 * (STRIDE + 3 * 4096), 60000, 0 };
#define N_STAGINGS (sizeof(stagings) / sizeof(stagings[0]))

struct fixture {
	struct random_file file;
	uint64_t plain_offsets[LAYERS], copies_offsets[LAYERS];
	uint32_t slot_at[LAYERS * POSITIONS];
	struct bundle_geometry plain, copies;
};

/* Slots as they come, and copies in between at random. */
static void draw_places(struct random_state *random, uint32_t *slot_at)
{
	uint32_t left = SLOTS, slot = 0;

	for (uint32_t position = 0; position < POSITIONS; position++) {
		if (random_below(random, POSITIONS - position) < left) {
			slot_at[position] = slot++;
			left--;
		} else {
			slot_at[position] = (uint32_t)random_below(random, SLOTS);
		}
	}
}

/* Copies of the bundles of the plain layers. */
static void fill_copies(struct fixture *fixture)
{
	for (size_t layer = 0; layer < LAYERS; layer++)
		for (size_t i = 0; i < POSITIONS; i++)
			memcpy(fixture->file.content + COPIES_OFFSET(layer) + i * STRIDE,
			       fixture->file.content + PLAIN_OFFSET(layer) +
				       fixture->slot_at[layer * POSITIONS + i] * (size_t)STRIDE,
			       STRIDE);
	random_file_restore(&fixture->file);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct random_state random;

	assert_non_null(fixture);
	random_seed(&random, 3);
	random_file_make(&fixture->file, 4, FILE_BYTES);
	for (size_t layer = 0; layer < LAYERS; layer++) {
		fixture->plain_offsets[layer] = PLAIN_OFFSET(layer);
		fixture->copies_offsets[layer] = COPIES_OFFSET(layer);
		draw_places(&random, fixture->slot_at + layer * POSITIONS);
	}
	fixture->plain = (struct bundle_geometry){
		.n_layers = LAYERS, .slots = SLOTS, .stride = STRIDE,
		.offsets = fixture->plain_offsets,
	};
	fixture->copies = fixture->plain;
	fixture->copies.offsets = fixture->copies_offsets;
	fixture->copies.positions = POSITIONS;
	fixture->copies.slot_at = fixture->slot_at;
	fill_copies(fixture);
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

/* How a store is opened in a test. */
struct variant {
	const char *source;
	double cache_ratio;
	uint64_t staging, gap_bytes;
};

static struct bundle_store_options options_of(const struct variant *variant)
{
	return (struct bundle_store_options){
		.source = variant->source,
		.cache_ratio = variant->cache_ratio,
		.cache_policy = "lru",
		.staging_bytes = variant->staging,
		.queue_depth = 7,
		.cost = DEVICE_COST_UFS4,
		.gap_bytes = variant->gap_bytes,
	};
}

static struct bundle_store *open_store(const struct fixture *fixture,
				       const struct bundle_geometry *geometry,
				       const struct variant *variant)
{
	struct bundle_store_options options = options_of(variant);
	struct bundle_store *store;
	struct error err;

	assert_ok(bundle_store_open(fixture->file.path, geometry, &options, &store, &err), &err);
	return store;
}

static struct bundle_store_stats stats_of(struct bundle_store *store)
{
	struct bundle_store_stats stats;
	struct error err;

	assert_ok(bundle_store_get_stats(store, &stats, &err), &err);
	return stats;
}

/* Consume a requested layer: the wanted slots, ascending, with their bytes. Returns windows. */
static uint32_t consume(const struct fixture *fixture, struct bundle_store *store, uint32_t layer,
			const uint64_t *wanted)
{
	const char *bytes = fixture->file.content + PLAIN_OFFSET(layer);
	size_t next = bits_next(wanted, SLOTS, 0);
	struct bundle_window window;
	uint32_t n_windows = 0;
	struct error err;
	int ret;

	while ((ret = bundle_store_next(store, layer, &window, &err)) > 0) {
		n_windows++;
		for (uint32_t i = 0; i < window.count; i++) {
			assert_int_equal(window.slots[i], next);
			assert_memory_equal(window.bundles[i], bytes + next * STRIDE, STRIDE);
			next = bits_next(wanted, SLOTS, next + 1);
		}
	}
	assert_ok(ret, &err);
	assert_int_equal(next, SLOTS);
	return n_windows;
}

static void draw_wanted(struct random_state *random, uint64_t *wanted)
{
	double density = random_unit(random);

	density *= density;
	if (random_below(random, 8) == 0)
		density = (double)random_below(random, 2); /* nothing, or all */
	memset(wanted, 0, WORDS * sizeof(*wanted));
	for (size_t slot = 0; slot < SLOTS; slot++)
		if (random_unit(random) < density)
			bits_set(wanted, slot);
}

/* Two layers in flight, as a transformer asks for them. */
static void compare(const struct fixture *fixture, const struct variant *variant)
{
	struct bundle_store *stores[] = {
		open_store(fixture, &fixture->plain, variant),
		open_store(fixture, &fixture->copies, variant),
	};
	uint64_t wanted[2][WORDS];
	struct bundle_store_stats stats[2];
	struct random_state random;
	struct error err;

	random_seed(&random, 9);
	for (uint32_t step = 0; step <= 40; step++) {
		if (step < 40)
			draw_wanted(&random, wanted[step % 2]);
		for (int i = 0; i < 2; i++) {
			if (step < 40)
				assert_ok(bundle_store_request(stores[i], step % LAYERS,
							       wanted[step % 2], &err), &err);
			if (step > 0)
				consume(fixture, stores[i], (step - 1) % LAYERS,
					wanted[(step - 1) % 2]);
		}
	}
	for (int i = 0; i < 2; i++) {
		stats[i] = stats_of(stores[i]);
		assert_int_equal(stats[i].wanted_bytes, stats[i].run_bundles * STRIDE);
		assert_int_equal(stats[i].wanted_bundles,
				 stats[i].cached_bundles + stats[i].run_bundles);
		bundle_store_close(stores[i]);
	}
	assert_int_equal(stats[0].wanted_bundles, stats[1].wanted_bundles);
	if (variant->cache_ratio == 0)
		assert_int_equal(stats[0].wanted_bytes, stats[1].wanted_bytes);
}

static void the_same_is_handed_out(void **state)
{
	static const double ratios[] = { 0, 0.3, 1 };
	static const uint64_t gaps[] = { 0, 3 * STRIDE, 200 * STRIDE };
	const struct fixture *fixture = *state;
	bool uring = have_uring(fixture->file.path);

	for (size_t n = uring ? 0 : 1; n < N_NAMES; n++)
		for (size_t r = 0; r < 3; r++)
			for (size_t s = 0; s < N_STAGINGS; s++)
				for (size_t g = 0; g < 3; g++)
					compare(fixture, &(struct variant){
						names[n], ratios[r], stagings[s], gaps[g],
					});
}

/* Places by hand: slots 0 to 149, but a copy of 100 behind 5, and one of 7 behind 120. */
static void place_by_hand(struct fixture *fixture)
{
	for (size_t layer = 0; layer < LAYERS; layer++) {
		uint32_t *slot_at = fixture->slot_at + layer * POSITIONS, slot = 0;

		for (uint32_t position = 0; position < POSITIONS; position++) {
			if (position == 6)
				slot_at[position] = 100;
			else if (position == 122)
				slot_at[position] = 7;
			else
				slot_at[position] = slot < SLOTS ? slot++ : SLOTS - 1;
		}
	}
	fill_copies(fixture);
}

/* The reads, and windows, of one layer by itself. */
static uint64_t reads_of(const struct fixture *fixture, struct bundle_store *store,
			 const uint32_t *slots, uint32_t n, uint32_t *windows)
{
	uint64_t wanted[WORDS] = { 0 }, before = stats_of(store).reads;
	struct error err;

	for (uint32_t i = 0; i < n; i++)
		bits_set(wanted, slots[i]);
	assert_ok(bundle_store_request(store, 1, wanted, &err), &err);
	*windows = consume(fixture, store, 1, wanted);
	return stats_of(store).reads - before;
}

static void the_cheaper_place_is_read(void **state)
{
	static const uint32_t near_copy[] = { 5, 100 }, near_itself[] = { 99, 100 },
			      both[] = { 7, 120 }, apart[] = { 30, 100 };
	struct fixture *fixture = *state;
	struct bundle_store *plain, *copies;
	uint32_t windows;

	place_by_hand(fixture);
	for (uint64_t gap = 0; gap <= 2 * STRIDE; gap += STRIDE) {
		struct variant variant = { "pread", 0, 0, gap };

		plain = open_store(fixture, &fixture->plain, &variant);
		copies = open_store(fixture, &fixture->copies, &variant);
		assert_int_equal(reads_of(fixture, plain, near_copy, 2, &windows), 2);
		assert_int_equal(reads_of(fixture, copies, near_copy, 2, &windows), 1);
		assert_int_equal(windows, 1);
		assert_int_equal(reads_of(fixture, copies, near_itself, 2, &windows), 1);
		assert_int_equal(reads_of(fixture, copies, both, 2, &windows), 1);
		assert_int_equal(reads_of(fixture, copies, apart, 2, &windows), 2);
		assert_true(stats_of(copies).bookkeeping_ns > 0);
		bundle_store_close(plain);
		bundle_store_close(copies);
	}
}

/* Not all has room: from primary places, in windows as ever. What has is chosen again. */
static void without_room_primary_places_are_read(void **state)
{
	struct fixture *fixture = *state;
	struct variant variant = { "pread", 0, 40 * STRIDE, 0 };
	struct bundle_store *store;
	uint32_t many[] = { 5, 100, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80,
			    85, 90, 95, 110, 115 }, windows;

	place_by_hand(fixture);
	store = open_store(fixture, &fixture->copies, &variant);
	assert_int_equal(reads_of(fixture, store, many, 22, &windows), 22);
	assert_true(windows > 1);
	assert_int_equal(reads_of(fixture, store, many, 2, &windows), 1);
	bundle_store_close(store);
}

static void what_cannot_be_is_refused(void **state)
{
	struct fixture *fixture = *state;
	const struct bundle_store_options options = options_of(&(struct variant){ "pread", 0, 0, 0 });
	struct bundle_geometry geometry = fixture->copies;
	struct bundle_store *store;
	struct error err;

	place_by_hand(fixture);
	geometry.positions = SLOTS - 1;
	assert_int_equal(bundle_store_open(fixture->file.path, &geometry, &options, &store, &err),
			 -EINVAL);
	assert_says(&err, "no layer has 149 bundles of 150 neurons");
	geometry.positions = 2 * SLOTS + 1;
	assert_int_equal(bundle_store_open(fixture->file.path, &geometry, &options, &store, &err),
			 -EINVAL);
	geometry.positions = POSITIONS;
	fixture->slot_at[POSITIONS + 3] = SLOTS;
	assert_int_equal(bundle_store_open(fixture->file.path, &geometry, &options, &store, &err),
			 -EINVAL);
	assert_says(&err, "position 3 is said to have slot 150 of 150");
	fixture->slot_at[POSITIONS + 3] = 4;
	assert_int_equal(bundle_store_open(fixture->file.path, &geometry, &options, &store, &err),
			 -EINVAL);
	assert_says(&err, "slot 3 has no place behind the slot before it");
}

static void memory_is_counted(void **state)
{
	const struct fixture *fixture = *state;
	struct variant variant = { "pread", 0.3, 0, 0 };
	const struct bundle_store_options options = options_of(&variant);
	struct bundle_store *store = open_store(fixture, &fixture->copies, &variant);
	struct bundle_store_memory plain, copies;
	struct error err;

	assert_ok(bundle_store_plan_memory(&fixture->plain, &options, &plain, &err), &err);
	assert_ok(bundle_store_plan_memory(&fixture->copies, &options, &copies, &err), &err);
	assert_int_equal(copies.cache, plain.cache);
	assert_true(copies.tables >= plain.tables + LAYERS * 2 * (SLOTS + POSITIONS) * 4);
	assert_true(copies.requests > plain.requests);
	assert_true(copies.staging >= plain.staging + 2 * COPIES * STRIDE);
	assert_int_equal(bundle_store_memory(store), copies.staging + copies.cache + copies.tables);
	bundle_store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_is_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_cheaper_place_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_same_is_handed_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_room_primary_places_are_read, set_up,
						tear_down),
	};

	return cmocka_run_group_tests_name("bundle places", tests, NULL, NULL);
}
