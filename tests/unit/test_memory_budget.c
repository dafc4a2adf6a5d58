// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is planned is what is taken; what is chosen for a budget fits, and nothing larger
 * would; a budget that cannot be met is refused with what is needed; sizes do not wrap.
 */
#include "helpers/test.h"

#include <errno.h>
#include <stdlib.h>

#include "base/amount.h"
#include "helpers/byte_model.h"
#include "helpers/heap.h"
#include "infer/generate.h"
#include "infer/memory_budget.h"
#include "infer/model_store.h"
#include "infer/perplexity.h"

#define LAYERS 4
#define NEURONS 250
#define BUNDLES (LAYERS * NEURONS)
#define STRIDE 16
#define CONTEXT 512
#define HALF_ONE 0x3c00
#define MIB (UINT64_C(1) << 20)

struct fixture {
	char *folder;
	char *path;
	struct model *model; /* opened, without weights */
};

static int set_up(void **state)
{
	const struct model_config config = {
		.n_layers = LAYERS, .d_model = 4, .d_embed = 4, .n_ffn = NEURONS, .n_heads = 2,
		.n_vocab = BYTE_MODEL_TOKENS, .n_context = CONTEXT, .norm_epsilon = 1e-5f,
		.final_norm = true, .tied = true,
	};
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error err;

	assert_non_null(fixture);
	fixture->folder = make_folder();
	fixture->path = path_in(fixture->folder, "model.gguf");
	byte_model_write(fixture->path, &config, HALF_ONE, 0);
	assert_ok(model_open(fixture->path, &fixture->model, &err), &err);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	model_unload(fixture->model);
	free(fixture->path);
	remove_folder(fixture->folder);
	free(fixture);
	return 0;
}

/* As if the header had said so. */
static void set_config(const struct fixture *fixture, struct model_config config)
{
	fixture->model->config = config;
	fixture->model->file->config = config;
}

#define model_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static const struct session_options usual = {
	.mode = SESSION_DENSE, .threads = 2,
	.store = { .source = "pread", .cache_ratio = 0.5, .cost = DEVICE_COST_UFS4 },
};

static struct memory_parts planned(const struct fixture *fixture,
				   const struct session_options *options, struct memory_base base)
{
	struct session_options copy = *options;
	const struct memory_user user = memory_user_session(fixture->model, &copy);
	struct memory_parts parts;
	struct error err;

	assert_ok(memory_plan(&user, &base, &parts, &err), &err);
	return parts;
}

static uint64_t total(const struct fixture *fixture, const struct session_options *options)
{
	struct memory_parts parts = planned(fixture, options, (struct memory_base){ 0 });

	return memory_parts_sum(&parts);
}

static void a_session_takes_what_is_planned(void **state)
{
	struct fixture *fixture = *state;
	struct session_options options = usual;

	options.threads = 1;
	for (uint32_t batch = 0; batch < 3; batch++) {
		struct session_memory memory;
		struct session *session;
		uint64_t before;
		struct error err;

		options.max_batch = batch;
		options.max_tokens = batch * 200; /* 0: all */
		assert_ok(session_plan_memory(fixture->model, &options, &memory, &err), &err);
		before = heap_bytes();
		if (batch == 0)
			assert_ok(model_load_weights(fixture->model, &err), &err);
		assert_heap_grew(before, batch ? 0 : model_weights_bytes(fixture->model->file));
		before = heap_bytes();
		assert_ok(session_open(fixture->model, &options, &session, &err), &err);
		/* Plans of reads come with the first request. */
		assert_heap_grew(before, memory.keys_values + memory.scratch +
						 memory.store.requests + memory.store.cache +
						 memory.store.tables);
		assert_int_equal(session_memory(session), memory.keys_values + memory.scratch);
		assert_int_equal(session_max_batch(session),
				 session_planned_batch(fixture->model, &options));
		assert_int_equal(session_room(session),
				 session_planned_tokens(fixture->model, &options));
		session_close(session);
	}
}

static void sizes_follow_the_options(void **state)
{
	const struct fixture *fixture = *state;
	struct session_options options = usual;
	struct memory_user user;
	struct memory_parts all = planned(fixture, &options, (struct memory_base){ 0 }), other;

	assert_int_equal(all.keys_values, 2 * LAYERS * CONTEXT * 4 * sizeof(float));
	assert_int_equal(all.weights, model_weights_bytes(fixture->model->file));
	assert_int_equal(all.cache, BUNDLES / 2 * STRIDE);
	/* Of a default batch: scores of each head for each position, and the rest. */
	assert_true(all.scratch > SESSION_DEFAULT_BATCH * 2 * CONTEXT * sizeof(float));
	assert_true(all.kernel >= (memory_parts_sum(&all) - all.kernel) / 512);

	options.max_tokens = 64;
	options.max_batch = 10;
	other = planned(fixture, &options, (struct memory_base){ 0 });
	assert_int_equal(other.keys_values, all.keys_values / 8);
	assert_true(other.scratch < all.scratch / 10);
	assert_int_equal(other.staging, all.staging);

	options = usual;
	options.threads = 10;
	other = planned(fixture, &options, (struct memory_base){ 0 });
	assert_int_equal(other.program, all.program + 8 * (64 << 10));
	options = usual;
	options.store.source = "mmap";
	assert_int_equal(planned(fixture, &options, (struct memory_base){ 0 }).staging, 0);
	options.store.cache_ratio = 2;
	user = memory_user_session(fixture->model, &options);
	assert_int_equal(memory_plan(&user, &(struct memory_base){ 0 }, &other, NULL), -EINVAL);
}

/* An allowance, or what is there and may come, in steps. */
static void the_program_counts_as_it_is(void **state)
{
	const struct fixture *fixture = *state;
	struct memory_base base = { 0 };
	uint64_t allowed = planned(fixture, &usual, base).program, large, header, threads;

	gguf_header(fixture->model->file->gguf, &header);
	threads = 3 * (64 << 10);
	assert_int_equal(allowed, 10 * MIB + 8 * header + threads);
	base.now.resident_bytes = allowed - threads - 2 * MIB;
	assert_int_equal(planned(fixture, &usual, base).program, allowed);
	base.now.resident_bytes++;
	assert_int_equal(planned(fixture, &usual, base).program, 12 * MIB + threads);
	base.now.resident_bytes = 0;
	base.caller_bytes = 12345;
	assert_int_equal(planned(fixture, &usual, base).program, allowed + 12345);
	base.caller_bytes = 0;
	base.now.resident_bytes = 101 * MIB;
	large = planned(fixture, &usual, base).program;
	assert_in_range(large, 104 * MIB, 105 * MIB);
	base.now.resident_bytes = 102 * MIB;
	assert_int_equal(planned(fixture, &usual, base).program, large);
	base.now.resident_bytes = 102 * MIB + 1;
	assert_int_equal(planned(fixture, &usual, base).program, large + 4 * MIB);
	assert_true(generate_bytes(1000) >= 1000 * (4 + 8 + 8));
	assert_true(perplexity_bytes(1000, 500) >= 32 * 1000 * 4 + 500 * 4);
}

static int fit(const struct fixture *fixture, uint64_t bytes, bool keep_cache_ratio,
	       struct memory_base base, struct session_options *options, struct error *err)
{
	const struct memory_budget budget = { bytes, keep_cache_ratio };
	const struct memory_user user = memory_user_session(fixture->model, options);
	struct memory_parts parts;
	int ret = memory_fit(&user, &budget, &base, &parts, err);

	if (ret == 0) {
		assert_true(memory_parts_sum(&parts) <= bytes);
		assert_int_equal(memory_parts_sum(&parts), total(fixture, options));
	}
	return ret;
}

/* The budget that a refusal asks for. */
static uint64_t least_of(const struct fixture *fixture, struct session_options options,
			 bool keep_cache_ratio)
{
	struct error err = { 0 };
	const char *at_least;

	assert_int_equal(fit(fixture, 1, keep_cache_ratio, (struct memory_base){ 0 }, &options,
			     &err), -ENOMEM);
	at_least = strstr(err.message, "at least ");
	assert_non_null(at_least);
	return strtoull(at_least + strlen("at least "), NULL, 10);
}

static double one_more(const struct session_options *options)
{
	return (options->store.cache_ratio * BUNDLES + 1.5) / BUNDLES;
}

static void every_budget_is_used(void **state)
{
	const struct fixture *fixture = *state;
	const struct bundle_geometry geometry = model_store_geometry(fixture->model->file);
	uint64_t least = least_of(fixture, usual, false);
	uint32_t batch = 0;
	uint64_t staging = 0;

	for (uint64_t budget = least; budget < least + 3 * MIB; budget += 10007) {
		struct session_options options = usual, more;
		struct memory_base base = { 0 };
		struct error err = { 0 };

		assert_ok(fit(fixture, budget, false, base, &options, &err), &err);
		/* More budget, no smaller batch; nor less staging, while the batch is the same. */
		assert_true(session_planned_batch(fixture->model, &options) >= batch);
		if (batch == session_planned_batch(fixture->model, &options))
			assert_true(planned(fixture, &options, base).staging >= staging);
		batch = session_planned_batch(fixture->model, &options);
		staging = planned(fixture, &options, base).staging;
		more = options;
		more.store.cache_ratio = one_more(&options);
		if (more.store.cache_ratio <= 1)
			assert_true(total(fixture, &more) > budget);
		/* A batch is halved only if all of it does not fit. */
		more = options;
		more.store.cache_ratio = 0;
		more.max_batch = 0;
		more.store.staging_bytes = bundle_store_least_staging(&geometry);
		assert_int_equal(options.max_batch == 0, total(fixture, &more) <= budget);
		more.max_batch = 2 * batch;
		assert_true(options.max_batch == 0 || total(fixture, &more) > budget);
	}
	assert_int_equal(batch, SESSION_DEFAULT_BATCH);
}

/* Of large layers, from the least staging up to more than all of it. */
static void staging_and_cache_share_what_is_left(void **state)
{
	const struct fixture *fixture = *state;
	const struct model_config before = fixture->model->config;
	struct model_config config = before;
	struct session_options least = usual;
	struct bundle_geometry geometry;
	uint64_t whole, smallest, begin;

	config.n_ffn = 200000;
	set_config(fixture, config);
	geometry = model_store_geometry(fixture->model->file);
	whole = 2 * bundle_store_default_staging(&geometry);
	least.store.staging_bytes = bundle_store_least_staging(&geometry);
	smallest = 2 * least.store.staging_bytes;
	least.store.cache_ratio = 0;
	begin = total(fixture, &least);
	for (uint64_t left = 0; left < 3 * (whole - smallest); left += 1000003) {
		struct session_options options = usual, all = usual;
		struct memory_parts parts;
		struct error err;

		assert_ok(fit(fixture, begin + left, false, (struct memory_base){ 0 }, &options,
			      &err), &err);
		assert_int_equal(options.max_batch, 0);
		parts = planned(fixture, &options, (struct memory_base){ 0 });
		if (left / 2 >= whole - smallest + (whole >> 7))
			assert_in_range(parts.staging, whole, whole + 16384);
		else
			assert_in_range(parts.staging + 16384 + (left >> 7), smallest + left / 2,
					whole + 16384 + (left >> 7));
		/* With a cache that was asked for, none, the staging gets all of it. */
		all.store.cache_ratio = 0;
		assert_ok(fit(fixture, begin + left, true, (struct memory_base){ 0 }, &all, &err),
			  &err);
		parts = planned(fixture, &all, (struct memory_base){ 0 });
		if (left < whole - smallest)
			assert_in_range(parts.staging, smallest + left - 16384 - (left >> 7),
					smallest + left);
		else
			assert_in_range(parts.staging, whole - (whole >> 7), whole + 16384);
	}
	set_config(fixture, before);
}

static void with_enough_all_is_cached(void **state)
{
	const struct fixture *fixture = *state;
	struct session_options options = usual;
	struct error err;

	assert_ok(fit(fixture, INT64_MAX, false, (struct memory_base){ 0 }, &options, &err), &err);
	assert_true(options.store.cache_ratio == 1);
	assert_int_equal(options.max_batch, 0);
	assert_int_equal(planned(fixture, &options, (struct memory_base){ 0 }).staging,
			 planned(fixture, &usual, (struct memory_base){ 0 }).staging);
}

static void what_cannot_be_met_is_refused(void **state)
{
	const struct fixture *fixture = *state;
	uint64_t least = least_of(fixture, usual, false);
	struct session_options options = usual;
	struct error err = { 0 };

	assert_refused_with(fit(fixture, least - 1, false, (struct memory_base){ 0 }, &options,
				&err), &err, fixture->path, "weights");
	assert_says(&err, "keys and values of 512 tokens");
	assert_says(&err, "staging");
	assert_null(strstr(err.message, "cache"));
	options = usual;
	assert_ok(fit(fixture, least, false, (struct memory_base){ 0 }, &options, &err), &err);
	assert_int_equal(options.max_batch, 1);
	assert_int_equal(options.store.cache_ratio * 100, 0);
}

/* A batch and a cache that were asked for are not made smaller. */
static void wishes_are_kept_or_refused(void **state)
{
	const struct fixture *fixture = *state;
	uint64_t least = least_of(fixture, usual, false), with_cache, with_batch;
	struct session_options options = usual;
	struct error err = { 0 };

	with_cache = least_of(fixture, usual, true);
	assert_in_range(with_cache, least + BUNDLES / 2 * STRIDE,
			least + BUNDLES / 2 * (STRIDE + 20) + LAYERS * NEURONS * 4);
	assert_ok(fit(fixture, with_cache, true, (struct memory_base){ 0 }, &options, &err), &err);
	assert_true(options.store.cache_ratio == 0.5);
	assert_int_equal(options.max_batch, 1);
	options = usual;
	assert_refused_with(fit(fixture, with_cache - 1, true, (struct memory_base){ 0 }, &options,
				&err), &err, "for the cache asked for", "at least");

	options = usual;
	options.max_batch = 100;
	with_batch = least_of(fixture, options, false);
	assert_true(with_batch > least + 99 * 2 * CONTEXT * sizeof(float));
	assert_ok(fit(fixture, with_batch, false, (struct memory_base){ 0 }, &options, &err), &err);
	assert_int_equal(options.max_batch, 100);
	assert_int_equal(fit(fixture, with_batch - 1, false, (struct memory_base){ 0 }, &options,
			     &err), -ENOMEM);
}

/* The most that the process has had does not go away. */
static void what_was_there_before_counts(void **state)
{
	const struct fixture *fixture = *state;
	const struct memory_base base = { .now.peak_bytes = 100 * MIB };
	struct session_options options = usual;
	struct error err = { 0 };

	assert_refused_with(fit(fixture, 100 * MIB - 1, false, base, &options, &err), &err,
			    "at least 104857600 (100.0 MiB)", "needed");
	options = usual;
	assert_ok(fit(fixture, 100 * MIB, false, base, &options, &err), &err);
	assert_true(options.store.cache_ratio == 1);
}

/* A header may say what no memory has; nothing may wrap to a small number. */
static void absurd_sizes_do_not_wrap(void **state)
{
	const struct fixture *fixture = *state;
	const struct model_config before = fixture->model->config;
	struct model_config config = before;
	struct session_options options = usual;
	struct session *session;
	struct error err = { 0 };

	config.n_context = config.n_heads = config.d_model = 1u << 24;
	set_config(fixture, config);
	options.max_batch = UINT32_MAX;
	options.store.source = "mmap";
	assert_true(total(fixture, &options) == AMOUNT_MOST);
	assert_int_equal(fit(fixture, INT64_MAX, false, (struct memory_base){ 0 }, &options, &err),
			 -ENOMEM);
	assert_int_equal(session_open(fixture->model, &options, &session, &err), -ENOMEM);
	set_config(fixture, before);

	assert_true(memory_parts_sum(&(struct memory_parts){
			    .weights = AMOUNT_MOST - 1, .kernel = 2 }) == AMOUNT_MOST);
	assert_true(memory_parts_sum(&(struct memory_parts){
			    .cache = AMOUNT_MOST, .tables = AMOUNT_MOST }) == AMOUNT_MOST);
	assert_int_equal(memory_parts_sum(&(struct memory_parts){ 1, 2, 4, 8, 16, 32, 64, 128 }),
			 255);
}

/* Of layers of 64 MiB, which the usual staging would hold: 16 MiB, and the rest is the cache's. */
static void staging_has_enough_some_day(void **state)
{
	const struct fixture *fixture = *state;
	const struct model_config before = fixture->model->config;
	struct model_config config = before;
	struct session_options options = usual;
	struct error err = { 0 };

	config.n_ffn = (64u << 20) / model_bundle_stride(&config);
	set_config(fixture, config);
	options.max_batch = 1;
	options.store.source = "pread";
	assert_ok(fit(fixture, UINT64_C(900) << 20, false, (struct memory_base){ 0 }, &options,
		      &err), &err);
	assert_int_equal(options.store.staging_bytes, 16 << 20);
	assert_true(options.store.cache_ratio > 0);
	set_config(fixture, before);
}

/* Of all that a session takes, what is the store's, and nothing of a model. */
static void a_store_by_itself_takes_its_part(void **state)
{
	const struct fixture *fixture = *state;
	struct session_options options = usual;
	struct memory_parts all = planned(fixture, &options, (struct memory_base){ 0 }), parts;
	const struct memory_user user = { .file = fixture->model->file, .store = &options.store };
	const struct memory_base base = { 0 };
	struct memory_budget budget = { 1, false };
	struct error err = { 0 };

	assert_ok(memory_plan(&user, &base, &parts, &err), &err);
	assert_int_equal(parts.weights, 0);
	assert_int_equal(parts.keys_values, 0);
	assert_true(parts.scratch > 0 && parts.scratch < all.scratch);
	assert_int_equal(parts.staging, all.staging);
	assert_int_equal(parts.cache, all.cache);
	assert_int_equal(parts.tables, all.tables);
	assert_refused_with(memory_fit(&user, &budget, &base, &parts, &err), &err, fixture->path,
			    "for program and scratch");
	assert_null(strstr(err.message, "weights"));
	assert_null(strstr(err.message, "keys and values"));
	budget.bytes = strtoull(strstr(err.message, "at least ") + strlen("at least "), NULL, 10);
	budget.bytes--;
	assert_int_equal(memory_fit(&user, &budget, &base, &parts, &err), -ENOMEM);
	budget.bytes++;
	assert_ok(memory_fit(&user, &budget, &base, &parts, &err), &err);
	assert_int_equal(memory_parts_sum(&parts), budget.bytes);
	assert_int_equal(parts.cache, 0);
	budget.bytes += MIB;
	assert_ok(memory_fit(&user, &budget, &base, &parts, &err), &err);
	assert_int_equal(parts.cache, BUNDLES * STRIDE);
	assert_true(memory_parts_sum(&parts) <= budget.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		model_test(a_session_takes_what_is_planned),
		model_test(a_store_by_itself_takes_its_part),
		model_test(absurd_sizes_do_not_wrap),
		model_test(every_budget_is_used),
		model_test(sizes_follow_the_options),
		model_test(staging_and_cache_share_what_is_left),
		model_test(staging_has_enough_some_day),
		model_test(the_program_counts_as_it_is),
		model_test(what_cannot_be_met_is_refused),
		model_test(what_was_there_before_counts),
		model_test(wishes_are_kept_or_refused),
		model_test(with_enough_all_is_cached),
	};

	return cmocka_run_group_tests_name("memory_budget", tests, NULL, NULL);
}
