// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/activity.h"
#include "helpers/test.h"

#include "base/bits.h"
#include "placement/residency.h"

#define NEURONS 400
#define TOKENS 3000

static uint64_t count(const struct activity *activity, uint64_t from)
{
	size_t words = bits_words(activity->n_neurons);

	return bits_count(activity->fired + from * words, (activity->n_tokens - from) * words);
}

static void missed_of(const struct activity *activity, double ratio, struct activity *missed)
{
	size_t words = bits_words(activity->n_neurons);
	struct error err;

	assert_int_equal(residency_missed(activity, ratio, missed, &err), 0);
	assert_int_equal(missed->n_neurons, activity->n_neurons);
	assert_int_equal(missed->n_tokens, activity->n_tokens);
	for (size_t i = 0; i < activity->n_tokens * words; i++)
		assert_int_equal(missed->fired[i] & ~activity->fired[i], 0);
}

static void all_is_missed_without_memory(void **state)
{
	struct activity activity = make_independent_activity(1, NEURONS, TOKENS, 0.05);
	struct activity missed;

	(void)state;
	missed_of(&activity, 0, &missed);
	assert_int_equal(count(&missed, 0), count(&activity, 0));
	activity_free(&missed);
	activity_free(&activity);
}

/* But for what the threshold, which follows the count of those held, still lets through. */
static void nothing_is_missed_where_all_fits(void **state)
{
	struct activity activity = make_independent_activity(1, NEURONS, TOKENS, 0.05);
	struct activity missed;

	(void)state;
	missed_of(&activity, 1, &missed);
	assert_true(count(&missed, 1000) * 1000 < count(&activity, 1000));
	activity_free(&missed);
	activity_free(&activity);
}

/* Where neurons are all alike, a cache of a fifth finds a fifth. */
static void as_much_is_held_as_fits(void **state)
{
	struct activity activity = make_independent_activity(1, NEURONS, TOKENS, 0.05);
	struct activity missed;
	double share;

	(void)state;
	missed_of(&activity, 0.2, &missed);
	share = (double)count(&missed, 500) / (double)count(&activity, 500);
	assert_true(share > 0.78 && share < 0.82);
	activity_free(&missed);
	activity_free(&activity);
}

static uint64_t count_neuron(const struct activity *activity, uint32_t neuron, uint64_t from)
{
	uint64_t n = 0;

	for (uint64_t t = from; t < activity->n_tokens; t++)
		n += fired_for(activity, t, neuron);
	return n;
}

/* One neuron fires in half of the tokens, one 20 times in a row now and then. */
static void the_hot_and_the_recent_are_held(void **state)
{
	struct activity activity = make_independent_activity(1, NEURONS, TOKENS, 0.02);
	size_t words = bits_words(NEURONS);
	struct activity missed;

	(void)state;
	for (uint64_t t = 0; t < TOKENS; t++) {
		uint64_t *fired = activity.fired + t * words;

		if (t % 2)
			bits_set(fired, 7);
		if (t % 300 < 20)
			bits_set(fired, 9);
	}
	missed_of(&activity, 0.05, &missed);
	assert_int_equal(count_neuron(&missed, 7, 500), 0);
	/* The first of a row are missed, the rest not. */
	assert_in_range(count_neuron(&missed, 9, 500), 8 * 1, 8 * 5 + 50);
	assert_true(count_neuron(&missed, 9, 500) * 3 < count_neuron(&activity, 9, 500));
	activity_free(&missed);
	activity_free(&activity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_missed_without_memory),
		cmocka_unit_test(as_much_is_held_as_fits),
		cmocka_unit_test(nothing_is_missed_where_all_fits),
		cmocka_unit_test(the_hot_and_the_recent_are_held),
	};

	return cmocka_run_group_tests_name("residency", tests, NULL, NULL);
}
