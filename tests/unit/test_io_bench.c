// SPDX-License-Identifier: GPL-2.0-only
/* The methods of bench io that map nothing, against plain models of them; and the whole. */
#include "helpers/io_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "bench/io_bench.h"
#include "helpers/activity.h"
#include "helpers/disk.h"
#include "helpers/test.h"
#include "helpers/watcher.h"
#include "placement/order.h"
#include "storage/plan.h"

#define WORDS ((IO_MODEL_SLOTS + 63) / 64)
#define REPEATS 2

static int set_up(void **state)
{
	struct io_model *model = malloc(sizeof(*model));

	assert_non_null(model);
	io_model_make(model);
	*state = model;
	return 0;
}

static int tear_down(void **state)
{
	struct io_model *model = *state;

	assert_int_equal(count_entries(model->folder), 2); /* model and trace */
	io_model_free(model);
	free(model);
	return 0;
}

#define model_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* In as much DRAM as the setting says. */
static bool is_engine(const struct io_method *method)
{
	return method->replay == io_engine_replay && method->dram == IO_DRAM_RATIO;
}

/* The seen tokens of a layer: the chunks around the unseen one. */
static struct activity seen_part(const struct activity *all)
{
	struct activity seen = { .n_neurons = IO_MODEL_SLOTS, .n_tokens = IO_MODEL_SEEN };

	seen.fired = calloc(IO_MODEL_SEEN * WORDS, sizeof(*seen.fired));
	assert_non_null(seen.fired);
	memcpy(seen.fired, all->fired, IO_MODEL_CHUNK * WORDS * sizeof(*seen.fired));
	memcpy(seen.fired + IO_MODEL_CHUNK * WORDS, all->fired + 2 * IO_MODEL_CHUNK * WORDS,
	       IO_MODEL_CHUNK * WORDS * sizeof(*seen.fired));
	return seen;
}

static void check_layout(const struct io_model *model, uint32_t layer, enum order_method order,
			 const struct coactivation *counts, const struct activity *seen,
			 const struct io_layout_inputs *layout)
{
	uint32_t neuron[IO_MODEL_SLOTS];

	make_order(order, counts, seen, 0, neuron);
	for (uint32_t slot = 0; slot < IO_MODEL_SLOTS; slot++) {
		for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++)
			assert_int_equal(bits_test(token_slots_of(&layout->wanted, token, layer),
						   slot),
					 fired_for(&model->layers[layer], io_model_traced(token),
						   neuron[slot]));
		assert_true(layout->frequency[layer * IO_MODEL_SLOTS + slot] ==
			    (float)counts->frequency[neuron[slot]] / IO_MODEL_SEEN);
	}
}

/* Placed on the seen tokens alone; replayed, the others. */
static void tokens_through_each_layout(void **state)
{
	static const enum order_method orders[IO_LAYOUTS] = {
		[IO_IDENTITY] = ORDER_IDENTITY,
		[IO_FREQUENCY] = ORDER_FREQUENCY,
		[IO_LINKED] = ORDER_LINKED,
		[IO_BEST] = ORDER_BEST,
	};
	const struct io_model *model = *state;
	struct error err;

	assert_int_equal(model->inputs.n_tokens, IO_MODEL_TOKENS);
	assert_int_equal(model->inputs.placed_tokens, IO_MODEL_SEEN);
	assert_int_equal(io_inputs_bundle_bytes(&model->inputs),
			 IO_MODEL_LAYERS * IO_MODEL_SLOTS * IO_MODEL_STRIDE);
	for (uint32_t layer = 0; layer < IO_MODEL_LAYERS; layer++) {
		struct activity seen = seen_part(&model->layers[layer]);
		struct coactivation counts;

		assert_ok(coactivation_count(&seen, NULL, &counts, &err), &err);
		for (int i = 0; i < IO_LAYOUTS; i++)
			check_layout(model, layer, orders[i], &counts, &seen,
				     &model->inputs.layouts[i]);
		coactivation_free(&counts);
		activity_free(&seen);
	}
}

/* Without a cache each layer is read as planned from what it wants. */
static void check_token_against_plan(const struct io_model *model, const struct io_method *method,
				     uint32_t token)
{
	const struct io_token *result = &model->tokens[token];
	const struct plan_limits limits = {
		.cost = DEVICE_COST_UFS4,
		.gap_bytes = method->collapse ? device_break_even_bytes(DEVICE_COST_UFS4) : 0,
		.stride = IO_MODEL_STRIDE,
		.max_read_bytes = 1 << 20,
	};
	uint64_t reads = 0, bytes = 0, runs = 0;
	struct plan plan = { 0 };
	double predicted_us = 0;
	struct error err;

	for (uint32_t layer = 0; layer < IO_MODEL_LAYERS; layer++) {
		assert_ok(plan_make(io_wanted(method, &model->inputs, token, layer),
				    IO_MODEL_SLOTS, &limits, &plan, &err), &err);
		reads += plan.n_reads;
		bytes += plan.bytes;
		runs += plan.n_runs;
		predicted_us += plan.predicted_us;
	}
	plan_free(&plan);
	assert_int_equal(result->reads, reads);
	assert_int_equal(result->bytes, bytes);
	assert_int_equal(result->runs, runs);
	assert_int_equal(result->cached, 0);
	assert_int_equal(result->run_bundles, result->wanted);
	assert_true(result->predicted_ms > predicted_us / 1e3 - 1e-6);
	assert_true(result->predicted_ms < predicted_us / 1e3 + 1e-6);
	assert_true(result->bookkeeping_ms > 0 && result->bookkeeping_ms < result->io_ms);
}

static void engine_reads_what_is_planned(void **state)
{
	struct io_model *model = *state;
	const struct io_setting setting = io_model_setting(model, 0);
	int engines = 0;

	for (size_t i = 0; i < n_io_methods; i++) {
		if (!is_engine(&io_methods[i]))
			continue;
		io_model_replay(model, &io_methods[i], &setting);
		for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++)
			check_token_against_plan(model, &io_methods[i], token);
		engines++;
	}
	assert_int_equal(engines, 9);
}

/* How many different bundles the tokens want. */
static uint32_t count_different(const struct io_model *model, const struct io_method *method)
{
	uint32_t different = 0;

	for (uint32_t layer = 0; layer < IO_MODEL_LAYERS; layer++) {
		uint64_t any[WORDS] = { 0 };

		for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++)
			for (size_t i = 0; i < WORDS; i++)
				any[i] |= io_wanted(method, &model->inputs, token, layer)[i];
		different += (uint32_t)bits_count(any, WORDS);
	}
	return different;
}

/* With room for all, each bundle is read once; with room for some, some are found. */
static void engine_keeps_what_there_is_room_for(void **state)
{
	struct io_model *model = *state;
	struct io_setting all = io_model_setting(model, 1), some = io_model_setting(model, 0.2);

	for (size_t i = 0; i < n_io_methods; i++) {
		uint64_t read = 0, cached = 0;

		if (!is_engine(&io_methods[i]))
			continue;
		io_model_replay(model, &io_methods[i], &all);
		for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++) {
			const struct io_token *result = &model->tokens[token];

			assert_int_equal(result->cached + result->run_bundles, result->wanted);
			read += result->run_bundles;
		}
		assert_int_equal(read, count_different(model, &io_methods[i]));
		io_model_replay(model, &io_methods[i], &some);
		for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++)
			cached += model->tokens[token].cached;
		assert_true(cached > 0);
	}
}

/* What a layer wants and none of the five tokens before did. */
static void plain_window(const struct io_model *model, const struct io_method *method,
			 uint32_t token, uint32_t layer, uint64_t *missing)
{
	memcpy(missing, io_wanted(method, &model->inputs, token, layer), WORDS * sizeof(*missing));
	for (uint32_t back = 1; back <= 5 && back <= token; back++)
		for (size_t i = 0; i < WORDS; i++)
			missing[i] &= ~io_wanted(method, &model->inputs, token - back, layer)[i];
}

static uint32_t count_runs(const uint64_t *set)
{
	uint32_t runs = 0;

	for (uint32_t slot = 0; slot < IO_MODEL_SLOTS; slot++)
		runs += bits_test(set, slot) && (!slot || !bits_test(set, slot - 1));
	return runs;
}

static void window_is_of_five_tokens(void **state)
{
	const struct io_method *method = io_method_find("llm-in-a-flash");
	struct io_model *model = *state;
	struct io_setting setting = io_model_setting(model, 0);
	uint64_t cached = 0;

	setting.queue_depth = 3;
	io_model_replay(model, method, &setting);
	for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++) {
		const struct io_token *result = &model->tokens[token];
		uint64_t missing[WORDS];
		uint32_t runs = 0, bundles = 0;

		for (uint32_t layer = 0; layer < IO_MODEL_LAYERS; layer++) {
			plain_window(model, method, token, layer, missing);
			runs += count_runs(missing);
			bundles += (uint32_t)bits_count(missing, WORDS);
		}
		assert_int_equal(result->reads, runs); /* no collapse */
		assert_int_equal(result->runs, runs);
		assert_int_equal(result->bytes, bundles * IO_MODEL_STRIDE);
		assert_int_equal(result->run_bundles, bundles);
		assert_int_equal(result->cached, result->wanted - bundles);
		cached += result->cached;
	}
	assert_true(cached > 0);
}

/* The five tokens that it keeps, and the one that it is at: at their fullest, per layer. */
static void window_says_what_it_holds(void **state)
{
	const struct io_method *method = io_method_find("llm-in-a-flash");
	struct io_model *model = *state;
	const struct io_setting setting = io_model_setting(model, 0);
	struct io_outcome outcome = { .tokens = model->tokens, .n_tokens = IO_MODEL_TOKENS };
	uint64_t bundles = 0;
	struct error err;

	for (uint32_t layer = 0; layer < IO_MODEL_LAYERS; layer++) {
		size_t most = 0;

		for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++) {
			uint64_t any[WORDS] = { 0 };

			for (uint32_t back = 0; back <= 5 && back <= token; back++)
				for (size_t i = 0; i < WORDS; i++)
					any[i] |= io_wanted(method, &model->inputs, token - back,
							    layer)[i];
			if (bits_count(any, WORDS) > most)
				most = bits_count(any, WORDS);
		}
		bundles += most;
	}
	assert_ok(method->replay(method, &model->inputs, &setting, &outcome, &err), &err);
	assert_int_equal(outcome.cache_bytes, bundles * IO_MODEL_STRIDE);
}

/* With no cache: as many runs of each row as of bundles, and a block more for its two ends. */
static void separate_tensors_are_read_one_by_one(void **state)
{
	const struct io_method *method = io_method_find("separate-tensors");
	struct io_model *model = *state;
	const struct io_setting setting = io_model_setting(model, 0);
	struct io_outcome outcome = { .tokens = model->tokens, .n_tokens = IO_MODEL_TOKENS };
	const uint32_t n_rows = model->inputs.bundle_rows, row = IO_MODEL_STRIDE / n_rows;
	uint64_t all = 0;
	struct error err;

	need_disk(model->folder);
	memset(model->consumed, 0, sizeof(*model->consumed));
	assert_int_equal(n_rows, 2);
	assert_ok(method->replay(method, &model->inputs, &setting, &outcome, &err), &err);
	for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++) {
		const struct io_token *result = &model->tokens[token];
		uint64_t runs = 0, bundles = 0;

		for (uint32_t layer = 0; layer < IO_MODEL_LAYERS; layer++) {
			const uint64_t *wanted = io_wanted(method, &model->inputs, token, layer);

			runs += count_runs(wanted);
			bundles += bits_count(wanted, WORDS);
		}
		assert_int_equal(result->reads, runs * n_rows);
		assert_int_equal(result->wanted, bundles);
		assert_int_equal(result->run_bundles, bundles * n_rows);
		/* Of 512 bytes at least, a page at most, around rows at 32 bytes off. */
		assert_true(result->bytes >= bundles * IO_MODEL_STRIDE + result->reads * 512);
		assert_true(result->bytes <= bundles * IO_MODEL_STRIDE + result->reads * 2 * 4096);
		all += bundles;
	}
	assert_int_equal(model->consumed->rows, all * n_rows);
	assert_int_equal(model->consumed->row_bytes, all * n_rows * row);
	assert_int_equal(outcome.cache_bytes, 0);
}

/* The engine may keep as much as the window does, whatever the cache ratio says. */
static void as_much_dram_as_the_window(void **state)
{
	const struct io_method *full = io_method_find("full-window-dram");
	const struct io_method *window = io_method_find("llm-in-a-flash");
	struct io_model *model = *state;
	const struct io_setting setting = io_model_setting(model, 0);
	struct io_outcome outcome = { .tokens = model->tokens, .n_tokens = IO_MODEL_TOKENS };
	uint64_t window_bytes, counted, cached = 0;
	struct error err;

	assert_ok(window->replay(window, &model->inputs, &setting, &outcome, &err), &err);
	window_bytes = outcome.cache_bytes;
	assert_true(window_bytes > 0);
	assert_ok(io_window_bytes(&model->inputs, &counted, &err), &err);
	assert_int_equal(counted, window_bytes);
	outcome.cache_bytes = 0;
	assert_ok(full->replay(full, &model->inputs, &setting, &outcome, &err), &err);
	assert_int_equal(outcome.cache_bytes, window_bytes);
	for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++)
		cached += model->tokens[token].cached;
	assert_true(cached > 0);
}

static struct io_bench_options options_of(const struct io_model *model)
{
	return (struct io_bench_options){
		.model = model->model,
		.trace = model->trace,
		.tokens = IO_MODEL_TOKENS,
		.mmap_tokens = IO_MODEL_TOKENS,
		.repeats = REPEATS,
		.cache_ratio = 0.2,
		.cost = DEVICE_COST_UFS4,
		.queue_depth = 16,
		.seed = 1,
		/* No groups: methods that map the file are tested by test_io_mmap. */
		.groups = { "/dev/null", "/dev/null" },
	};
}

static void check_result(const struct io_result *result)
{
	for (uint32_t repeat = 0; repeat < REPEATS; repeat++) {
		const struct io_sample *sample = &result->samples[repeat];
		const double *io_ms = &result->io_ms[repeat * IO_MODEL_TOKENS];
		double sum = 0, most = 0;

		for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++) {
			sum += io_ms[token];
			most = io_ms[token] > most ? io_ms[token] : most;
		}
		assert_true(sample->mean_ms * IO_MODEL_TOKENS > sum * 0.999999);
		assert_true(sample->mean_ms * IO_MODEL_TOKENS < sum * 1.000001);
		assert_true(sample->p99_ms == most); /* of 20 */
		assert_true(sample->median_ms > 0 && sample->median_ms <= most);
		/* A row of two at least. */
		assert_true(sample->reads > 0 &&
			    sample->bytes >= sample->reads * IO_MODEL_STRIDE / 2);
		assert_true(sample->run_length >= 1);
		assert_true(sample->cache_hit_share > 0 && sample->cache_hit_share < 1);
		assert_true(sample->bookkeeping_share > 0 && sample->bookkeeping_share < 1);
		assert_true(sample->predicted_ms > 0);
		/* The same in each repeat: only the clock differs. */
		assert_true(sample->reads == result->samples[0].reads);
		assert_true(sample->cache_hit_share == result->samples[0].cache_hit_share);
	}
}

static void all_methods_take_turns(void **state)
{
	const struct io_model *model = *state;
	const struct io_bench_options options = options_of(model);
	struct watcher watcher = make_watcher();
	struct io_results results;
	struct error err;
	size_t n_open;

	need_disk(model->folder);
	n_open = count_entries("/proc/self/fd");
	assert_ok(io_bench(&options, &model->inputs, &results, &watcher.progress, &err), &err);
	assert_int_equal(count_entries("/proc/self/fd"), n_open);
	assert_int_equal(watcher.calls, n_io_methods * REPEATS);
	assert_true(watcher.done == watcher.total);
	assert_int_equal(results.tokens, IO_MODEL_TOKENS);
	assert_int_equal(results.stride, IO_MODEL_STRIDE);
	assert_true(results.source[0]);
	/* All but those that map, and the last one: no copies were asked for. */
	assert_int_equal(results.n, n_io_methods - 4);
	for (size_t i = 0; i < results.n; i++) {
		assert_string_equal(results.results[i].name, io_methods[3 + i].name);
		check_result(&results.results[i]);
	}
	io_results_free(&results);
}

static void assert_same_layout(const struct io_layout_inputs *a, const struct io_layout_inputs *b)
{
	assert_memory_equal(a->wanted.sets, b->wanted.sets,
			    (size_t)IO_MODEL_TOKENS * IO_MODEL_LAYERS * WORDS * sizeof(uint64_t));
	assert_memory_equal(a->frequency, b->frequency,
			    IO_MODEL_LAYERS * IO_MODEL_SLOTS * sizeof(float));
}

/* Its layout and the identity, as they are among all. */
static void read_for_one_method(const struct io_model *model,
				const struct io_bench_options *options, struct io_inputs *inputs)
{
	const struct io_inputs_options all = io_model_options(model->model, model->trace);
	const int used = (int)io_method_find(options->methods[0])->layout;
	struct io_inputs_options reading = io_bench_inputs(options);
	struct error err;

	/* The layouts that they are compared with were made by these. */
	reading.cost = all.cost;
	reading.cache_ratio = all.cache_ratio;
	reading.effort = all.effort;
	assert_ok(io_inputs_read(&reading, inputs, &err), &err);
	for (int i = 0; i < IO_LAYOUTS; i++)
		if (i == IO_IDENTITY || i == used)
			assert_same_layout(&inputs->layouts[i], &model->inputs.layouts[i]);
		else
			assert_null(inputs->layouts[i].wanted.sets);
}

/* A method reads what it does among all others. */
static void a_method_by_itself(void **state)
{
	const struct io_model *model = *state;
	struct io_bench_options options = options_of(model);
	struct io_results all, alone;
	struct io_inputs inputs;
	struct error err;

	need_disk(model->folder);
	assert_ok(io_bench(&options, &model->inputs, &all, NULL, &err), &err);
	options.n_methods = 1;
	for (size_t i = 0; i < all.n; i++) {
		const struct io_sample *expected = &all.results[i].samples[0], *sample;

		options.methods = &all.results[i].name;
		read_for_one_method(model, &options, &inputs);
		assert_ok(io_bench(&options, &inputs, &alone, NULL, &err), &err);
		assert_int_equal(alone.n, 1);
		assert_true(alone.wanted_bytes_per_token == all.wanted_bytes_per_token);
		sample = &alone.results[0].samples[0];
		assert_true(sample->reads == expected->reads);
		assert_true(sample->bytes == expected->bytes);
		assert_true(sample->cache_hit_share == expected->cache_hit_share);
		io_results_free(&alone);
		io_inputs_free(&inputs);
	}
	io_results_free(&all);
}

/* Each of the three once, whatever the number of repeats. */
static void what_maps_is_missing_without_groups(void **state)
{
	const struct io_model *model = *state;
	const char *const methods[] = { "mmap-random", "mmap", "full" };
	struct io_bench_options options = options_of(model);
	struct io_results results;
	struct error err;

	need_disk(model->folder);
	options.methods = methods;
	options.n_methods = 3;
	assert_ok(io_bench(&options, &model->inputs, &results, NULL, &err), &err);
	assert_int_equal(results.n, 1);
	assert_string_equal(results.results[0].name, "full");
	assert_int_equal(results.n_missing, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_memory_equal(results.missing[i].name, "mmap", 4);
		assert_non_null(strstr(results.missing[i].why, "no memory cgroups are mounted"));
	}
	io_results_free(&results);
	options.n_methods = 2;
	assert_refused_with(io_bench(&options, &model->inputs, &results, NULL, &err), &err,
			    "nothing to measure", "no memory cgroups are mounted");
}

static void trace_of_another_model(void **state)
{
	const struct io_model *model = *state;
	char *other = path_in(model->folder, "other");
	struct io_inputs_options options = io_model_options(model->model, other);
	struct io_inputs inputs;
	struct error err;

	write_activities(other, 1, model->layers, IO_MODEL_LAYERS, IO_MODEL_CHUNK);
	assert_refused_with(io_inputs_read(&options, &inputs, &err), &err,
			    other, "another model");
	free(other);
	other = path_in(model->folder, "trace"); /* now of one chunk: nothing is unseen */
	options.trace = other;
	write_activities(other, 9, model->layers, IO_MODEL_LAYERS, 100);
	assert_refused_with(io_inputs_read(&options, &inputs, &err), &err,
			    other, "too short");
	free(other);
	other = path_in(model->folder, "other");
	remove(other);
	free(other);
}

/* Half of each bundle, side by side at the begin of the layer: half of the bytes. */
static void smaller_bundles(void **state)
{
	struct io_model *model = *state;
	const struct io_method *method = io_method_find("linked");
	const struct io_setting setting = io_model_setting(model, 0);
	struct io_outcome outcome = { .tokens = model->tokens, .n_tokens = IO_MODEL_TOKENS };
	struct error err;

	assert_refused_with(io_inputs_shrink(&model->inputs, 2 * IO_MODEL_STRIDE, &err), &err,
			    model->model, "8192");
	assert_refused_with(io_inputs_shrink(&model->inputs, IO_MODEL_STRIDE / 2 + 2, &err), &err,
			    model->model, "multiples of 4");
	assert_true(io_inputs_shrink(&model->inputs, 0, &err) < 0);
	assert_ok(io_inputs_shrink(&model->inputs, IO_MODEL_STRIDE / 2, &err), &err);
	assert_int_equal(io_inputs_bundle_bytes(&model->inputs),
			 IO_MODEL_LAYERS * IO_MODEL_SLOTS * IO_MODEL_STRIDE / 2);
	memset(model->consumed, 0, sizeof(*model->consumed));
	assert_ok(method->replay(method, &model->inputs, &setting, &outcome, &err), &err);
	assert_int_equal(model->consumed->row_bytes,
			 model->consumed->rows * (IO_MODEL_STRIDE / 2));
	for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++)
		assert_true(model->tokens[token].bytes >=
			    model->tokens[token].wanted * IO_MODEL_STRIDE / 2);
}

static void bad_options(void **state)
{
	const struct io_model *model = *state;
	const struct io_bench_options good = options_of(model);
	const char *const unknown[] = { "full", "telepathy" };
	const char *const copies[] = { "full+copies" };
	struct io_bench_options bad[] = { good, good, good, good, good, good, good, good, good,
					  good, good };
	struct error err;

	assert_ok(io_bench_check(&good, &err), &err);
	bad[0].repeats = 0;
	bad[1].tokens = 0;
	bad[2].cache_ratio = 1.01;
	bad[3].cost.a_us = 0;
	bad[4].cost.b_us_per_mib = -1;
	bad[5].queue_depth = 0;
	bad[6].methods = unknown;
	bad[6].n_methods = 2;
	bad[7].mmap_tokens = 0;
	bad[8].copies = 1.5;
	bad[9].methods = copies;
	bad[9].n_methods = 1;
	bad[10].effort = 4;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(io_bench_check(&bad[i], &err), -EINVAL);
	io_bench_check(&bad[6], &err);
	assert_says(&err, "no method 'telepathy'");
	io_bench_check(&bad[9], &err);
	assert_says(&err, "'full+copies' needs copies");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		model_test(tokens_through_each_layout),
		model_test(engine_reads_what_is_planned),
		model_test(engine_keeps_what_there_is_room_for),
		model_test(separate_tensors_are_read_one_by_one),
		model_test(as_much_dram_as_the_window),
		model_test(window_is_of_five_tokens),
		model_test(window_says_what_it_holds),
		model_test(all_methods_take_turns),
		model_test(a_method_by_itself),
		model_test(what_maps_is_missing_without_groups),
		model_test(trace_of_another_model),
		model_test(smaller_bundles),
		model_test(bad_options),
	};

	return cmocka_run_group_tests_name("io_bench", tests, NULL, NULL);
}
