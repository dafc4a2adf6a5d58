// SPDX-License-Identifier: GPL-2.0-only
/* Rotary positions: the angles, which elements are turned together, and what it is for. */
#include "helpers/test.h"

#include <math.h>

#include "base/random.h"
#include "infer/rope.h"

#define THETA 10000.0
#define WIDTH 8 /* of a head */
#define HEADS 3

static void assert_near(double found, double expected)
{
	if (!(fabs(found - expected) < 1e-6))
		fail_msg("%.9g instead of %.9g", found, expected);
}

/* Point i of a head, elements 2i and 2i + 1, by position * theta^(-2i / width). */
static void neighbours_are_turned_together(void **state)
{
	float turns[WIDTH], x[HEADS * WIDTH];

	(void)state;
	rope_turns(turns, THETA, WIDTH, 3, 1);
	for (int i = 0; i < HEADS * WIDTH; i++)
		x[i] = (float)(i % 2 ? 0 : i + 1);
	rope_apply(x, turns, 1, HEADS, WIDTH);
	for (int i = 0; i < HEADS * WIDTH; i += 2) {
		double angle = 3 * pow(THETA, -(double)(i % WIDTH) / WIDTH);

		assert_near((double)x[i], (i + 1) * cos(angle));
		assert_near((double)x[i + 1], (i + 1) * sin(angle));
	}
}

static void the_first_position_is_left_alone(void **state)
{
	float turns[WIDTH], x[WIDTH] = { 1, -2, 3, 4, 5, 6, 7, 8 };
	const float before[WIDTH] = { 1, -2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	rope_turns(turns, THETA, WIDTH, 0, 1);
	rope_apply(x, turns, 1, 1, WIDTH);
	assert_memory_equal(x, before, sizeof(x));
}

/* A query at one position times a key at another. */
static double product(const float *query, const float *key, size_t at, size_t other)
{
	float turns[2][WIDTH], q[WIDTH], k[WIDTH];
	double sum = 0;

	memcpy(q, query, sizeof(q));
	memcpy(k, key, sizeof(k));
	rope_turns(turns[0], THETA, WIDTH, at, 1);
	rope_turns(turns[1], THETA, WIDTH, other, 1);
	rope_apply(q, turns[0], 1, 1, WIDTH);
	rope_apply(k, turns[1], 1, 1, WIDTH);
	for (int i = 0; i < WIDTH; i++)
		sum += (double)q[i] * (double)k[i];
	return sum;
}

static void only_the_distance_counts(void **state)
{
	float query[WIDTH], key[WIDTH];
	struct random_state random;

	(void)state;
	random_seed(&random, 3);
	for (int i = 0; i < WIDTH; i++) {
		query[i] = (float)random_normal(&random);
		key[i] = (float)random_normal(&random);
	}
	for (size_t at = 5; at < 5000; at += 333)
		assert_near(product(query, key, at, at - 5), product(query, key, 5, 0));
	assert_true(fabs(product(query, key, 6, 0) - product(query, key, 5, 0)) > 1e-3);
}

static void a_batch_is_its_tokens(void **state)
{
	float together[4 * WIDTH], alone[WIDTH];

	(void)state;
	rope_turns(together, THETA, WIDTH, 100, 4);
	for (size_t t = 0; t < 4; t++) {
		rope_turns(alone, THETA, WIDTH, 100 + t, 1);
		assert_memory_equal(together + t * WIDTH, alone, sizeof(alone));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_is_its_tokens),
		cmocka_unit_test(neighbours_are_turned_together),
		cmocka_unit_test(only_the_distance_counts),
		cmocka_unit_test(the_first_position_is_left_alone),
	};

	return cmocka_run_group_tests_name("rope", tests, NULL, NULL);
}
