// SPDX-License-Identifier: GPL-2.0-only
/*
 * The method of bench io that has copies to choose from: the same bundles, by fewer reads than
 * without; from a file that has room for them only.
 */
#include "helpers/test.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/random.h"
#include "bench/io_bench.h"
#include "bench/io_method.h"
#include "helpers/activity.h"
#include "helpers/disk.h"
#include "helpers/tiny_model.h"
#include "model/places.h"

#define MODEL_ID 9
#define LAYERS 2
#define NEURONS 200
#define GROUP 10
#define COPIES 50 /* that the file has room for */
#define POSITIONS (NEURONS + COPIES)
#define D_MODEL 256
#define STRIDE (4 * D_MODEL)
#define CHUNK 200
#define TOKENS CHUNK /* unseen ones */

struct fixture {
	char *folder, *model, *trace;
	struct activity layers[LAYERS];
};

/* Groups that fire as a whole, with a neuron of each of three others. */
static struct activity make_torn_activity(uint64_t seed)
{
	struct activity activity = make_independent_activity(1, NEURONS, 4 * CHUNK, 0);
	struct random_state random;

	random_seed(&random, seed);
	for (uint64_t t = 0; t < activity.n_tokens; t++)
		for (uint32_t group = 0; group < NEURONS / GROUP; group++) {
			uint64_t *set = activity.fired + t * bits_words(NEURONS);

			if (random_unit(&random) > 0.1)
				continue;
			for (uint32_t i = 0; i < GROUP; i++)
				bits_set(set, group * GROUP + i);
			for (uint32_t k = 0; k < 3; k++)
				bits_set(set, (group + 3 * k + 1) % (NEURONS / GROUP) * GROUP + k);
		}
	return activity;
}

/* Of whatever weights: what is read is not looked at. */
static void write_model(const char *path, uint32_t n_positions)
{
	static const uint16_t weights[LAYERS * NEURONS * D_MODEL];
	static const float biases[LAYERS * NEURONS];
	uint32_t neuron[NEURONS], slot_at[POSITIONS];
	const struct tiny_model model = {
		.config = { .n_layers = LAYERS, .d_model = D_MODEL, .d_embed = D_MODEL,
			    .n_ffn = NEURONS, .n_positions = n_positions, .n_heads = 1,
			    .n_vocab = 16, .n_context = 8, .norm_epsilon = 1e-5f,
			    .final_norm = true, .tied = true },
		.model_id = MODEL_ID,
		.neuron = neuron, .up = weights, .up_bias = biases, .down = weights,
		.slot_at = n_positions ? slot_at : NULL,
	};

	for (uint32_t i = 0; i < NEURONS; i++)
		neuron[i] = i;
	for (uint32_t i = 0; i < POSITIONS; i++)
		slot_at[i] = i < NEURONS ? i : NEURONS - 1;
	tiny_model_write(&model, path);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->folder = make_folder();
	f->model = path_in(f->folder, "model.gguf");
	f->trace = path_in(f->folder, "trace");
	write_model(f->model, POSITIONS);
	for (uint32_t layer = 0; layer < LAYERS; layer++)
		f->layers[layer] = make_torn_activity(layer + 1);
	write_activities(f->trace, MODEL_ID, f->layers, LAYERS, CHUNK);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	for (uint32_t layer = 0; layer < LAYERS; layer++)
		activity_free(&f->layers[layer]);
	free(f->model);
	free(f->trace);
	remove_folder(f->folder);
	free(f);
	return 0;
}

static struct io_bench_options bench_options(const struct fixture *f, double copies)
{
	return (struct io_bench_options){
		.model = f->model, .trace = f->trace, .tokens = TOKENS, .mmap_tokens = 1,
		.copies = copies, .repeats = 1, .queue_depth = 16, .seed = 1,
		/* An I/O costs 4 bundles. */
		.cost = { .a_us = 4, .b_us_per_mib = 1048576 / STRIDE },
		.groups = { "/dev/null", "/dev/null" },
	};
}

static const struct io_sample *sample_of(const struct io_results *results, const char *name)
{
	for (size_t i = 0; i < results->n; i++)
		if (!strcmp(results->results[i].name, name))
			return &results->results[i].samples[0];
	return NULL;
}

static void copies_save_reads(void **state)
{
	const struct fixture *f = *state;
	const struct io_bench_options options = bench_options(f, 0.25);
	const struct io_inputs_options reading = io_bench_inputs(&options);
	const struct io_sample *without, *with;
	uint32_t primary[NEURONS];
	struct io_results results;
	struct io_inputs inputs;
	struct error err;

	need_disk(f->folder);
	assert_ok(io_inputs_read(&reading, &inputs, &err), &err);
	assert_int_equal(inputs.n_copies, COPIES);
	for (uint32_t layer = 0; layer < LAYERS; layer++)
		assert_ok(places_find_primary(inputs.slot_at + layer * POSITIONS, POSITIONS, NEURONS,
					      primary, &err), &err);
	assert_ok(io_bench(&options, &inputs, &results, NULL, &err), &err);
	assert_int_equal(results.n_copies, COPIES);
	without = sample_of(&results, "full");
	with = sample_of(&results, "full+copies");
	assert_non_null(without);
	assert_non_null(with);
	assert_true(with->reads < 0.95 * without->reads);
	assert_true(with->predicted_ms < 0.95 * without->predicted_ms);
	assert_true(with->run_length > without->run_length);
	io_results_free(&results);
	io_inputs_free(&inputs);
}

/* As many as it says it has, and no more. */
static void a_file_has_to_have_room(void **state)
{
	const struct fixture *f = *state;
	const struct io_bench_options asked = bench_options(f, 0.26);
	struct io_inputs_options options = io_bench_inputs(&asked);
	struct io_inputs inputs;
	struct error err;

	assert_refused_with(io_inputs_read(&options, &inputs, &err), &err, f->model,
			    "room for 50 copies of bundles, not for 52");
	write_model(f->model, 0);
	options.copies = 0.01;
	assert_refused_with(io_inputs_read(&options, &inputs, &err), &err, f->model,
			    "room for 0 copies of bundles, not for 2");
	options.copies = 0;
	assert_ok(io_inputs_read(&options, &inputs, &err), &err);
	assert_null(inputs.slot_at);
	io_inputs_free(&inputs);
}

/* Of a file that has no room for any. */
static void copies_that_nobody_measures_are_not_placed(void **state)
{
	const struct fixture *f = *state;
	const char *const without[] = { "full", "linked" }, *const with[] = { "full+copies" };
	struct io_bench_options options = bench_options(f, 0.25);
	struct io_inputs_options reading;
	struct io_inputs inputs;
	struct error err;

	write_model(f->model, 0);
	options.methods = without;
	options.n_methods = 2;
	reading = io_bench_inputs(&options);
	assert_ok(io_inputs_read(&reading, &inputs, &err), &err);
	assert_int_equal(inputs.n_copies, 0);
	assert_null(inputs.slot_at);
	io_inputs_free(&inputs);
	options.methods = with;
	options.n_methods = 1;
	reading = io_bench_inputs(&options);
	assert_refused_with(io_inputs_read(&reading, &inputs, &err), &err, f->model,
			    "room for 0 copies");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_has_to_have_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(copies_save_reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(copies_that_nobody_measures_are_not_placed, set_up,
						tear_down),
	};

	return cmocka_run_group_tests_name("io copies", tests, NULL, NULL);
}
