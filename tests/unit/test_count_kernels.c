// SPDX-License-Identifier: GPL-2.0-only
/* Every instruction set that this machine has counts as plain C does, and that as it should. */
#include "helpers/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "placement/count_kernels.h"

static const char *const names[] = { "portable", "avx2", "avx512", "neon" };

#define N_COLUMNS (3 * COUNT_BLOCK)
#define STRIDE (N_COLUMNS + 3)
#define N_COUNTS (COUNT_MAX_ROWS * STRIDE)
#define UNTOUCHED 12345

static uint64_t *make_neurons(struct random_state *random, size_t n, size_t n_words, int kind)
{
	uint64_t *neurons = aligned_alloc(64, n * n_words * sizeof(*neurons));

	assert_non_null(neurons);
	for (size_t w = 0; w < n * n_words; w++) {
		neurons[w] = kind == 0 ? 0 : UINT64_MAX;
		if (kind == 2)
			neurons[w] = random_next(random) & random_next(random);
	}
	return neurons;
}

static void assert_counts(const struct count_kernel *kernel, const uint64_t *rows, size_t n_rows,
			  const uint64_t *columns, size_t n_words)
{
	uint16_t *counts = malloc(N_COUNTS * sizeof(*counts));

	assert_non_null(counts);
	for (size_t i = 0; i < N_COUNTS; i++)
		counts[i] = UNTOUCHED;
	kernel->count(rows, n_rows, columns, N_COLUMNS, n_words, counts, STRIDE);
	for (size_t i = 0; i < N_COUNTS; i++) {
		size_t r = i / STRIDE, c = i % STRIDE;
		uint32_t expected = 0;

		for (size_t w = 0; w < n_words; w++)
			expected += (uint32_t)__builtin_popcountll(rows[r % n_rows * n_words + w] &
								   columns[c % N_COLUMNS * n_words +
									   w]);
		assert_int_equal(counts[i], r < n_rows && c < N_COLUMNS ? expected : UNTOUCHED);
	}
	free(counts);
}

/* No bits, all, and some; of the fewest words, of some, and of all. */
static void all_count_the_same(void **state)
{
	static const size_t n_words[] = { COUNT_WORDS, 5 * COUNT_WORDS, COUNT_MAX_WORDS };
	struct random_state random;

	(void)state;
	random_seed(&random, 1);
	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		const struct count_kernel *kernel = count_kernel_find(names[k]);

		for (int i = 0; kernel && i < 3 * 3; i++) {
			size_t words = n_words[i / 3];
			uint64_t *rows = make_neurons(&random, COUNT_MAX_ROWS, words, i % 3);
			uint64_t *columns = make_neurons(&random, N_COLUMNS, words, i % 3);

			assert_counts(kernel, rows, COUNT_MAX_ROWS, columns, words);
			assert_counts(kernel, rows, COUNT_BLOCK, columns, words);
			free(rows);
			free(columns);
		}
	}
}

static void the_best_is_one_of_them(void **state)
{
	(void)state;
	assert_non_null(count_kernel_find("portable"));
	assert_null(count_kernel_find("none"));
	assert_ptr_equal(count_kernel_find(count_kernel_best()->name), count_kernel_best());
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		assert_ptr_not_equal(count_kernel_best(), count_kernel_find("portable"));
	assert_null(count_kernel_find("neon"));
#endif
#ifdef __aarch64__
	assert_string_equal(count_kernel_best()->name, "neon");
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_count_the_same),
		cmocka_unit_test(the_best_is_one_of_them),
	};

	return cmocka_run_group_tests_name("count_kernels", tests, NULL, NULL);
}
