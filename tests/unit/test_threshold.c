// SPDX-License-Identifier: GPL-2.0-only
/* Expected contributions against numeric integration, and theta against counting. */
#include "helpers/test.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "infer/threshold.h"

/* E[relu(N(score, sd))] by Simpson's rule over the part above 0 where mass is. */
static double integrated(double score, double sd)
{
	double begin = fmax(0, score - 12 * sd), end = fmax(0, score) + 12 * sd, sum = 0;
	const int steps = 100000;

	for (int i = 0; i <= steps; i++) {
		double t = begin + (end - begin) * i / steps, z = (t - score) / sd;
		double weight = i == 0 || i == steps ? 1 : i % 2 ? 4 : 2;

		sum += weight * t * exp(-z * z / 2);
	}
	return sum * (end - begin) / steps / 3 / (sd * sqrt(2 * M_PI));
}

static void assert_near(double value, double expected, double relative)
{
	if (!(fabs(value - expected) <= relative * fabs(expected)))
		fail_msg("%.17g is not within %g of %.17g", value, relative, expected);
}

static void expectation_is_the_integral(void **state)
{
	const double sds[] = { 1e-6, 0.3, 1, 25 };
	const double places[] = { -35, -30, -12, -6, -3, -1, -0.01, 0, 0.5, 2, 9, 40 };

	(void)state;
	for (size_t i = 0; i < sizeof(sds) / sizeof(sds[0]); i++)
		for (size_t k = 0; k < sizeof(places) / sizeof(places[0]); k++)
			assert_near(expected_relu(places[k] * sds[i], sds[i]),
				    integrated(places[k] * sds[i], sds[i]), 1e-8);
}

static void expectation_is_never_negative(void **state)
{
	(void)state;
	for (double z = -60; z < -30; z += 0.01)
		assert_true(expected_relu(z, 1) >= 0);
	for (double z = -37; z < 10; z += 0.01)
		assert_true(expected_relu(z, 1) < expected_relu(z + 0.01, 1));
	assert_true(expected_relu(-1e30, 1e-6) == 0);
	assert_true(expected_relu(1e30, 1e-6) == 1e30);
}

static void score_is_the_inverse(void **state)
{
	const double sds[] = { 1e-6, 0.3, 25 };

	(void)state;
	for (size_t i = 0; i < sizeof(sds) / sizeof(sds[0]); i++) {
		for (double value = 1e-12; value < 1e12; value *= 3) {
			double score = score_expecting(value, sds[i]);

			assert_near(expected_relu(score, sds[i]), value, 1e-9);
		}
	}
	assert_near(score_expecting(0, 2), -74, 1e-9);
	assert_true(isinf(score_expecting(INFINITY, 2)));
}

#define TOKENS 150
#define NEURONS 700

struct contributions {
	float *scores; /* (TOKENS, NEURONS) */
	double norms[NEURONS];
	double sds[NEURONS];
	struct contribution_scale scales[NEURONS];
};

/* Scores that are mostly negative; errors and norms of all sizes; a column of zeros. */
static void make_contributions(struct contributions *contributions)
{
	struct random_state random;

	random_seed(&random, 3);
	contributions->scores = malloc(TOKENS * NEURONS * sizeof(float));
	assert_non_null(contributions->scores);
	for (int j = 0; j < NEURONS; j++) {
		contributions->norms[j] = j ? exp(random_normal(&random)) : 0;
		contributions->sds[j] = exp(2 * random_normal(&random) - 3);
		contributions->scales[j] =
			contribution_scale(contributions->norms[j], contributions->sds[j]);
	}
	for (int i = 0; i < TOKENS * NEURONS; i++)
		contributions->scores[i] = (float)(2 * random_normal(&random) - 2);
}

static size_t count_above(const struct contributions *contributions, double theta)
{
	size_t count = 0;

	for (int i = 0; i < TOKENS * NEURONS; i++) {
		int j = i % NEURONS;

		count += contributions->norms[j] *
				 expected_relu(contributions->scores[i], contributions->sds[j]) >
			 theta;
	}
	return count;
}

static struct contribution_histogram *histogram_of(const struct contributions *contributions,
						   unsigned int threads)
{
	struct contribution_histogram *histogram;
	struct thread_pool *pool;
	struct error err;

	assert_ok(thread_pool_create(threads, &pool, &err), &err);
	assert_ok(contribution_histogram_create(&histogram, &err), &err);
	/* In two parts, of which one is no multiple of anything. */
	contribution_histogram_add(histogram, pool, contributions->scores, 37,
				   contributions->scales, NEURONS);
	contribution_histogram_add(histogram, pool, contributions->scores + 37 * NEURONS,
				   TOKENS - 37, contributions->scales, NEURONS);
	thread_pool_destroy(pool);
	return histogram;
}

static void theta_gives_the_count(void **state)
{
	struct contributions contributions;
	struct contribution_histogram *one, *two;

	(void)state;
	make_contributions(&contributions);
	one = histogram_of(&contributions, 1);
	two = histogram_of(&contributions, 2);
	for (double count = 50; count < 50000; count *= 2) {
		double theta = contribution_histogram_theta(one, count);

		assert_true(theta == contribution_histogram_theta(two, count));
		assert_near((double)count_above(&contributions, theta), count, 0.01 + 3 / count);
	}
	assert_near(contribution_histogram_theta(one, 1e9), exp(-32), 1e-9);
	assert_int_equal(count_above(&contributions, contribution_histogram_theta(one, 0)), 0);
	contribution_histogram_free(one);
	contribution_histogram_free(two);
	free(contributions.scores);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expectation_is_the_integral),
		cmocka_unit_test(expectation_is_never_negative),
		cmocka_unit_test(score_is_the_inverse),
		cmocka_unit_test(theta_gives_the_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
