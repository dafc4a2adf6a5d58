// SPDX-License-Identifier: GPL-2.0-only
/* Covariances against plain loops, and regressions whose answer is known. */
#include "helpers/test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/random.h"
#include "infer/covariance.h"
#include "infer/regression.h"

#define TOKENS 1300 /* blocks of 512, 512 and 276 */
#define WIDTH 70    /* a tile of 64 and a rest */
#define NEURONS 90

/* What a test is about: inputs x and y of some tokens, and a layer. */
struct problem {
	uint16_t x[TOKENS * WIDTH];
	uint16_t y[TOKENS * WIDTH];
	uint16_t weights[NEURONS * WIDTH];
	float bias[NEURONS];
	struct random_state random;
	double mean_x[WIDTH], mean_y[WIDTH];
	double xx[WIDTH * WIDTH], xy[WIDTH * WIDTH], yy[WIDTH * WIDTH];
};

struct fit {
	uint16_t down[WIDTH * WIDTH];
	uint16_t up[NEURONS * WIDTH];
	float bias[NEURONS];
	float error_sd[NEURONS];
	size_t rank;
};

static float normal(struct problem *problem)
{
	return (float)random_normal(&problem->random);
}

/* Random weights and x; y is x, mixed by an orthogonal-ish dense matrix, with noise. */
static struct problem *problem_create(float noise)
{
	struct problem *problem = calloc(1, sizeof(*problem));
	float mix[WIDTH * WIDTH];

	assert_non_null(problem);
	random_seed(&problem->random, 5);
	for (int i = 0; i < NEURONS * WIDTH; i++)
		problem->weights[i] = f32_to_f16(normal(problem) / sqrtf(WIDTH));
	for (int j = 0; j < NEURONS; j++)
		problem->bias[j] = normal(problem);
	for (int i = 0; i < WIDTH * WIDTH; i++)
		mix[i] = normal(problem) / sqrtf(WIDTH);
	for (int t = 0; t < TOKENS; t++) {
		float x[WIDTH];

		for (int i = 0; i < WIDTH; i++) {
			x[i] = 0.5f + normal(problem);
			problem->x[t * WIDTH + i] = f32_to_f16(x[i]);
		}
		for (int i = 0; i < WIDTH; i++) {
			float y = noise * normal(problem) - 0.25f;

			for (int k = 0; k < WIDTH; k++)
				y += mix[i * WIDTH + k] * x[k];
			problem->y[t * WIDTH + i] = f32_to_f16(y);
		}
	}
	return problem;
}

static void sum_all(const struct compute *compute, struct problem *problem)
{
	struct vector_block *x, *y;
	struct error err;

	assert_ok(vector_block_create(WIDTH, &x, &err), &err);
	assert_ok(vector_block_create(WIDTH, &y, &err), &err);
	for (size_t t = 0; t < TOKENS; t += COVARIANCE_BLOCK) {
		size_t n = TOKENS - t < COVARIANCE_BLOCK ? TOKENS - t : COVARIANCE_BLOCK;

		vector_block_fill(compute, x, problem->x + t * WIDTH, n);
		vector_block_fill(compute, y, problem->y + t * WIDTH, n);
		vector_block_sum(x, problem->mean_x);
		vector_block_sum(y, problem->mean_y);
		covariance_add(compute, problem->xx, x, x);
		covariance_add(compute, problem->xy, x, y);
		covariance_add(compute, problem->yy, y, y);
	}
	for (int i = 0; i < WIDTH; i++) {
		problem->mean_x[i] /= TOKENS;
		problem->mean_y[i] /= TOKENS;
	}
	covariance_mirror(problem->xx, WIDTH);
	covariance_mirror(problem->yy, WIDTH);
	covariance_centre(problem->xx, WIDTH, TOKENS, problem->mean_x, problem->mean_x);
	covariance_centre(problem->xy, WIDTH, TOKENS, problem->mean_x, problem->mean_y);
	covariance_centre(problem->yy, WIDTH, TOKENS, problem->mean_y, problem->mean_y);
	vector_block_free(x);
	vector_block_free(y);
}

static double covariance_of(const uint16_t *a, const uint16_t *b, int i, int j)
{
	double sum_a = 0, sum_b = 0, sum = 0;

	for (int t = 0; t < TOKENS; t++) {
		double u = f16_to_f32(a[t * WIDTH + i]), v = f16_to_f32(b[t * WIDTH + j]);

		sum_a += u;
		sum_b += v;
		sum += u * v;
	}
	return sum / TOKENS - sum_a / TOKENS * (sum_b / TOKENS);
}

static void covariances_are_those_of_plain_loops(void **state)
{
	struct compute compute = { .kernels = kernels_best() };
	struct problem *problem = problem_create(0.5f);

	(void)state;
	sum_all(&compute, problem);
	for (int i = 0; i < WIDTH; i++) {
		for (int j = 0; j < WIDTH; j++) {
			int at = i * WIDTH + j;

			assert_true(fabs(problem->xx[at] -
					 covariance_of(problem->x, problem->x, i, j)) < 1e-6);
			assert_true(fabs(problem->xy[at] -
					 covariance_of(problem->x, problem->y, i, j)) < 1e-6);
			assert_true(fabs(problem->yy[at] -
					 covariance_of(problem->y, problem->y, i, j)) < 1e-6);
		}
	}
	free(problem);
}

static void fit(struct problem *problem, size_t rank, unsigned int threads, struct fit *result)
{
	struct compute compute = { .kernels = kernels_best() };
	struct regression regression = {
		.width = WIDTH,
		.n_neurons = NEURONS,
		.rank = rank,
		.xx = problem->xx,
		.xy = problem->xy,
		.yy = problem->yy,
		.mean_x = problem->mean_x,
		.mean_y = problem->mean_y,
		.weights = problem->weights,
		.bias = problem->bias,
	};
	struct predictor_layer map = { result->down, result->up, result->bias };
	struct error err;

	result->rank = rank;
	assert_ok(thread_pool_create(threads, &compute.pool, &err), &err);
	sum_all(&compute, problem);
	assert_ok(regression_fit(&compute, &regression, &map, result->error_sd, &err), &err);
	thread_pool_destroy(compute.pool);
}

static double dot(const uint16_t *a, const uint16_t *b, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)f16_to_f32(a[i]) * f16_to_f32(b[i]);
	return sum;
}

static double activation(const struct problem *problem, int token, int neuron)
{
	return problem->bias[neuron] +
	       dot(problem->weights + neuron * WIDTH, problem->y + token * WIDTH, WIDTH);
}

static double score(const struct problem *problem, const struct fit *result, int token, int neuron)
{
	double sum = result->bias[neuron];

	for (size_t k = 0; k < result->rank; k++)
		sum += f16_to_f32(result->up[neuron * result->rank + k]) *
		       dot(result->down + k * WIDTH, problem->x + token * WIDTH, WIDTH);
	return sum;
}

struct spread {
	double error;	   /* variance of activation - score, about 0 */
	double activation; /* about its mean */
};

static struct spread spread_of(const struct problem *problem, const struct fit *result, int neuron)
{
	double errors = 0, sum = 0, squares = 0;

	for (int t = 0; t < TOKENS; t++) {
		double a = activation(problem, t, neuron);
		double error = a - score(problem, result, t, neuron);

		errors += error * error;
		sum += a;
		squares += a * a;
	}
	return (struct spread){ errors / TOKENS, squares / TOKENS - sum / TOKENS * (sum / TOKENS) };
}

/* Keep only the part of y that hangs on `rank` directions of x. */
static void flatten(struct problem *problem, int rank)
{
	float directions[WIDTH][WIDTH], mix[WIDTH][WIDTH];

	for (int k = 0; k < rank; k++) {
		for (int i = 0; i < WIDTH; i++) {
			directions[k][i] = normal(problem) / sqrtf(WIDTH);
			mix[i][k] = normal(problem);
		}
	}
	for (int t = 0; t < TOKENS; t++) {
		float hidden[WIDTH] = { 0 };

		for (int k = 0; k < rank; k++)
			for (int i = 0; i < WIDTH; i++)
				hidden[k] +=
					directions[k][i] * f16_to_f32(problem->x[t * WIDTH + i]);
		for (int i = 0; i < WIDTH; i++) {
			float y = 1;

			for (int k = 0; k < rank; k++)
				y += mix[i][k] * hidden[k];
			problem->y[t * WIDTH + i] = f32_to_f16(y);
		}
	}
}

static void low_rank_truth_is_recovered(void **state)
{
	struct problem *problem = problem_create(0);
	struct fit *enough = malloc(sizeof(*enough)), *short_of = malloc(sizeof(*short_of));
	double left = 0;

	(void)state;
	assert_non_null(enough);
	assert_non_null(short_of);
	flatten(problem, 3);
	fit(problem, 3, 1, enough);
	memset(problem->mean_x, 0, sizeof(problem->mean_x));
	memset(problem->mean_y, 0, sizeof(problem->mean_y));
	memset(problem->xx, 0, sizeof(problem->xx));
	memset(problem->xy, 0, sizeof(problem->xy));
	memset(problem->yy, 0, sizeof(problem->yy));
	fit(problem, 2, 1, short_of);
	for (int j = 0; j < NEURONS; j++) {
		struct spread with = spread_of(problem, enough, j);
		struct spread without = spread_of(problem, short_of, j);

		assert_true(with.error < 1e-5 * with.activation);
		left += without.error / without.activation / NEURONS;
	}
	assert_true(left > 0.01); /* so 3 were needed */
	free(short_of);
	free(enough);
	free(problem);
}

static void error_sd_is_the_error(void **state)
{
	const size_t ranks[] = { 1, 20, WIDTH };
	struct fit *result = malloc(sizeof(*result));

	(void)state;
	assert_non_null(result);
	for (int i = 0; i < 3; i++) {
		struct problem *problem = problem_create(0.5f);

		fit(problem, ranks[i], 1, result);
		for (int j = 0; j < NEURONS; j++) {
			double sd = sqrt(spread_of(problem, result, j).error);

			assert_true(fabs(result->error_sd[j] / sd - 1) < 0.01);
		}
		free(problem);
	}
	free(result);
}

/* Solve (xx + tau I) b = xy by elimination, without pivots: it is positive definite. */
static void plain_ridge(double *a, double *b)
{
	double tau = 0;

	for (int i = 0; i < WIDTH; i++)
		tau += REGRESSION_RIDGE * a[i * WIDTH + i] / WIDTH;
	for (int i = 0; i < WIDTH; i++)
		a[i * WIDTH + i] += tau;
	for (int p = 0; p < WIDTH; p++) {
		for (int i = 0; i < WIDTH; i++) {
			double factor = a[i * WIDTH + p] / a[p * WIDTH + p];

			for (int j = 0; j < WIDTH && i != p; j++) {
				a[i * WIDTH + j] -= factor * a[p * WIDTH + j];
				b[i * WIDTH + j] -= factor * b[p * WIDTH + j];
			}
		}
	}
	for (int i = 0; i < WIDTH; i++)
		for (int j = 0; j < WIDTH; j++)
			b[i * WIDTH + j] /= a[i * WIDTH + i];
}

static void full_rank_is_plain_ridge(void **state)
{
	struct compute compute = { .kernels = kernels_best() };
	struct problem *plain = problem_create(0.5f), *problem = problem_create(0.5f);
	struct fit *result = malloc(sizeof(*result));

	(void)state;
	assert_non_null(result);
	sum_all(&compute, plain);
	plain_ridge(plain->xx, plain->xy);
	fit(problem, WIDTH, 1, result);
	for (int t = 0; t < TOKENS; t += 50) {
		double y[WIDTH];

		for (int i = 0; i < WIDTH; i++) {
			y[i] = plain->mean_y[i];
			for (int k = 0; k < WIDTH; k++)
				y[i] += (f16_to_f32(plain->x[t * WIDTH + k]) - plain->mean_x[k]) *
					plain->xy[k * WIDTH + i];
		}
		for (int j = 0; j < NEURONS; j++) {
			double expected = plain->bias[j];

			for (int i = 0; i < WIDTH; i++)
				expected += f16_to_f32(plain->weights[j * WIDTH + i]) * y[i];
			assert_true(fabs(score(problem, result, t, j) - expected) < 5e-3);
		}
	}
	free(result);
	free(problem);
	free(plain);
}

/* The part of y that varies most is of no use when no neuron looks at it. */
static void directions_are_those_the_neurons_see(void **state)
{
	struct problem *problem = problem_create(0);
	struct fit *result = malloc(sizeof(*result));

	(void)state;
	assert_non_null(result);
	for (int t = 0; t < TOKENS; t++)
		for (int i = 0; i < WIDTH; i++)
			problem->y[t * WIDTH + i] =
				f32_to_f16(f16_to_f32(problem->x[t * WIDTH + i]) * (i ? 100 : 1));
	for (int j = 0; j < NEURONS; j++)
		for (int i = 1; i < WIDTH; i++)
			problem->weights[j * WIDTH + i] = 0;
	fit(problem, 1, 1, result);
	for (int j = 0; j < NEURONS; j++) {
		struct spread spread = spread_of(problem, result, j);

		assert_true(spread.error < 1e-5 * spread.activation);
	}
	free(result);
	free(problem);
}

/* Copies among the inputs, constants, and elements a million times as large as others. */
static void collinear_inputs(void **state)
{
	struct problem *problem = problem_create(0);
	struct fit *result = malloc(sizeof(*result));

	(void)state;
	assert_non_null(result);
	for (int t = 0; t < TOKENS; t++) {
		for (int i = 10; i < 40; i++)
			problem->x[t * WIDTH + i] = problem->x[t * WIDTH + i % 10];
		for (int i = 40; i < 60; i++)
			problem->x[t * WIDTH + i] = f32_to_f16(3);
		problem->x[t * WIDTH + 60] =
			f32_to_f16(1e-4f * f16_to_f32(problem->x[t * WIDTH + 60]));
		problem->x[t * WIDTH + 61] =
			f32_to_f16(100 * f16_to_f32(problem->x[t * WIDTH + 61]));
	}
	flatten(problem, 5);
	fit(problem, 20, 1, result);
	for (int j = 0; j < NEURONS; j++) {
		struct spread spread = spread_of(problem, result, j);

		assert_true(spread.error < 1e-3 * spread.activation);
		assert_true(isfinite(result->error_sd[j]) && result->error_sd[j] > 0);
	}
	free(result);
	free(problem);
}

static void constant_inputs_leave_the_mean(void **state)
{
	struct problem *problem = problem_create(0);
	struct fit *result = malloc(sizeof(*result));

	(void)state;
	assert_non_null(result);
	for (int i = 0; i < TOKENS * WIDTH; i++)
		problem->x[i] = problem->y[i] = f32_to_f16(2);
	memset(problem->weights, 0, WIDTH * sizeof(uint16_t));
	fit(problem, 4, 1, result);
	for (int j = 0; j < NEURONS; j++) {
		assert_true(fabs(score(problem, result, 0, j) - activation(problem, 0, j)) < 1e-3);
		assert_true(result->error_sd[j] > 0 && result->error_sd[j] < 1e-2);
	}
	free(result);
	free(problem);
}

static void threads_do_not_matter(void **state)
{
	struct problem *first = problem_create(0.5f), *second = problem_create(0.5f);
	struct fit *one = calloc(1, sizeof(*one)), *two = calloc(1, sizeof(*two));

	(void)state;
	assert_non_null(one);
	assert_non_null(two);
	fit(first, 20, 1, one);
	fit(second, 20, 2, two);
	assert_memory_equal(one, two, sizeof(*one));
	free(two);
	free(one);
	free(second);
	free(first);
}

static void infinite_inputs_are_refused(void **state)
{
	struct compute compute = { .kernels = kernels_best() };
	struct problem *problem = problem_create(0);
	struct fit *result = malloc(sizeof(*result));
	struct predictor_layer map;
	struct regression regression = {
		.width = WIDTH,
		.n_neurons = NEURONS,
		.rank = 3,
		.xx = problem->xx,
		.xy = problem->xy,
		.yy = problem->yy,
		.mean_x = problem->mean_x,
		.mean_y = problem->mean_y,
		.weights = problem->weights,
		.bias = problem->bias,
	};
	struct error err = { 0 };

	(void)state;
	assert_non_null(result);
	map = (struct predictor_layer){ result->down, result->up, result->bias };
	problem->x[7] = problem->y[7] = 0x7c00;
	sum_all(&compute, problem);
	assert_int_equal(regression_fit(&compute, &regression, &map, result->error_sd, &err),
			 -ERANGE);
	assert_says(&err, "infinite");
	free(result);
	free(problem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(covariances_are_those_of_plain_loops),
		cmocka_unit_test(low_rank_truth_is_recovered),
		cmocka_unit_test(error_sd_is_the_error),
		cmocka_unit_test(full_rank_is_plain_ridge),
		cmocka_unit_test(directions_are_those_the_neurons_see),
		cmocka_unit_test(collinear_inputs),
		cmocka_unit_test(constant_inputs_leave_the_mean),
		cmocka_unit_test(threads_do_not_matter),
		cmocka_unit_test(infinite_inputs_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
