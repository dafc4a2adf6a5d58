// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies in layers that are known: what they gain for tokens that the search did not see, that
 * the order without them is left as it was, and that nothing depends on threads.
 */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "model/place_choice.h"
#include "placement/order_copies.h"

#define NEURONS 400
#define MAX_SLOTS (2 * NEURONS)
#define SEEN 4000
#define UNSEEN 2000
#define IO_BUNDLES 18.5

/*
 * Groups of 20 that fire nearly as a whole; one neuron of each belongs to another one, too, which
 * lies apart. In one place it can stand beside one of these only.
 */
static struct activity make_torn_activity(uint64_t seed, uint64_t n_tokens)
{
	struct activity activity = make_independent_activity(1, NEURONS, n_tokens, 0);
	struct random_state random;

	random_seed(&random, seed);
	for (uint64_t t = 0; t < n_tokens; t++) {
		uint64_t *set = activity.fired + t * bits_words(NEURONS);

		for (uint32_t group = 0; group < NEURONS / 20; group++) {
			if (random_unit(&random) > 0.05)
				continue;
			for (uint32_t i = 0; i < 20; i++)
				if (random_unit(&random) < 0.9)
					bits_set(set, group * 20 + i);
			/* One of the group ten further on. */
			bits_set(set, (group * 20 + 200 + 9) % NEURONS);
		}
	}
	return activity;
}

/* Of tokens that choose places, in bundles per token beside the wanted ones. */
static double cost_of(const struct activity *wanted, const uint32_t *slot_to_neuron,
		      uint32_t n_slots)
{
	uint64_t slots[(MAX_SLOTS + 63) / 64];
	struct place_choice choice;
	struct places places;
	struct error err;
	double cost = 0;

	assert_ok(places_create(slot_to_neuron, n_slots, NEURONS, &places, &err), &err);
	assert_ok(place_choice_create(NEURONS, &choice, &err), &err);
	for (uint64_t t = 0; t < wanted->n_tokens; t++) {
		double gap = INFINITY;

		place_choice_make(&choice, &places, wanted->fired + t * bits_words(NEURONS),
				  IO_BUNDLES, slots);
		for (uint32_t slot = 0; slot < n_slots; slot++) {
			if (!bits_test(slots, slot)) {
				gap++;
				continue;
			}
			cost += fmin(gap, IO_BUNDLES);
			gap = 0;
		}
	}
	place_choice_free(&choice);
	places_free(&places);
	return cost / (double)wanted->n_tokens;
}

static struct order_best_options no_cache(void)
{
	return (struct order_best_options){ .io_bundles = IO_BUNDLES, .effort = 2,
					    .memory = UINT64_C(1) << 30 };
}

/* No two places of a neuron are as near as that a gap may be read over from one to the other. */
static void assert_places_are_apart(const uint32_t *slot_to_neuron, uint32_t n_slots)
{
	struct places places;
	struct error err;

	assert_ok(places_create(slot_to_neuron, n_slots, NEURONS, &places, &err), &err);
	for (uint32_t i = 0; i < NEURONS; i++)
		for (uint32_t k = places.first[i] + 1; k < places.first[i + 1]; k++)
			assert_true(places.positions[k] - places.positions[k - 1] - 1 > IO_BUNDLES);
	places_free(&places);
}

/* All neurons, in the order that was given, with others in between, and nothing behind. */
static void assert_order_with_copies(const uint32_t *order, const uint32_t *with_copies,
				     uint32_t n_slots, uint32_t n_copies)
{
	uint32_t times[NEURONS] = { 0 }, slots = 0, next = 0;

	for (; slots < n_slots && with_copies[slots] != PLACES_NO_NEURON; slots++) {
		assert_true(with_copies[slots] < NEURONS);
		times[with_copies[slots]]++;
		if (next < NEURONS && with_copies[slots] == order[next])
			next++;
	}
	assert_places_are_apart(with_copies, n_slots);
	assert_int_equal(next, NEURONS);
	assert_int_equal(slots, NEURONS + n_copies);
	for (uint32_t i = 0; i < NEURONS; i++)
		assert_true(times[i] >= 1);
	for (; slots < n_slots; slots++)
		assert_int_equal(with_copies[slots], PLACES_NO_NEURON);
}

static void identity(uint32_t *order)
{
	for (uint32_t i = 0; i < NEURONS; i++)
		order[i] = i;
}

/* The 20 torn neurons are found first, and more copies gain little more. */
static void torn_neurons_are_stored_twice(void **state)
{
	struct activity seen = make_torn_activity(1, SEEN);
	struct activity unseen = make_torn_activity(2, UNSEEN);
	struct order_best_options options = no_cache();
	uint32_t order[NEURONS], slots[MAX_SLOTS], torn = 0;
	struct order_copies_result result;
	double cost[3];
	struct error err;

	(void)state;
	identity(order);
	cost[0] = cost_of(&unseen, order, NEURONS);
	for (int i = 1; i < 3; i++) {
		uint32_t n = i * 20;

		assert_ok(order_copies(&seen, order, &options, n, NULL, slots, &result, &err), &err);
		assert_order_with_copies(order, slots, NEURONS + n, result.copies);
		assert_true(result.copies <= n && result.tokens == SEEN);
		cost[i] = cost_of(&unseen, slots, NEURONS + n);
		assert_true(fabs(result.after_bundles / cost_of(&seen, slots, NEURONS + n) - 1) <
			    1e-9);
		assert_true(fabs(result.before_bundles / cost_of(&seen, order, NEURONS) - 1) < 1e-9);
		if (i > 1)
			continue;
		assert_int_equal(result.copies, n);
		for (uint32_t k = 0; k < NEURONS; k++) {
			uint32_t times = 0;

			for (uint32_t slot = 0; slot < NEURONS + n; slot++)
				times += slots[slot] == k;
			torn += times > 1 && k % 20 == 9;
		}
		assert_int_equal(torn, 20);
	}
	print_message("cost %.2f, with copies %.2f, %.2f\n", cost[0], cost[1], cost[2]);
	assert_true(cost[1] < cost[0] * 0.7);
	assert_true(cost[2] < cost[1] * 1.01);
	activity_free(&seen);
	activity_free(&unseen);
}

/* As many as there may be, or until none gains. */
static void there_may_be_as_many_as_neurons(void **state)
{
	struct activity seen = make_torn_activity(1, 500);
	struct order_best_options options = no_cache();
	uint32_t order[NEURONS], slots[MAX_SLOTS];
	struct order_copies_result result;
	struct error err;

	(void)state;
	identity(order);
	assert_ok(order_copies(&seen, order, &options, NEURONS, NULL, slots, &result, &err), &err);
	assert_order_with_copies(order, slots, MAX_SLOTS, result.copies);
	assert_true(result.copies >= 20);
	assert_true(result.after_bundles < result.before_bundles);
	assert_int_equal(order_copies(&seen, order, &options, NEURONS + 1, NULL, slots, NULL, &err),
			 -EINVAL);
	assert_says(&err, "401 copies of 400 neurons");
	options.io_bundles = 0;
	assert_int_equal(order_copies(&seen, order, &options, 1, NULL, slots, NULL, &err), -EINVAL);
	activity_free(&seen);
}

/* Every token wants one neuron: there is nothing beside which a copy might stand. */
static void where_nothing_gains_nothing_is_placed(void **state)
{
	struct activity seen = make_independent_activity(1, NEURONS, 1000, 0);
	struct order_best_options options = no_cache();
	uint32_t order[NEURONS], slots[MAX_SLOTS];
	struct order_copies_result result;
	struct error err;

	(void)state;
	identity(order);
	for (uint32_t t = 0; t < 1000; t++)
		bits_set(seen.fired + t * bits_words(NEURONS), t % NEURONS);
	assert_ok(order_copies(&seen, order, &options, 50, NULL, slots, &result, &err), &err);
	assert_int_equal(result.copies, 0);
	assert_order_with_copies(order, slots, NEURONS + 50, 0);
	assert_true(result.before_bundles == result.after_bundles);
	activity_free(&seen);
}

/* Others do not pay less by copies of neurons that know nothing of each other than by chance. */
static void little_is_gained_of_independent_neurons(void **state)
{
	struct activity seen = make_independent_activity(1, NEURONS, SEEN, 0.05);
	struct activity unseen = make_independent_activity(2, NEURONS, UNSEEN, 0.05);
	struct order_best_options options = no_cache();
	uint32_t order[NEURONS], slots[MAX_SLOTS], chance[MAX_SLOTS], n = NEURONS / 8;
	struct order_copies_result result;
	struct random_state random;
	double ratio;
	struct error err;

	(void)state;
	identity(order);
	assert_ok(order_copies(&seen, order, &options, n, NULL, slots, &result, &err), &err);
	assert_order_with_copies(order, slots, NEURONS + n, n);
	/* What it says of tokens that it saw is what they choose; they do gain. */
	assert_true(fabs(result.after_bundles / cost_of(&seen, slots, NEURONS + n) - 1) < 1e-9);
	assert_true(result.after_bundles < 0.99 * result.before_bundles);
	/* Any copies anywhere. */
	random_seed(&random, 1);
	memcpy(chance, order, sizeof(order));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = (uint32_t)random_below(&random, NEURONS + i + 1);

		memmove(chance + slot + 1, chance + slot, (NEURONS + i - slot) * sizeof(*chance));
		chance[slot] = (uint32_t)random_below(&random, NEURONS);
	}
	ratio = cost_of(&unseen, slots, NEURONS + n) / cost_of(&unseen, chance, NEURONS + n);
	print_message("against copies by chance %.4f\n", ratio);
	assert_true(ratio > 0.98 && ratio < 1.02);
	activity_free(&seen);
	activity_free(&unseen);
}

static void threads_do_not_matter(void **state)
{
	struct activity seen = make_torn_activity(1, SEEN);
	struct order_best_options options = no_cache();
	uint32_t order[NEURONS], alone[MAX_SLOTS], together[MAX_SLOTS];
	struct thread_pool *pool;
	struct error err;

	(void)state;
	identity(order);
	options.cache_ratio = 0.05;
	assert_ok(order_copies(&seen, order, &options, 100, NULL, alone, NULL, &err), &err);
	assert_ok(thread_pool_create(3, &pool, &err), &err);
	assert_ok(order_copies(&seen, order, &options, 100, pool, together, NULL, &err), &err);
	assert_memory_equal(alone, together, (NEURONS + 100) * sizeof(*alone));
	thread_pool_destroy(pool);
	activity_free(&seen);
}

static void stopped_it_has_the_order(void **state)
{
	struct activity seen = make_torn_activity(1, 500);
	struct order_best_options options = no_cache();
	uint32_t order[NEURONS], slots[MAX_SLOTS];
	struct order_copies_result result;
	atomic_bool stop = true;
	struct error err;

	(void)state;
	identity(order);
	options.stop = &stop;
	assert_ok(order_copies(&seen, order, &options, 40, NULL, slots, &result, &err), &err);
	assert_order_with_copies(order, slots, NEURONS + 40, 0);
	/* Rows for copies count: without room for tokens, none is placed either. */
	options.stop = NULL;
	options.memory = 2 * (NEURONS + 40) * 640;
	assert_ok(order_copies(&seen, order, &options, 40, NULL, slots, &result, &err), &err);
	assert_int_equal(result.tokens, 500);
	options.memory = 2 * (NEURONS + 40) * 64;
	assert_ok(order_copies(&seen, order, &options, 40, NULL, slots, &result, &err), &err);
	assert_int_equal(result.tokens, 64);
	options.memory = 0;
	assert_ok(order_copies(&seen, order, &options, 40, NULL, slots, &result, &err), &err);
	assert_order_with_copies(order, slots, NEURONS + 40, 0);
	activity_free(&seen);
}

/* Slots by where their neurons are in the order without copies; the last one where there is none. */
static void copies_by_slot(void **state)
{
	static const uint32_t order[] = { 2, 0, 3, 1 };
	static const uint32_t with_copies[] = { 2, 3, 0, 3, 2, 1, PLACES_NO_NEURON };
	static const uint32_t expected[] = { 0, 2, 1, 2, 0, 3, 3 };
	uint32_t slot_at[7];
	struct error err;

	(void)state;
	assert_ok(order_copies_slots(order, 4, with_copies, 7, slot_at, &err), &err);
	assert_memory_equal(slot_at, expected, sizeof(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_by_slot),
		cmocka_unit_test(little_is_gained_of_independent_neurons),
		cmocka_unit_test(stopped_it_has_the_order),
		cmocka_unit_test(there_may_be_as_many_as_neurons),
		cmocka_unit_test(threads_do_not_matter),
		cmocka_unit_test(torn_neurons_are_stored_twice),
		cmocka_unit_test(where_nothing_gains_nothing_is_placed),
	};

	return cmocka_run_group_tests_name("order_copies", tests, NULL, NULL);
}
