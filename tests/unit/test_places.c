// SPDX-License-Identifier: GPL-2.0-only
/* Places of neurons, found again in the slots that they were made of. */
#include "helpers/test.h"

#include <errno.h>

#include "model/places.h"

#define NONE PLACES_NO_NEURON

static void all_slots_are_places(void **state)
{
	static const uint32_t slots[] = { 2, 0, 2, 1, 3, 2, 0, NONE, NONE };
	static const uint32_t counts[] = { 2, 1, 3, 1 };
	static const uint32_t expected[] = { 1, 6, 3, 0, 2, 5, 4 };
	struct places places;
	struct error err;

	(void)state;
	assert_ok(places_create(slots, 9, 4, &places, &err), &err);
	assert_true(places.n_positions == 9 && places.n_neurons == 4 && places.first[0] == 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(places_count(&places, i), counts[i]);
	assert_int_equal(places.first[4], 7);
	assert_memory_equal(places.positions, expected, sizeof(expected));
	places_free(&places);
	places_free(&places);
}

static void what_cannot_be_is_refused(void **state)
{
	static const uint32_t missing[] = { 0, 2, 0, NONE }, strange[] = { 0, 1, 2, 3 };
	struct places places;
	struct error err;

	(void)state;
	assert_int_equal(places_create(missing, 4, 3, &places, &err), -EINVAL);
	assert_says(&err, "neuron 1 has no place");
	assert_null(places.first);
	assert_int_equal(places_create(strange, 4, 3, &places, &err), -EINVAL);
	assert_says(&err, "position 3 is said to have neuron 3 of 3");
}

/* As they come; a copy in front of its slot, and others behind. */
static void primary_places_ascend(void **state)
{
	static const uint32_t slot_at[] = { 2, 0, 0, 3, 1, 2, 2, 0, 3, 3 };
	static const uint32_t expected[] = { 1, 4, 5, 8 };
	static const uint32_t backward[] = { 1, 0, 2 }, strange[] = { 0, 1, 3, 2 };
	uint32_t primary[4];
	struct error err;

	(void)state;
	assert_ok(places_find_primary(slot_at, 10, 4, primary, &err), &err);
	assert_memory_equal(primary, expected, sizeof(expected));
	assert_int_equal(places_find_primary(backward, 3, 3, primary, &err), -EINVAL);
	assert_says(&err, "slot 1 has no place behind the slot before it");
	assert_int_equal(places_find_primary(slot_at, 8, 4, primary, &err), -EINVAL);
	assert_says(&err, "slot 3 has no place");
	assert_int_equal(places_find_primary(strange, 4, 3, primary, &err), -EINVAL);
	assert_says(&err, "position 2 is said to have slot 3 of 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_slots_are_places),
		cmocka_unit_test(primary_places_ascend),
		cmocka_unit_test(what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests_name("places", tests, NULL, NULL);
}
