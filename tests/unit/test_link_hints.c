// SPDX-License-Identifier: GPL-2.0-only
/* Hints as the maps of link_prefetch want them; hot runs against a plain search. */
#include "helpers/folder_test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "helpers/tiny_model.h"
#include "kernel/link_hints.h"

#define LAYERS 3
#define SLOTS 8
#define D_MODEL 4
#define STRIDE (2 * D_MODEL * 2)
#define SHARE(percent) ((uint32_t)(LINK_ONE * (percent) / 100))

static void set_frequencies(struct link_hint *hints, const unsigned int *percent, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		hints[i] = (struct link_hint){ .frequency = SHARE(percent[i]) };
}

static void assert_runs(const unsigned int *percent, uint32_t n, uint64_t max_gap,
			const struct link_run *expected, int64_t n_expected)
{
	struct link_hint hints[32];
	struct link_run runs[16];

	set_frequencies(hints, percent, n);
	assert_int_equal(link_hot_runs(hints, n, SHARE(50), max_gap, runs), n_expected);
	for (int64_t i = 0; i < n_expected; i++) {
		assert_int_equal(runs[i].first, expected[i].first);
		assert_int_equal(runs[i].slots, expected[i].slots);
	}
}

/* Three of 60 % are more than one of 90 %, and two more than that. */
static void most_expected_first(void **state)
{
	const unsigned int percent[] = { 90, 0, 60, 60, 60, 10, 51, 52 };
	const struct link_run expected[] = { { 2, 3 }, { 6, 2 }, { 0, 1 } };

	(void)state;
	assert_runs(percent, 8, 0, expected, 3);
}

static void equal_ones_by_place(void **state)
{
	const unsigned int percent[] = { 70, 0, 70, 0, 70 };
	const struct link_run expected[] = { { 0, 1 }, { 2, 1 }, { 4, 1 } };

	(void)state;
	assert_runs(percent, 5, 0, expected, 3);
}

/* What is in the gap counts as well: 60 + 40 + 40 + 60 is more than 3 * 61. */
static void gaps_read_over(void **state)
{
	const unsigned int percent[] = { 61, 61, 61, 0, 0, 0, 60, 40, 40, 60, 0, 0, 0, 51 };
	const struct link_run joined[] = { { 6, 4 }, { 0, 3 }, { 13, 1 } };
	const struct link_run apart[] = { { 0, 3 }, { 6, 1 }, { 9, 1 }, { 13, 1 } };
	const struct link_run all[] = { { 0, 14 } };

	(void)state;
	assert_runs(percent, 14, 2, joined, 3);
	assert_runs(percent, 14, 1, apart, 4);
	assert_runs(percent, 14, 3, all, 1);
}

/* A frequency at the bound is not over it. */
static void at_the_bound(void **state)
{
	const unsigned int percent[] = { 50, 50, 50 };

	(void)state;
	assert_runs(percent, 3, 9, NULL, 0);
}

/* As many runs as there can be, and a run of all. */
static void extremes(void **state)
{
	const unsigned int alternating[] = { 99, 0, 99, 0, 99, 0, 99 };
	const unsigned int all[] = { 99, 99, 99, 99 };
	const struct link_run each[] = { { 0, 1 }, { 2, 1 }, { 4, 1 }, { 6, 1 } };
	const struct link_run whole[] = { { 0, 4 } };

	(void)state;
	assert_runs(alternating, 7, 0, each, 4);
	assert_runs(all, 4, 0, whole, 1);
}

/* What a run is expected to bring, by adding up. */
static uint64_t expected_of(const struct link_hint *hints, struct link_run run)
{
	uint64_t sum = 0;

	for (uint32_t slot = run.first; slot < run.first + run.slots; slot++)
		sum += hints[slot].frequency;
	return sum;
}

/* Every hot slot is in one run, no run begins, ends or could be cut with a cold one. */
static void assert_sound(const struct link_hint *hints, uint32_t n, uint64_t max_gap,
			 const struct link_run *runs, int64_t n_runs)
{
	uint32_t covered[64] = { 0 };

	for (int64_t i = 0; i < n_runs; i++) {
		uint32_t end = runs[i].first + runs[i].slots, cold = 0;

		assert_true(hints[runs[i].first].frequency > SHARE(50));
		assert_true(hints[end - 1].frequency > SHARE(50));
		if (i)
			assert_true(expected_of(hints, runs[i - 1]) >=
				    expected_of(hints, runs[i]));
		for (uint32_t slot = runs[i].first; slot < end; slot++) {
			covered[slot]++;
			cold = hints[slot].frequency > SHARE(50) ? 0 : cold + 1;
			assert_true(cold <= max_gap);
		}
	}
	for (uint32_t slot = 0; slot < n; slot++)
		assert_true(covered[slot] == 1 ||
			    (!covered[slot] && hints[slot].frequency <= SHARE(50)));
	/* Longest: what is between two runs is more than the gap allowed. */
	for (int64_t i = 0; i < n_runs; i++)
		for (int64_t j = 0; j < n_runs; j++)
			if (runs[j].first > runs[i].first)
				assert_true(runs[j].first - runs[i].first - runs[i].slots >
					    max_gap);
}

static void random_layers(void **state)
{
	struct random_state random;

	(void)state;
	random_seed(&random, 5);
	for (int round = 0; round < 3000; round++) {
		uint32_t n = 1 + (uint32_t)random_below(&random, 64);
		uint64_t max_gap = random_below(&random, 5);
		struct link_hint hints[64];
		struct link_run runs[33];
		int64_t n_runs;

		for (uint32_t i = 0; i < n; i++)
			hints[i].frequency = (uint32_t)random_below(&random, LINK_ONE + 1);
		n_runs = link_hot_runs(hints, n, SHARE(50), max_gap, runs);
		assert_in_range(n_runs, 0, (n + 1) / 2);
		assert_sound(hints, n, max_gap, runs, n_runs);
	}
}

static void break_even(void **state)
{
	(void)state;
	assert_int_equal(link_break_even(16384, 16384), LINK_ONE / 2);
	assert_int_equal(link_break_even(1024, 15 * 1024), LINK_ONE / 16);
	/* An I/O costs nothing: never read along. Everything: always. */
	assert_int_equal(link_break_even(1024, 0), LINK_ONE);
	assert_int_equal(link_break_even(1024, INT64_MAX), 0);
}

static void least_chance(void **state)
{
	(void)state;
	assert_int_equal(link_least_chance(3 * 16384, 16384, LINK_ONE / 2), LINK_ONE / 4 * 3);
	assert_int_equal(link_least_chance(16384, 16384, LINK_ONE / 2), LINK_ONE / 2);
	assert_int_equal(link_least_chance(1024, 16384, LINK_ONE / 2), LINK_ONE / 2);
	assert_int_equal(link_least_chance(1024, 0, LINK_ONE / 2), LINK_ONE);
}

/* A model of LAYERS layers with these hints, in all layers but the last, which has none. */
static void write_model(const char *path, const float *link, const float *frequency)
{
	static const uint32_t neuron[SLOTS] = { 3, 1, 2, 0, 7, 6, 5, 4 };
	static const uint16_t weights[LAYERS * SLOTS * D_MODEL];
	static const float biases[LAYERS * SLOTS];
	float links[LAYERS * SLOTS] = { 0 }, frequencies[LAYERS * SLOTS] = { 0 };
	struct tiny_model model = {
		.config = { .n_layers = LAYERS, .d_model = D_MODEL, .d_embed = D_MODEL,
			    .n_ffn = SLOTS, .n_heads = 1, .n_vocab = 16, .n_context = 8,
			    .norm_epsilon = 1e-5f, .final_norm = true, .tied = true },
		.neuron = neuron, .up = weights, .up_bias = biases, .down = weights,
		.link = links, .frequency = frequencies,
	};

	for (uint32_t i = 0; i < (LAYERS - 1) * SLOTS; i++) {
		links[i] = link[i % SLOTS];
		frequencies[i] = frequency[i % SLOTS];
	}
	tiny_model_write(&model, path);
}

static const float links[SLOTS] = { 1, 0.5f, 0, 0.25f, 1e-9f, 1, 1, 0 };
static const float frequencies[SLOTS] = { 1, 0, 0.75f, 0.75f, 0, 0, 0, 0.5f };

static int read_hints(const char *path, uint64_t gap_bytes, struct link_hints *hints,
		      struct error *err)
{
	struct model_file *file;
	int ret;

	assert_ok(model_file_open(path, &file, err), err);
	ret = link_hints_read(file, gap_bytes, hints, err);
	if (ret == 0)
		for (uint32_t i = 0; i < LAYERS; i++)
			assert_int_equal(hints->layers[i].offset, file->bundle_offsets[i]);
	model_file_close(file);
	return ret;
}

static void layers_of_a_file(void **state)
{
	const struct folder *folder = *state;
	struct link_hints hints;
	struct error err;

	write_model(folder->file, links, frequencies);
	assert_ok(read_hints(folder->file, STRIDE, &hints, &err), &err);
	assert_int_equal(hints.n_layers, LAYERS);
	assert_int_equal(hints.n_hints, LAYERS * SLOTS);
	for (uint32_t i = 0; i < LAYERS; i++) {
		assert_int_equal(hints.layers[i].stride, STRIDE);
		assert_int_equal(hints.layers[i].slots, SLOTS);
		assert_int_equal(hints.layers[i].number, i);
		assert_int_equal(hints.layers[i].first_hint, i * SLOTS);
		assert_int_equal(hints.layers[i].next, i == LAYERS - 1 ? 0 : i + 1);
	}
	assert_int_equal(hints.hints[SLOTS].strength, LINK_ONE);
	assert_int_equal(hints.hints[SLOTS + 1].strength, LINK_ONE / 2);
	assert_int_equal(hints.hints[SLOTS + 4].strength, 0);
	assert_int_equal(hints.hints[SLOTS + 7].frequency, LINK_ONE / 2);
	assert_int_equal(hints.hints[2 * SLOTS].strength, 0);
	link_hints_free(&hints);
}

/* A gap of one bundle: hot is what is over a half; the slot at a half is not. */
static void hot_runs_of_a_file(void **state)
{
	const struct folder *folder = *state;
	struct link_hints hints;
	struct error err;

	write_model(folder->file, links, frequencies);
	assert_ok(read_hints(folder->file, STRIDE, &hints, &err), &err);
	assert_int_equal(hints.n_hot_runs, 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(hints.layers[i].first_hot, i);
		assert_int_equal(hints.layers[i].n_hot, 1);
		assert_int_equal(hints.hot_runs[i].first, 0);
		assert_int_equal(hints.hot_runs[i].slots, 4);
	}
	assert_int_equal(hints.layers[2].n_hot, 0);
	link_hints_free(&hints);

	/* Three bundles: the bound stays at a half, below which none is asked for. */
	assert_ok(read_hints(folder->file, 3 * STRIDE, &hints, &err), &err);
	assert_int_equal(hints.hot_runs[0].slots, 4);
	link_hints_free(&hints);

	/* An I/O costs nothing: none is worth it. */
	assert_ok(read_hints(folder->file, 0, &hints, &err), &err);
	assert_int_equal(hints.n_hot_runs, 0);
	link_hints_free(&hints);
}

static void imported_and_not_packed(void **state)
{
	static const float none[SLOTS];
	const struct folder *folder = *state;
	struct link_hints hints;
	struct error err = { 0 };
	int ret;

	write_model(folder->file, none, none);
	ret = read_hints(folder->file, STRIDE, &hints, &err);
	assert_int_equal(ret, -ENODATA);
	assert_refused_with(ret, &err, folder->file, "has no hints");
	link_hints_free(&hints);
}

static void nonsense(void **state)
{
	static const float bad[] = { -0.1f, 1.1f, NAN, INFINITY };
	const struct folder *folder = *state;

	for (size_t i = 0; i < 2 * sizeof(bad) / sizeof(bad[0]); i++) {
		float link[SLOTS] = { 0 }, frequency[SLOTS] = { 0 };
		struct link_hints hints;
		struct error err = { 0 };

		(i % 2 ? link : frequency)[5] = bad[i / 2];
		write_model(folder->file, link, frequency);
		assert_refused_with(read_hints(folder->file, STRIDE, &hints, &err), &err,
				    "layer 0: slot 5", "is not from 0 to 1");
		link_hints_free(&hints);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(most_expected_first),
		cmocka_unit_test(equal_ones_by_place),
		cmocka_unit_test(gaps_read_over),
		cmocka_unit_test(at_the_bound),
		cmocka_unit_test(extremes),
		cmocka_unit_test(random_layers),
		cmocka_unit_test(break_even),
		cmocka_unit_test(least_chance),
		folder_test(layers_of_a_file),
		folder_test(hot_runs_of_a_file),
		folder_test(imported_and_not_packed),
		folder_test(nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
