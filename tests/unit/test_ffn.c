// SPDX-License-Identifier: GPL-2.0-only
/*
 * The feed-forward block, in each of its forms and on each set of kernels that this CPU
 * has, against its definition in double; and the same bits however it is shared out to
 * threads, cut into windows, or put into batches.
 */
#include "helpers/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/half.h"
#include "base/random.h"
#include "infer/ffn.h"

/* Wide enough that one token is shared out by columns; no multiple of any block. */
#define WIDTH 1003
#define SLOTS 601
#define TOKENS 5

/* Bundles of the larger kind; the smaller one uses the first two rows of each. */
#define STRIDE (3 * WIDTH)
#define HALF_INFINITY 0x7c00

struct fixture {
	const struct kernels *kernels;
	enum ffn_form form;
	float threshold;
	uint16_t *bundles; /* (SLOTS, STRIDE) */
	float x[TOKENS * WIDTH];
	float bias[SLOTS];
	uint64_t wanted[TOKENS * ((SLOTS + 63) / 64)];
	uint32_t slots[SLOTS];
	const uint16_t *pointers[SLOTS];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct random_state random;

	random_seed(&random, 5);
	f->kernels = kernels_best();
	f->bundles = malloc(SLOTS * STRIDE * sizeof(*f->bundles));
	assert_non_null(f->bundles);
	for (size_t i = 0; i < SLOTS * STRIDE; i++)
		f->bundles[i] = f32_to_f16((float)random_normal(&random) * 0.05f);
	for (size_t i = 0; i < TOKENS * WIDTH; i++)
		f->x[i] = (float)random_normal(&random);
	for (size_t s = 0; s < SLOTS; s++) {
		f->bias[s] = (float)random_normal(&random) - 0.5f;
		f->slots[s] = (uint32_t)s;
		f->pointers[s] = f->bundles + s * STRIDE;
	}
	for (size_t t = 0; t < TOKENS; t++)
		for (size_t s = 0; s < SLOTS; s++)
			/* Slots that few tokens want, and slots that most do. */
			if (random_below(&random, 8) < (s < SLOTS / 2 ? 1 : 6))
				bits_set(f->wanted + t * bits_words(SLOTS), s);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	free(f->bundles);
	free(f);
	return 0;
}

struct result {
	float out[TOKENS * WIDTH];
	uint64_t fired[TOKENS * ((SLOTS + 63) / 64)];
};

/* All tokens in batches of `batch_size`, all slots in windows of `window_size`. */
static struct result *compute(const struct fixture *f, const uint64_t *wanted, bool measure,
			      unsigned int threads, size_t batch_size, uint32_t window_size)
{
	struct result *result = calloc(1, sizeof(*result));
	struct compute compute = { .kernels = f->kernels };
	struct ffn_scratch *scratch;
	size_t words = bits_words(SLOTS);
	struct error err;

	assert_ok(thread_pool_create(threads, &compute.pool, &err), &err);
	assert_ok(ffn_scratch_create(TOKENS, &scratch, &err), &err);
	for (size_t first = 0; first < TOKENS; first += batch_size) {
		struct ffn_batch batch = {
			.form = f->form,
			.threshold = f->threshold,
			.n_tokens = TOKENS - first < batch_size ? TOKENS - first : batch_size,
			.d_model = WIDTH,
			.n_slots = SLOTS,
			.x = f->x + first * WIDTH,
			.up_bias = f->form == FFN_PLAIN ? f->bias : NULL,
			.wanted = wanted ? wanted + first * words : NULL,
			.measure = measure,
			.fired = result->fired + first * words,
			.out = result->out + first * WIDTH,
		};

		for (uint32_t s = 0; s < SLOTS; s += window_size) {
			const struct bundle_window window = {
				.count = SLOTS - s < window_size ? SLOTS - s : window_size,
				.slots = f->slots + s,
				.bundles = f->pointers + s,
			};

			ffn_window(&compute, &batch, &window, scratch);
		}
	}
	ffn_scratch_destroy(scratch);
	thread_pool_destroy(compute.pool);
	return result;
}

static double row_product(const struct fixture *f, size_t token, size_t slot, size_t row)
{
	double sum = 0;

	for (size_t i = 0; i < WIDTH; i++)
		sum += (double)f16_to_f32(f->pointers[slot][row * WIDTH + i]) *
		       f->x[token * WIDTH + i];
	return sum;
}

/* What a slot's column is multiplied by for one token, in double. */
static double activation(const struct fixture *f, size_t token, size_t slot)
{
	double sum = row_product(f, token, slot, 0), up;

	if (f->form == FFN_PLAIN)
		sum += f->bias[slot];
	if (sum <= f->threshold)
		return 0;
	if (f->form == FFN_PLAIN)
		return sum;
	up = row_product(f, token, slot, 1);
	return f->form == FFN_GATED_BOTH && up < 0 ? 0 : sum * up;
}

static void assert_definition(const struct fixture *f, const uint64_t *wanted, bool measure,
			      const struct result *result)
{
	size_t words = bits_words(SLOTS), column = (f->form == FFN_PLAIN ? 1 : 2) * WIDTH;

	for (size_t t = 0; t < TOKENS; t++) {
		double *expected = calloc(WIDTH, sizeof(*expected));

		for (size_t s = 0; s < SLOTS; s++) {
			bool takes_part = !wanted || bits_test(wanted + t * words, s);
			double a = activation(f, t, s);

			if (a == 0 || fabs(a) > 1e-4)
				assert_int_equal(bits_test(result->fired + t * words, s),
						 a != 0 && (takes_part || measure));
			if (!takes_part)
				continue;
			for (size_t i = 0; i < WIDTH; i++)
				expected[i] += a * f16_to_f32(f->pointers[s][column + i]);
		}
		for (size_t i = 0; i < WIDTH; i++)
			assert_true(fabs(result->out[t * WIDTH + i] - expected[i]) < 1e-4);
		free(expected);
	}
}

static const struct {
	enum ffn_form form;
	float threshold;
} forms[] = {
	{ FFN_PLAIN, 0 }, { FFN_GATED, 0 }, { FFN_GATED, 0.7f }, { FFN_GATED_BOTH, 0 },
};

#define FORMS (sizeof(forms) / sizeof(forms[0]))

static void use_form(struct fixture *f, size_t i)
{
	f->form = forms[i].form;
	f->threshold = forms[i].threshold;
}

static void check_definition(const struct fixture *f)
{
	struct result *dense = compute(f, NULL, false, 1, TOKENS, SLOTS);
	struct result *sparse = compute(f, f->wanted, false, 1, TOKENS, SLOTS);
	struct result *measured = compute(f, f->wanted, true, 1, TOKENS, SLOTS);

	assert_definition(f, NULL, false, dense);
	assert_definition(f, f->wanted, false, sparse);
	assert_definition(f, f->wanted, true, measured);
	/* Measuring looks on; it must not change what is computed. */
	assert_memory_equal(measured->out, sparse->out, sizeof(sparse->out));
	free(dense);
	free(sparse);
	free(measured);
}

static void computes_its_definition(void **state)
{
	static const char *const names[] = { "portable", "avx2", "avx512", "neon" };
	struct fixture *f = *state;

	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		f->kernels = kernels_find(names[k]);
		for (size_t i = 0; i < FORMS && f->kernels; i++) {
			use_form(f, i);
			check_definition(f);
		}
	}
}

static void check_cuts(const struct fixture *f)
{
	static const size_t batches[] = { 1, 2, TOKENS };
	static const uint32_t windows[] = { 1, 64, 257, SLOTS };
	struct result *expected = compute(f, f->wanted, false, 1, TOKENS, SLOTS);

	for (size_t b = 0; b < 3; b++) {
		for (size_t w = 0; w < 4; w++) {
			for (unsigned int threads = 1; threads <= 3; threads++) {
				struct result *result = compute(f, f->wanted, false, threads,
								batches[b], windows[w]);

				assert_memory_equal(result, expected, sizeof(*result));
				free(result);
			}
		}
	}
	free(expected);
}

static void the_same_bits_however_it_is_cut(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < FORMS; i++) {
		use_form(f, i);
		check_cuts(f);
	}
}

/* Whatever is behind a closed gate, and whoever else asked for the slot, 0 is added. */
static void a_closed_gate_lets_nothing_pass(void **state)
{
	struct fixture *f = *state;
	uint64_t all[TOKENS * ((SLOTS + 63) / 64)];

	memset(all, 0, sizeof(all));
	for (size_t t = 0; t < TOKENS; t++)
		for (size_t s = 0; s < SLOTS; s++)
			bits_set(all + t * bits_words(SLOTS), s);
	for (size_t s = 0; s < SLOTS; s += 2) {
		uint16_t *bundle = f->bundles + s * STRIDE;

		memset(bundle, 0, WIDTH * sizeof(*bundle));
		bundle[WIDTH] = HALF_INFINITY;
	}
	for (size_t i = 1; i < FORMS; i++) {
		struct result *result;

		use_form(f, i);
		result = compute(f, all, false, 1, TOKENS, SLOTS);
		for (size_t k = 0; k < TOKENS * WIDTH; k++)
			assert_true(isfinite(result->out[k]));
		for (size_t s = 0; s < SLOTS; s += 2)
			for (size_t t = 0; t < TOKENS; t++)
				assert_false(bits_test(result->fired + t * bits_words(SLOTS), s));
		free(result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_closed_gate_lets_nothing_pass, set_up, tear_down),
		cmocka_unit_test_setup_teardown(computes_its_definition, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_same_bits_however_it_is_cut, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("ffn", tests, NULL, NULL);
}
