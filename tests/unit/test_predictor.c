// SPDX-License-Identifier: GPL-2.0-only
/* The file of a predictor: what goes in comes out, and nothing else is taken. */
#include "helpers/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "infer/predictor.h"

#define LAYERS 2
#define WIDTH 3
#define NEURONS 5
#define RANK 2

static struct predictor *random_predictor(void)
{
	struct predictor *predictor;
	struct random_state random;
	struct error err;

	random_seed(&random, 1);
	assert_ok(predictor_create(LAYERS, WIDTH, NEURONS, RANK, 0x123456789abcdef0, &predictor,
				   &err),
		  &err);
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		struct predictor_layer *arrays = &predictor->layers[layer];

		for (int i = 0; i < RANK * WIDTH; i++)
			arrays->down[i] = (uint16_t)random_next(&random);
		for (int i = 0; i < NEURONS * RANK; i++)
			arrays->up[i] = (uint16_t)random_next(&random);
		for (int i = 0; i < NEURONS; i++)
			arrays->bias[i] = (float)random_normal(&random);
	}
	return predictor;
}

static char *saved(const char *folder)
{
	struct predictor *predictor = random_predictor();
	char *path = path_in(folder, "predictor");
	struct error err;

	assert_ok(predictor_save(predictor, path, &err), &err);
	predictor_free(predictor);
	return path;
}

static void new_predictor_is_zero(void **state)
{
	struct predictor *predictor;
	struct error err;

	(void)state;
	assert_ok(predictor_create(LAYERS, WIDTH, NEURONS, RANK, 7, &predictor, &err), &err);
	for (int i = 0; i < NEURONS * RANK; i++)
		assert_int_equal(predictor->layers[LAYERS - 1].up[i], 0);
	for (int i = 0; i < NEURONS; i++)
		assert_true(predictor->layers[0].bias[i] == 0);
	predictor_free(predictor);
	predictor_free(NULL);
}

static void round_trip(void **state)
{
	struct predictor *before = random_predictor(), *after;
	char *folder = make_folder(), *path = saved(folder);
	struct error err;

	(void)state;
	assert_ok(predictor_load(path, &after, &err), &err);
	assert_int_equal(after->n_layers, LAYERS);
	assert_int_equal(after->d_model, WIDTH);
	assert_int_equal(after->n_neurons, NEURONS);
	assert_int_equal(after->rank, RANK);
	assert_true(after->model_id == before->model_id);
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		const struct predictor_layer *a = &before->layers[layer],
					     *b = &after->layers[layer];

		assert_memory_equal(a->down, b->down, RANK * WIDTH * sizeof(uint16_t));
		assert_memory_equal(a->up, b->up, NEURONS * RANK * sizeof(uint16_t));
		assert_memory_equal(a->bias, b->bias, NEURONS * sizeof(float));
	}
	predictor_free(before);
	predictor_free(after);
	free(path);
	remove_folder(folder);
}

static void assert_refused(const char *path, const void *bytes, size_t length)
{
	struct predictor *predictor = NULL;
	struct error err = { 0 };

	write_file(path, bytes, length);
	assert_true(predictor_load(path, &predictor, &err) < 0);
	assert_null(predictor);
	assert_says(&err, path);
}

static void every_change_is_refused(void **state)
{
	char *folder = make_folder(), *path = saved(folder);
	char *damaged = path_in(folder, "damaged");
	size_t length;
	char *bytes = file_contents(path, &length);

	(void)state;
	assert_int_equal(length,
			 40 + LAYERS * ((RANK * WIDTH + NEURONS * RANK) * 2 + NEURONS * 4) + 8);
	for (size_t i = 0; i < length * 8; i++) {
		bytes[i / 8] ^= (char)(1 << i % 8);
		assert_refused(damaged, bytes, length);
		bytes[i / 8] ^= (char)(1 << i % 8);
	}
	for (size_t part = 0; part < length; part++)
		assert_refused(damaged, bytes, part);
	assert_refused(damaged, bytes, length + 1); /* the terminating NUL */
	free(bytes);
	free(damaged);
	free(path);
	remove_folder(folder);
}

/* A header whose sizes multiply to more than 64 bits must not come out small. */
static void huge_sizes_are_refused(void **state)
{
	char *folder = make_folder(), *path = path_in(folder, "huge");
	uint32_t words[12] = { 0, 0, 1, 4096, 1 << 24, 1 << 24, 1 << 24 };

	(void)state;
	memcpy(words, "COLINKPR", 8);
	assert_refused(path, words, sizeof(words));
	words[3] = words[4] = words[5] = words[6] = UINT32_MAX;
	assert_refused(path, words, sizeof(words));
	free(path);
	remove_folder(folder);
}

static void missing_file(void **state)
{
	struct predictor *predictor;
	struct error err = { 0 };

	(void)state;
	assert_true(predictor_load("/nonexistent/predictor", &predictor, &err) < 0);
	assert_says(&err, "/nonexistent/predictor");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_predictor_is_zero),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(every_change_is_refused),
		cmocka_unit_test(huge_sizes_are_refused),
		cmocka_unit_test(missing_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
