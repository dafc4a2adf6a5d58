// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every set of kernels that this CPU has against sums in double, for every length
 * up to a few vectors; and the promise on which reproducible text rests: rows and
 * tokens computed together give the same bits as one by one.
 */
#include "helpers/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/half.h"
#include "base/random.h"
#include "infer/kernels.h"

#define MAX_N 300
#define ROWS 9
#define TOKENS 7

static const char *const names[] = { "portable", "avx2", "avx512", "neon" };

struct fixture {
	uint16_t weights[ROWS][MAX_N + 1]; /* odd distance: rows may lie anywhere */
	const uint16_t *rows[ROWS];
	float x[TOKENS][MAX_N];
	float a[ROWS];
};

static struct fixture *make_fixture(void)
{
	struct fixture *f = malloc(sizeof(*f));
	struct random_state random;

	assert_non_null(f);
	random_seed(&random, 1);
	for (int r = 0; r < ROWS; r++) {
		f->rows[r] = f->weights[r];
		f->a[r] = (float)random_normal(&random);
		for (int i = 0; i <= MAX_N; i++)
			f->weights[r][i] = f32_to_f16((float)random_normal(&random));
	}
	/* Subnormal weights are weights too. */
	f->weights[0][0] = 1;
	f->weights[1][1] = 0x83ff;
	for (int t = 0; t < TOKENS; t++)
		for (int i = 0; i < MAX_N; i++)
			f->x[t][i] = (float)random_normal(&random);
	return f;
}

/* Runs a test for every set of kernels that is there. */
static void for_each_kernels(void (*test)(const struct kernels *, const struct fixture *))
{
	struct fixture *f = make_fixture();
	int tested = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct kernels *kernels = kernels_find(names[i]);

		if (!kernels)
			continue;
		test(kernels, f);
		tested++;
	}
	assert_true(tested >= 1);
	free(f);
}

static void check_dot_rows(const struct kernels *kernels, const struct fixture *f)
{
	float out[TOKENS][ROWS];

	for (size_t n = 0; n <= MAX_N; n++) {
		kernels->dot_rows(out[0], ROWS, f->rows, ROWS, f->x[0], MAX_N, TOKENS, n);
		for (int t = 0; t < TOKENS; t++) {
			for (int r = 0; r < ROWS; r++) {
				double sum = 0, size = 0;

				for (size_t i = 0; i < n; i++) {
					double product =
						f16_to_f32(f->weights[r][i]) * (double)f->x[t][i];

					sum += product;
					size += fabs(product);
				}
				assert_true(fabs(out[t][r] - sum) <= 1e-6 * size);
			}
		}
	}
}

static void dot_rows_is_a_dot_product(void **state)
{
	(void)state;
	for_each_kernels(check_dot_rows);
}

static void check_tiling(const struct kernels *kernels, const struct fixture *f)
{
	float together[TOKENS][ROWS], alone;

	for (size_t n = 1; n <= MAX_N; n += 37) {
		kernels->dot_rows(together[0], ROWS, f->rows, ROWS, f->x[0], MAX_N, TOKENS, n);
		for (int t = 0; t < TOKENS; t++) {
			for (int r = 0; r < ROWS; r++) {
				kernels->dot_rows(&alone, 1, f->rows + r, 1, f->x[t], MAX_N, 1, n);
				assert_memory_equal(&alone, &together[t][r], sizeof(alone));
			}
		}
	}
}

static void together_equals_one_by_one(void **state)
{
	(void)state;
	for_each_kernels(check_tiling);
}

static void check_add_rows(const struct kernels *kernels, const struct fixture *f)
{
	float y[MAX_N], split[MAX_N];

	for (size_t n = 0; n <= MAX_N; n++) {
		memcpy(y, f->x[0], sizeof(y));
		kernels->add_rows(y, f->a, f->rows, ROWS, n);
		for (size_t i = 0; i < n; i++) {
			double sum = f->x[0][i], size = fabs(sum);

			for (int r = 0; r < ROWS; r++) {
				double product = (double)f->a[r] * f16_to_f32(f->weights[r][i]);

				sum += product;
				size += fabs(product);
			}
			assert_true(fabs(y[i] - sum) <= 1e-6 * size);
		}
		/* Beyond n nothing is touched. */
		assert_memory_equal(y + n, f->x[0] + n, (MAX_N - n) * sizeof(float));
		/* In two goes, as windows of a layer come. */
		memcpy(split, f->x[0], sizeof(split));
		kernels->add_rows(split, f->a, f->rows, 4, n);
		kernels->add_rows(split, f->a + 4, f->rows + 4, ROWS - 4, n);
		assert_memory_equal(y, split, n * sizeof(float));
	}
}

static void add_rows_sums_in_order(void **state)
{
	(void)state;
	for_each_kernels(check_add_rows);
}

static void check_f32(const struct kernels *kernels, const struct fixture *f)
{
	float y[MAX_N];

	for (size_t n = 0; n <= MAX_N; n++) {
		double sum = 0, size = 0;

		for (size_t i = 0; i < n; i++) {
			sum += (double)f->x[0][i] * f->x[1][i];
			size += fabs((double)f->x[0][i] * f->x[1][i]);
		}
		assert_true(fabs(kernels->dot_f32(f->x[0], f->x[1], n) - sum) <= 1e-6 * size);
		memcpy(y, f->x[0], sizeof(y));
		kernels->add_f32(y, f->a[0], f->x[1], n);
		for (size_t i = 0; i < n; i++)
			assert_true(fabs(y[i] - (f->x[0][i] + (double)f->a[0] * f->x[1][i])) <=
				    1e-6);
		kernels->widen(y, f->weights[0], n);
		for (size_t i = 0; i < n; i++)
			assert_true(y[i] == f16_to_f32(f->weights[0][i]));
	}
}

static void f32_kernels_and_widening(void **state)
{
	(void)state;
	for_each_kernels(check_f32);
}

/* Memory whose last byte is followed by a page that must not be touched. */
static void *guarded(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
	char *memory = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_return_code(mprotect(memory + room, page, PROT_NONE), 0);
	return memory + room - bytes;
}

static void unguard(void *memory, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;

	munmap((char *)memory + bytes - room, room + page);
}

/*
 * Reading or writing beyond the last element would be a fault. (The vector kernels
 * are built without AddressSanitizer, which would slow them tenfold.)
 */
static void check_bounds(const struct kernels *kernels, const struct fixture *f)
{
	for (size_t n = 1; n <= 130; n++) {
		uint16_t *row = guarded(n * sizeof(*row));
		float *x = guarded(n * sizeof(*x)), *y = guarded(n * sizeof(*y));
		float *out = guarded(sizeof(*out)), *a = guarded(sizeof(*a));
		const uint16_t *rows[] = { row };

		memcpy(row, f->weights[0], n * sizeof(*row));
		memcpy(x, f->x[0], n * sizeof(*x));
		memcpy(y, f->x[1], n * sizeof(*y));
		*a = 1.5f;
		kernels->dot_rows(out, 1, rows, 1, x, n, 1, n);
		kernels->add_rows(y, a, rows, 1, n);
		kernels->add_f32(y, *a, x, n);
		*out = kernels->dot_f32(x, y, n);
		kernels->widen(y, row, n);
		unguard(row, n * sizeof(*row));
		unguard(x, n * sizeof(*x));
		unguard(y, n * sizeof(*y));
		unguard(out, sizeof(*out));
		unguard(a, sizeof(*a));
	}
}

static void nothing_beyond_the_end_is_touched(void **state)
{
	(void)state;
	for_each_kernels(check_bounds);
}

static void unknown_kernels_are_not_found(void **state)
{
	(void)state;
	assert_null(kernels_find("mmx"));
	assert_non_null(kernels_find("portable"));
	assert_non_null(kernels_best());
}

/* What every CPU of an architecture has must not be left out unnoticed. */
static void kernels_of_the_base_instruction_set(void **state)
{
	(void)state;
#ifdef __aarch64__
	assert_non_null(kernels_find("neon"));
	assert_ptr_equal(kernels_best(), kernels_find("neon"));
#else
	assert_null(kernels_find("neon"));
#endif
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct kernels *kernels = kernels_find(names[i]);

		if (kernels)
			assert_string_equal(kernels->name, names[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_rows_sums_in_order),
		cmocka_unit_test(dot_rows_is_a_dot_product),
		cmocka_unit_test(f32_kernels_and_widening),
		cmocka_unit_test(kernels_of_the_base_instruction_set),
		cmocka_unit_test(nothing_beyond_the_end_is_touched),
		cmocka_unit_test(together_equals_one_by_one),
		cmocka_unit_test(unknown_kernels_are_not_found),
	};

	return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
