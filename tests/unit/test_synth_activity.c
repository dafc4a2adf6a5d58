// SPDX-License-Identifier: GPL-2.0-only
/* Synthetic activations: how many fire, how often, together, and from token to token. */
#include "helpers/test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/bits.h"
#include "synth/synth_activity.h"

#define NEURONS 1000
#define TOKENS 4000

static const struct synth_parameters ordinary = {
	.active_share = 0.1,
	.frequency_spread = 2,
	.mood_spread = 0.5,
	.cluster_neurons = 4,
	.member = 0.9,
	.persistence = 0.4,
};

/* What fired, (TOKENS, bits_words(NEURONS)); to be freed. */
static uint64_t *draw(const struct synth_parameters *parameters, bool independent, uint64_t seed)
{
	uint64_t *fired = calloc(TOKENS * bits_words(NEURONS), sizeof(*fired));
	struct synth_layer *layer;
	struct error err;

	assert_non_null(fired);
	assert_ok(synth_layer_create(NEURONS, parameters, independent, seed, &layer, &err), &err);
	for (size_t token = 0; token < TOKENS; token++)
		synth_layer_next(layer, &fired[token * bits_words(NEURONS)]);
	synth_layer_free(layer);
	return fired;
}

static double share(const uint64_t *fired)
{
	return (double)bits_count(fired, TOKENS * bits_words(NEURONS)) / TOKENS / NEURONS;
}

static double frequency(const uint64_t *fired, size_t neuron)
{
	size_t n = 0;

	for (size_t token = 0; token < TOKENS; token++)
		n += bits_test(&fired[token * bits_words(NEURONS)], neuron);
	return (double)n / TOKENS;
}

/* Of the fires of a neuron, the share for which the other fires, too. */
static double together(const uint64_t *fired, size_t neuron, size_t other)
{
	size_t n = 0, both = 0;

	for (size_t token = 0; token < TOKENS; token++) {
		const uint64_t *set = &fired[token * bits_words(NEURONS)];

		if (bits_test(set, neuron)) {
			n++;
			both += bits_test(set, other);
		}
	}
	return n ? (double)both / n : 0;
}

/* The mean over neurons that fire often enough of how often their best friend fires with them. */
static double friendship(const uint64_t *fired)
{
	double sum = 0;
	size_t n = 0;

	for (size_t neuron = 0; neuron < NEURONS; neuron += 20) {
		double best = 0;

		if (frequency(fired, neuron) < 0.02)
			continue;
		for (size_t other = 0; other < NEURONS; other++)
			if (other != neuron && frequency(fired, other) < 0.5)
				best = fmax(best, together(fired, neuron, other));
		sum += best;
		n++;
	}
	assert_true(n > 5);
	return sum / n;
}

/* Of what fires for a token, the share that fired for the token before. */
static double overlap(const uint64_t *fired)
{
	const size_t words = bits_words(NEURONS);
	size_t both = 0, all = 0;

	for (size_t i = words; i < TOKENS * words; i++) {
		both += (size_t)__builtin_popcountll(fired[i] & fired[i - words]);
		all += (size_t)__builtin_popcountll(fired[i]);
	}
	return (double)both / all;
}

static void as_many_as_asked_for(void **state)
{
	static const double shares[] = { 0.01, 0.1, 0.3 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct synth_parameters parameters = ordinary;
		uint64_t *fired;

		parameters.active_share = shares[i];
		for (int independent = 0; independent < 2; independent++) {
			fired = draw(&parameters, independent, 1 + i);
			assert_true(fabs(share(fired) / shares[i] - 1) < 0.1);
			free(fired);
		}
	}
}

static void same_seed_same_activity(void **state)
{
	const size_t bytes = TOKENS * bits_words(NEURONS) * sizeof(uint64_t);
	uint64_t *first = draw(&ordinary, false, 5), *again = draw(&ordinary, false, 5);
	uint64_t *other = draw(&ordinary, false, 6);

	(void)state;
	assert_memory_equal(first, again, bytes);
	assert_memory_not_equal(first, other, bytes);
	free(first);
	free(again);
	free(other);
}

/* Some neurons fire much more often than most; without a spread, all do alike. */
static void frequencies_are_heavy_tailed(void **state)
{
	struct synth_parameters parameters = ordinary;
	uint64_t *fired = draw(&ordinary, false, 1), *even;
	double most = 0, most_even = 0;

	(void)state;
	parameters.frequency_spread = 0;
	parameters.mood_spread = 0;
	even = draw(&parameters, false, 1);
	for (size_t neuron = 0; neuron < NEURONS; neuron++) {
		most = fmax(most, frequency(fired, neuron));
		most_even = fmax(most_even, frequency(even, neuron));
	}
	assert_true(most > 0.5);
	assert_true(most_even < 0.15);
	free(fired);
	free(even);
}

/* Neurons of a cluster fire together; the control's do not, as often as each of them fires. */
static void friends_and_strangers(void **state)
{
	uint64_t *fired = draw(&ordinary, false, 2), *control = draw(&ordinary, true, 2);
	double difference = 0;

	(void)state;
	assert_true(friendship(fired) > 0.75);
	assert_true(friendship(control) < 0.6);
	for (size_t neuron = 0; neuron < NEURONS; neuron++)
		difference += fabs(frequency(fired, neuron) - frequency(control, neuron));
	assert_true(difference / NEURONS < 0.01);
	free(fired);
	free(control);
}

static void consecutive_tokens_share(void **state)
{
	struct synth_parameters parameters = ordinary;
	double shared[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		uint64_t *fired;

		parameters.persistence = 0.4 * i;
		fired = draw(&parameters, false, 3);
		shared[i] = overlap(fired);
		assert_true(fabs(share(fired) / parameters.active_share - 1) < 0.15);
		free(fired);
	}
	assert_true(shared[1] > shared[0] + 0.1 && shared[2] > shared[1] + 0.1);
}

/* The variance of how many fire for a token. */
static double variance(const struct synth_parameters *parameters, bool independent)
{
	uint64_t *fired = draw(parameters, independent, 4);
	double sum = 0, squares = 0;

	for (size_t token = 0; token < TOKENS; token++) {
		double n = (double)bits_count(&fired[token * bits_words(NEURONS)],
					      bits_words(NEURONS));

		sum += n;
		squares += n * n;
	}
	free(fired);
	return squares / TOKENS - sum / TOKENS * (sum / TOKENS);
}

/* In some moods more fires than in others, but not of the control. */
static void tokens_differ(void **state)
{
	struct synth_parameters moody = ordinary, even = ordinary;

	(void)state;
	moody.mood_spread = 1;
	even.mood_spread = 0;
	assert_true(variance(&moody, false) > 3 * variance(&even, false));
	assert_true(variance(&moody, true) < 2 * variance(&even, true));
}

static void refused(void **state)
{
	struct synth_parameters bad[] = { ordinary, ordinary, ordinary, ordinary, ordinary };
	struct synth_layer *layer;
	struct error err;

	(void)state;
	bad[0].active_share = 0;
	bad[1].active_share = 0.95; /* more than fire of a cluster that is on */
	bad[2].cluster_neurons = 0.5;
	bad[3].persistence = 1;
	bad[4].frequency_spread = NAN;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(synth_layer_create(NEURONS, &bad[i], false, 1, &layer, &err),
				 -EINVAL);
	assert_int_equal(synth_layer_create(0, &ordinary, false, 1, &layer, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_many_as_asked_for),
		cmocka_unit_test(same_seed_same_activity),
		cmocka_unit_test(frequencies_are_heavy_tailed),
		cmocka_unit_test(friends_and_strangers),
		cmocka_unit_test(consecutive_tokens_share),
		cmocka_unit_test(tokens_differ),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests_name("synth_activity", tests, NULL, NULL);
}
