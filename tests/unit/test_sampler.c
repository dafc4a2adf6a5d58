// SPDX-License-Identifier: GPL-2.0-only
/* Sampling picks what its options allow, as often as the probabilities say. */
#include "helpers/test.h"

#include <errno.h>
#include <math.h>

#include "infer/sampler.h"

#define N 6
#define DRAWS 20000

static const float logits[N] = { 1.0f, 3.0f, -2.0f, 3.0f, 0.0f, 2.0f };

static struct sampler *make(float temperature, uint32_t top_k, float top_p, uint64_t seed)
{
	struct sampler_options options = { temperature, top_k, top_p, seed };
	struct sampler *sampler;
	struct error err;

	assert_ok(sampler_create(&options, N, &sampler, &err), &err);
	return sampler;
}

static void count_draws(struct sampler *sampler, int counts[N])
{
	for (int i = 0; i < N; i++)
		counts[i] = 0;
	for (int i = 0; i < DRAWS; i++)
		counts[sampler_pick(sampler, logits)]++;
	sampler_destroy(sampler);
}

static void greedy_takes_the_first_of_the_best(void **state)
{
	struct sampler *sampler = make(0, 0, 1, 5);

	(void)state;
	assert_int_equal(sampler_pick(sampler, logits), 1);
	sampler_destroy(sampler);
}

static void frequencies_follow_softmax(void **state)
{
	const float temperature = 1.7f;
	double sum = 0;
	int counts[N];

	(void)state;
	count_draws(make(temperature, 0, 1, 7), counts);
	for (int i = 0; i < N; i++)
		sum += exp(logits[i] / temperature);
	for (int i = 0; i < N; i++) {
		double p = exp(logits[i] / temperature) / sum;
		double deviation = sqrt(DRAWS * p * (1 - p));

		assert_true(fabs(counts[i] - DRAWS * p) < 5 * deviation);
	}
}

static void top_k_keeps_k(void **state)
{
	int counts[N];

	(void)state;
	count_draws(make(5, 3, 1, 7), counts);
	assert_true(counts[1] > 0 && counts[3] > 0 && counts[5] > 0);
	assert_int_equal(counts[0] + counts[2] + counts[4], 0);
	/* Of two equal ones at the border the lower id stays. */
	count_draws(make(5, 1, 1, 7), counts);
	assert_int_equal(counts[1], DRAWS);
}

static void top_p_keeps_the_fewest_that_reach_it(void **state)
{
	int counts[N];

	(void)state;
	/* At temperature 1 ids 1 and 3 have 0.40 each, 5 has 0.15. */
	count_draws(make(1, 0, 0.5f, 7), counts);
	assert_int_equal(counts[1] + counts[3], DRAWS);
	assert_true(counts[3] > 0);
	count_draws(make(1, 0, 0.3f, 7), counts);
	assert_int_equal(counts[1], DRAWS);
	count_draws(make(1, 0, 0.9f, 7), counts);
	assert_true(counts[5] > 0);
	assert_int_equal(counts[2], 0);
}

static void the_seed_decides(void **state)
{
	struct sampler *a = make(2, 0, 1, 11), *b = make(2, 0, 1, 11), *c = make(2, 0, 1, 12);
	int different = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		uint32_t id = sampler_pick(a, logits);

		assert_int_equal(id, sampler_pick(b, logits));
		different += id != sampler_pick(c, logits);
	}
	assert_true(different > 0);
	sampler_destroy(a);
	sampler_destroy(b);
	sampler_destroy(c);
}

static void nonsense_is_refused(void **state)
{
	const struct sampler_options bad[] = {
		{ -1, 0, 1, 0 }, { NAN, 0, 1, 0 }, { INFINITY, 0, 1, 0 },
		{ 1, 0, 0, 0 }, { 1, 0, 1.5f, 0 }, { 1, 0, NAN, 0 },
	};
	struct sampler *sampler;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sampler_create(&bad[i], N, &sampler, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frequencies_follow_softmax),
		cmocka_unit_test(greedy_takes_the_first_of_the_best),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(the_seed_decides),
		cmocka_unit_test(top_k_keeps_k),
		cmocka_unit_test(top_p_keeps_the_fewest_that_reach_it),
	};

	return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
