// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost of an order against a plain count over booleans, token by token; and after each
 * of many moves and copies, which are to have gained just what was foretold.
 */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "placement/arrangement.h"

#define NEURONS 90
#define TOKENS 150

static uint64_t plain_cost(const struct activity *wanted, const uint32_t *slot_to_neuron,
			   struct gap_cost cost)
{
	uint64_t sum = 0;

	for (uint64_t t = 0; t < wanted->n_tokens; t++) {
		const uint64_t *set = wanted->fired + t * bits_words(wanted->n_neurons);
		uint32_t gap = UINT32_MAX / 256; /* before the first: an I/O */

		for (uint32_t slot = 0; slot < wanted->n_neurons; slot++) {
			if (!bits_test(set, slot_to_neuron[slot])) {
				gap++;
				continue;
			}
			sum += gap * cost.step < cost.io ? gap * cost.step : cost.io;
			gap = 0;
		}
	}
	return sum;
}

static void assert_is_sound(const struct arrangement *arrangement, const struct activity *wanted)
{
	for (uint32_t slot = 0; slot < NEURONS; slot++)
		assert_int_equal(arrangement->bundle_to_slot[arrangement->slot_to_bundle[slot]],
				 slot);
	assert_int_equal(arrangement_cost(arrangement),
			 plain_cost(wanted, arrangement->slot_to_bundle, arrangement->cost));
}

static void draw_move(struct random_state *random, struct arrangement_move *move)
{
	move->n_slots = 1 + (uint32_t)(random_next(random) % 6);
	move->first_slot = (uint32_t)(random_next(random) % NEURONS);
	move->slot = (uint32_t)(random_next(random) % (NEURONS + 1));
	move->reversed = random_next(random) % 2;
}

static int64_t foretold(const struct arrangement *arrangement, const struct arrangement_move *move)
{
	struct gap_segment segment;
	struct error err;
	int64_t gain = 0;

	assert_int_equal(arrangement_segment_create(arrangement, &segment, &err), 0);
	for (uint32_t i = 0; i < move->n_slots; i++)
		arrangement_append(arrangement, move->first_slot + i, &segment);
	/* In two parts of the tokens, as the search does. */
	for (size_t begin = 0, end = 64; begin < arrangement->n_tokens;
	     begin = end, end = arrangement->n_tokens)
		gain += (int64_t)(arrangement_removal(arrangement, &segment, move->first_slot,
						      begin, end) -
				  arrangement_insertion(arrangement, &segment, move, begin, end));
	arrangement_segment_free(&segment);
	return gain;
}

/* The same of a near move. */
static int64_t foretold_near(const struct arrangement *arrangement,
			     const struct arrangement_move *move)
{
	struct gap_segment segment;
	struct error err;
	int64_t gain = 0;

	assert_int_equal(arrangement_segment_create(arrangement, &segment, &err), 0);
	for (size_t begin = 0, end = 64; begin < arrangement->n_tokens;
	     begin = end, end = arrangement->n_tokens)
		gain += arrangement_near_gain(arrangement, move, begin, end, segment.scratch);
	arrangement_segment_free(&segment);
	return gain;
}

static void move_about(struct random_state *random, double io_bundles, double share)
{
	uint32_t order[NEURONS], moved = 0, moved_near = 0;
	struct arrangement *arrangement;
	struct activity wanted;
	struct error err;

	wanted = make_independent_activity(random_next(random), NEURONS, TOKENS, share);
	random_permutation(random, order, NEURONS);
	assert_int_equal(arrangement_create(&wanted, order, io_bundles, 0, &arrangement, &err), 0);
	assert_memory_equal(arrangement->slot_to_bundle, order, sizeof(order));
	assert_is_sound(arrangement, &wanted);
	for (int i = 0; i < 300; i++) {
		uint64_t before = arrangement_cost(arrangement);
		struct arrangement_move move;
		int64_t gain;

		draw_move(random, &move);
		if (i % 2) /* beside the segment, where few are by chance */
			move.slot = move.first_slot + (uint32_t)(random_next(random) % 16) - 5;
		if (arrangement_can_move(arrangement, &move)) {
			gain = foretold(arrangement, &move);
			moved++;
		} else if (arrangement_is_near(arrangement, &move)) {
			gain = foretold_near(arrangement, &move);
			moved_near++;
		} else {
			continue;
		}
		arrangement_apply(arrangement, &move);
		assert_is_sound(arrangement, &wanted);
		assert_int_equal((int64_t)before - gain, (int64_t)arrangement_cost(arrangement));
	}
	assert_true(moved > 50 && moved_near > 10);
	arrangement_free(arrangement);
	activity_free(&wanted);
}

static void moves_gain_what_is_foretold(void **state)
{
	static const double io_bundles[] = { 0.4, 1, 1.18, 4.6, 18.5 };
	struct random_state random;

	(void)state;
	random_seed(&random, 1);
	for (size_t i = 0; i < sizeof(io_bundles) / sizeof(io_bundles[0]); i++)
		for (double share = 0.02; share < 0.6; share *= 3)
			move_about(&random, io_bundles[i], share);
}

/* By which tokens each bundle is wanted, as the arrangement is to have it. */
struct wants {
	uint32_t n_bundles;
	bool want[2 * NEURONS][TOKENS];
	uint32_t neuron[2 * NEURONS];
};

static uint64_t plain_cost_with_copies(const struct arrangement *arrangement,
				       const struct wants *wants)
{
	uint64_t sum = 0;

	for (size_t t = 0; t < TOKENS; t++) {
		uint32_t gap = UINT32_MAX / 256;

		for (uint32_t slot = 0; slot < wants->n_bundles; slot++) {
			gap++;
			if (!wants->want[arrangement->slot_to_bundle[slot]][t])
				continue;
			gap--;
			sum += gap * arrangement->cost.step < arrangement->cost.io ?
				       gap * arrangement->cost.step : arrangement->cost.io;
			gap = 0;
		}
	}
	return sum;
}

/* Is a bundle of the neuron within reach of where one is to go? */
static bool own_is_near(const struct arrangement *arrangement, const struct wants *wants,
			uint32_t neuron, uint32_t slot)
{
	for (uint32_t bundle = 0; bundle < wants->n_bundles; bundle++) {
		uint32_t at = arrangement->bundle_to_slot[bundle];

		if (wants->neuron[bundle] == neuron && at < slot + arrangement->reach &&
		    slot <= at + arrangement->reach)
			return true;
	}
	return false;
}

/* Insert one, note who takes it, and return what was foretold to be gained. */
static int64_t insert_copy(struct arrangement *arrangement, struct wants *wants, uint32_t neuron,
			   uint32_t slot)
{
	uint8_t *reading = aligned_alloc(GAP_ROW_ALIGN, arrangement->n_tokens);
	uint32_t copy = wants->n_bundles;
	int64_t gain;

	assert_non_null(reading);
	memset(reading, 0, arrangement->n_tokens);
	for (uint32_t bundle = 0; bundle < copy; bundle++)
		if (wants->neuron[bundle] == neuron)
			arrangement_reading(arrangement, bundle, reading);
	gain = arrangement_copy_gain(arrangement, slot, reading);
	arrangement_insert_copy(arrangement, slot, reading);
	for (uint32_t bundle = 0; bundle < copy; bundle++)
		if (wants->neuron[bundle] == neuron)
			arrangement_give_up(arrangement, bundle, copy);
	assert_int_equal(arrangement->slot_to_bundle[slot], copy);
	assert_int_equal(arrangement->n_bundles, ++wants->n_bundles);
	wants->neuron[copy] = neuron;
	for (size_t t = 0; t < TOKENS; t++) {
		bool taken = arrangement->left[copy * arrangement->n_tokens + t] == 0;

		wants->want[copy][t] = taken;
		for (uint32_t bundle = 0; taken && bundle < copy; bundle++)
			if (wants->neuron[bundle] == neuron)
				wants->want[bundle][t] = false;
	}
	free(reading);
	return gain;
}

static void assert_wants(const struct arrangement *arrangement, const struct wants *wants,
			 const struct activity *wanted)
{
	for (size_t t = 0; t < TOKENS; t++) {
		uint32_t times[NEURONS] = { 0 };

		for (uint32_t bundle = 0; bundle < wants->n_bundles; bundle++)
			times[wants->neuron[bundle]] += wants->want[bundle][t];
		for (uint32_t i = 0; i < NEURONS; i++)
			assert_int_equal(times[i], fired_for(wanted, t, i));
	}
	assert_int_equal(arrangement_cost(arrangement), plain_cost_with_copies(arrangement, wants));
}

static void insert_copies(struct random_state *random, double io_bundles, double share)
{
	struct arrangement *arrangement;
	struct activity wanted;
	uint32_t order[NEURONS], taken = 0;
	struct wants *wants = calloc(1, sizeof(*wants));
	struct error err;

	assert_non_null(wants);
	wanted = make_independent_activity(random_next(random), NEURONS, TOKENS, share);
	random_permutation(random, order, NEURONS);
	assert_int_equal(arrangement_create(&wanted, order, io_bundles, NEURONS, &arrangement, &err),
			 0);
	wants->n_bundles = NEURONS;
	for (uint32_t i = 0; i < NEURONS; i++) {
		wants->neuron[i] = i;
		for (size_t t = 0; t < TOKENS; t++)
			wants->want[i][t] = fired_for(&wanted, t, i);
	}
	for (int i = 0; i < 400 && arrangement->n_bundles < arrangement->capacity; i++) {
		uint32_t neuron = (uint32_t)random_below(random, NEURONS);
		uint32_t slot = (uint32_t)random_below(random, arrangement->n_bundles + 1);
		uint64_t before = arrangement_cost(arrangement);
		int64_t gain;

		if (own_is_near(arrangement, wants, neuron, slot))
			continue;
		gain = insert_copy(arrangement, wants, neuron, slot);
		assert_wants(arrangement, wants, &wanted);
		assert_int_equal((int64_t)before - gain, (int64_t)arrangement_cost(arrangement));
		for (size_t t = 0; t < TOKENS; t++)
			taken += wants->want[wants->n_bundles - 1][t];
	}
	assert_true(taken > 0 && arrangement->n_bundles > NEURONS + 10);
	/* All of it again, said token by token. */
	arrangement_want_nothing(arrangement);
	for (uint32_t bundle = 0; bundle < wants->n_bundles; bundle++)
		for (size_t t = 0; t < TOKENS; t++)
			if (wants->want[bundle][t])
				arrangement_want(arrangement, bundle, t);
	arrangement_renew(arrangement);
	assert_wants(arrangement, wants, &wanted);
	arrangement_free(arrangement);
	activity_free(&wanted);
	free(wants);
}

static void copies_gain_what_is_foretold(void **state)
{
	static const double io_bundles[] = { 0.4, 1, 1.18, 4.6, 18.5 };
	struct random_state random;

	(void)state;
	random_seed(&random, 2);
	for (size_t i = 0; i < sizeof(io_bundles) / sizeof(io_bundles[0]); i++)
		for (double share = 0.05; share < 0.3; share *= 3)
			insert_copies(&random, io_bundles[i], share);
}

/* What a gap of so many bundles costs, in I/Os: to a twentieth, where it matters. */
static void costs_are_what_was_asked(void **state)
{
	static const double io_bundles[] = { 0.67, 1, 1.18, 2.3, 4.6, 9.2, 18.5, 40, 127, 4000 };
	uint32_t order[NEURONS];
	struct activity wanted;
	struct random_state random;
	struct error err;

	(void)state;
	random_seed(&random, 1);
	wanted = make_independent_activity(1, NEURONS, 10, 0.1);
	random_permutation(&random, order, NEURONS);
	for (size_t i = 0; i < sizeof(io_bundles) / sizeof(io_bundles[0]); i++) {
		struct arrangement *arrangement;
		double asked = io_bundles[i] < 127 ? io_bundles[i] : 127, is;

		assert_int_equal(arrangement_create(&wanted, order, io_bundles[i], 0,
						    &arrangement, &err), 0);
		is = (double)arrangement->cost.io / arrangement->cost.step;
		assert_true(is > asked * 0.95 && is < asked * 1.05);
		assert_true(arrangement->reach >= is && arrangement->reach < is + 1);
		arrangement_free(arrangement);
	}
	activity_free(&wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_gain_what_is_foretold),
		cmocka_unit_test(costs_are_what_was_asked),
		cmocka_unit_test(moves_gain_what_is_foretold),
	};

	return cmocka_run_group_tests_name("arrangement", tests, NULL, NULL);
}
