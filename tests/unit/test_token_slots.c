// SPDX-License-Identifier: GPL-2.0-only
/* A trace seen through a placement: the slots of what fires, token by token. */
#include "helpers/folder_test.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "bench/token_slots.h"
#include "helpers/activity.h"
#include "helpers/linked_model.h"

static int read_slots(const struct linked_model *linked, const char *trace_path, uint32_t first,
		      uint32_t n_tokens, struct token_slots *slots, struct error *err)
{
	struct model_file *model;
	struct trace *trace;
	int ret;

	assert_ok(model_file_open(linked->model, &model, err), err);
	assert_ok(trace_open(trace_path, &trace, err), err);
	ret = token_slots_read(model, trace, trace_path, first, n_tokens, slots, err);
	trace_close(trace);
	model_file_close(model);
	return ret;
}

static void assert_slots(const struct linked_model *linked, uint32_t first, uint32_t n_asked,
			 uint32_t n_expected)
{
	struct token_slots slots;
	struct error err;

	assert_ok(read_slots(linked, linked->trace, first, n_asked, &slots, &err), &err);
	assert_int_equal(slots.n_tokens, n_expected);
	assert_int_equal(slots.n_layers, LINKED_LAYERS);
	assert_int_equal(slots.n_slots, LINKED_SLOTS);
	for (uint32_t token = 0; token < n_expected; token++)
		for (uint32_t layer = 0; layer < LINKED_LAYERS; layer++)
			for (uint32_t slot = 0; slot < LINKED_SLOTS; slot++)
				assert_int_equal(
					bits_test(token_slots_of(&slots, token, layer), slot),
					linked_model_fires(linked, first + token, layer,
							   slot));
	token_slots_free(&slots);
}

/* Less than a chunk, one, some and a part of the next, all of them, more than there are. */
static void first_tokens_through_the_placement(void **state)
{
	const struct folder *folder = *state;
	struct linked_model linked;

	linked_model_make(&linked, folder->path);
	assert_slots(&linked, 0, 1, 1);
	assert_slots(&linked, 0, 5, 5);
	assert_slots(&linked, 0, 6, 6);
	assert_slots(&linked, 0, 13, 13);
	assert_slots(&linked, 0, LINKED_TOKENS, LINKED_TOKENS);
	assert_slots(&linked, 0, LINKED_TOKENS + 1, LINKED_TOKENS);
	assert_slots(&linked, 0, UINT32_MAX, LINKED_TOKENS);
	linked_model_free(&linked);
}

/* From within a chunk, from the beginning of one, the last, behind it. */
static void later_tokens_through_the_placement(void **state)
{
	const struct folder *folder = *state;
	struct linked_model linked;

	linked_model_make(&linked, folder->path);
	assert_slots(&linked, 1, 1, 1);
	assert_slots(&linked, 5, 9, 9);
	assert_slots(&linked, 6, 6, 6);
	assert_slots(&linked, 13, UINT32_MAX, LINKED_TOKENS - 13);
	assert_slots(&linked, LINKED_TOKENS - 1, 2, 1);
	assert_slots(&linked, LINKED_TOKENS, 1, 0);
	assert_slots(&linked, UINT32_MAX, 1, 0);
	linked_model_free(&linked);
}

static void assert_foreign(const struct linked_model *linked, const char *path, uint64_t model_id,
			   uint32_t n_layers, uint32_t n_neurons)
{
	struct activity layers[LINKED_LAYERS + 1];
	struct token_slots slots;
	struct error err = { 0 };
	int ret;

	for (uint32_t layer = 0; layer < n_layers; layer++)
		layers[layer] = make_independent_activity(1, n_neurons, 4, 0.5);
	write_activities(path, model_id, layers, n_layers, 4);
	for (uint32_t layer = 0; layer < n_layers; layer++)
		activity_free(&layers[layer]);
	ret = read_slots(linked, path, 0, 4, &slots, &err);
	assert_int_equal(ret, -EINVAL);
	assert_refused_with(ret, &err, path, ": the trace of another model than ");
	assert_says(&err, linked->model);
	token_slots_free(&slots); /* does nothing */
}

static void trace_of_another_model(void **state)
{
	const struct folder *folder = *state;
	const char *path = folder->file;
	struct linked_model linked;

	linked_model_make(&linked, folder->path);
	assert_foreign(&linked, path, LINKED_MODEL_ID + 1, LINKED_LAYERS, LINKED_SLOTS);
	assert_foreign(&linked, path, LINKED_MODEL_ID, LINKED_LAYERS + 1, LINKED_SLOTS);
	assert_foreign(&linked, path, LINKED_MODEL_ID, LINKED_LAYERS - 1, LINKED_SLOTS);
	assert_foreign(&linked, path, LINKED_MODEL_ID, LINKED_LAYERS, LINKED_SLOTS - 1);
	assert_foreign(&linked, path, LINKED_MODEL_ID, LINKED_LAYERS, LINKED_SLOTS + 1);
	linked_model_free(&linked);
}

/* In the first block, behind the header of 72 bytes: found when it is read, not before. */
static void damaged_trace(void **state)
{
	const struct folder *folder = *state;
	struct linked_model linked;
	struct token_slots slots;
	struct error err = { 0 };
	size_t length;
	char *bytes;

	linked_model_make(&linked, folder->path);
	bytes = file_contents(linked.trace, &length);
	bytes[80] ^= 1;
	write_file(folder->file, bytes, length);
	free(bytes);
	assert_refused_with(read_slots(&linked, folder->file, 0, 4, &slots, &err), &err, folder->file,
			    "");
	assert_null(slots.sets);
	linked_model_free(&linked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(first_tokens_through_the_placement),
		folder_test(later_tokens_through_the_placement),
		folder_test(trace_of_another_model),
		folder_test(damaged_trace),
	};

	return cmocka_run_group_tests_name("token_slots", tests, NULL, NULL);
}
