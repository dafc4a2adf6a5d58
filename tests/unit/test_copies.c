// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files with copies of bundles: they say what the same file without them says, to the bit; a
 * file without is what it was; and one whose places cannot be is refused.
 */
#define _GNU_SOURCE
#include "helpers/import_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "helpers/arena.h"
#include "helpers/repair.h"
#include "helpers/test.h"
#include "infer/pack.h"
#include "infer/session.h"
#include "infer/train_weights.h"
#include "kernel/link_hints.h"
#include "model/places.h"
#include "placement/placement_private.h"

#define LAYERS 2
#define NEURONS 24
#define COPIES 7
#define POSITIONS (NEURONS + COPIES)
#define STRIDE 64 /* two rows of 16 halves */
#define VOCABULARY (OPT_TOKENS + 2)

static const uint32_t ids[] = { 2, 70, 80, 90, 65, 100, 71 };
#define TOKENS (sizeof(ids) / sizeof(ids[0]))

struct fixture {
	struct import_folder *folder;
	char *imported, *plain, *copies; /* files */
	struct placement *without, *with; /* the same order */
	struct predictor *predictor; /* wants some neurons always, some by what it sees */
};

/* Orders at random, copies at random in between. */
static struct placement *make_placement(uint64_t model_id, uint32_t n_positions)
{
	const struct placement shape = {
		.method = ORDER_BEST, .n_layers = LAYERS, .n_neurons = NEURONS,
		.n_positions = n_positions, .model_id = model_id, .n_tokens = 5,
	};
	struct placement *placement;
	struct random_state random;
	struct error err;

	random_seed(&random, 6);
	assert_ok(placement_create(&shape, &placement, &err), &err);
	for (uint32_t l = 0; l < LAYERS; l++) {
		struct placement_layer *layer = &placement->layers[l];
		uint32_t left = NEURONS, slot = 0;

		random_permutation(&random, layer->slot_to_neuron, NEURONS);
		for (uint32_t i = 0; i < NEURONS; i++)
			layer->frequency[i] = 0.9f - (float)i / 100;
		for (uint32_t i = 0; i < POSITIONS; i++) {
			bool copy = random_below(&random, POSITIONS - i) >= left;
			uint32_t other = (uint32_t)random_below(&random, NEURONS);

			left -= !copy;
			if (!n_positions)
				continue;
			layer->slot_at[i] = copy ? other : slot++;
			layer->strength[i] = (float)i / 100;
		}
	}
	return placement;
}

static void make_predictor(struct fixture *f, uint64_t model_id)
{
	struct random_state random;
	struct error err;

	random_seed(&random, 8);
	assert_ok(predictor_create(LAYERS, 16, NEURONS, 4, model_id, &f->predictor, &err), &err);
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		struct predictor_layer *to = &f->predictor->layers[layer];

		for (uint32_t i = 0; i < 4 * 16; i++)
			to->down[i] = 0x2c00 | (uint16_t)random_below(&random, 2) << 15;
		for (uint32_t i = 0; i < NEURONS * 4; i++)
			to->up[i] = 0x3c00 | (uint16_t)random_below(&random, 2) << 15;
		for (uint32_t i = 0; i < NEURONS; i++)
			to->bias[i] = (float)random_unit(&random) - 0.6f;
	}
}

static void pack(const struct fixture *f, const char *from, const struct placement *placement,
		 const char *to)
{
	struct model_file *model;
	struct error err;

	assert_ok(model_file_open(from, &model, &err), &err);
	assert_ok(pack_model(model, placement, f->predictor, to, NULL, &err), &err);
	model_file_close(model);
}

static int set_up(void **state)
{
	const struct opt_shape shape = opt_small();
	struct fixture *f = calloc(1, sizeof(*f));
	struct model_file *file;
	struct error err;

	assert_non_null(f);
	import_folder_make((void **)&f->folder);
	write_source(f->folder, &shape);
	import_source(f->folder);
	f->imported = f->folder->output;
	f->plain = path_in(f->folder->path, "plain");
	f->copies = path_in(f->folder->path, "copies");
	assert_ok(model_file_open(f->imported, &file, &err), &err);
	f->without = make_placement(file->origin.model_id, 0);
	f->with = make_placement(file->origin.model_id, POSITIONS);
	make_predictor(f, file->origin.model_id);
	model_file_close(file);
	pack(f, f->imported, f->without, f->plain);
	pack(f, f->imported, f->with, f->copies);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	void *folder = f->folder;

	placement_free(f->without);
	placement_free(f->with);
	predictor_free(f->predictor);
	free(f->plain);
	free(f->copies);
	free(f);
	return import_folder_remove(&folder);
}

static void assert_same_files(const char *a, const char *b)
{
	size_t length[2];
	char *bytes[2] = { file_contents(a, &length[0]), file_contents(b, &length[1]) };

	assert_int_equal(length[0], length[1]);
	assert_memory_equal(bytes[0], bytes[1], length[0]);
	free(bytes[0]);
	free(bytes[1]);
}

struct way {
	const char *source;
	double cache_ratio;
	enum session_mode mode;
	uint32_t batch;
	uint64_t staging;
};

static void logits_of(const char *path, const struct way *way, float *logits)
{
	const struct session_options options = {
		.mode = way->mode, .threads = 1, .max_batch = way->batch,
		.store = { .source = way->source, .cache_ratio = way->cache_ratio,
			   .staging_bytes = way->staging, .gap_bytes = 2 * STRIDE,
			   .cost = DEVICE_COST_UFS4 },
	};
	struct session *session;
	struct model *model;
	struct error err;

	assert_ok(model_load(path, &model, &err), &err);
	assert_ok(session_open(model, &options, &session, &err), &err);
	for (uint32_t done = 0; done < TOKENS; done += way->batch) {
		uint32_t n = TOKENS - done < way->batch ? TOKENS - done : way->batch;

		assert_ok(session_forward(session, ids + done, n, &err), &err);
		session_logits(session, 0, n, logits + done * VOCABULARY);
	}
	session_close(session);
	model_unload(model);
}

static void logits_are_the_same_bits(void **state)
{
	static const char *const sources[] = { "pread", "mmap", "uring" };
	static float plain[TOKENS * VOCABULARY], copies[TOKENS * VOCABULARY];
	const struct fixture *f = *state;
	int n_sources = have_uring(f->plain) ? 3 : 2;

	for (int i = 0; i < n_sources * 12; i++) {
		const struct way way = {
			.source = sources[i / 12],
			.cache_ratio = i % 3 / 4.0,
			.mode = i / 3 % 2 ? SESSION_SPARSE : SESSION_DENSE,
			.batch = i / 6 % 2 ? 1 : 5,
			.staging = i % 3 == 2 ? 2 * (STRIDE + 4 * 4096) : 0,
		};

		logits_of(f->plain, &way, plain);
		logits_of(f->copies, &way, copies);
		assert_memory_equal(plain, copies, sizeof(plain));
	}
}

/* From and to files with copies, whatever there was before. */
static void packing_again_gives_the_same_bytes(void **state)
{
	const struct fixture *f = *state;
	char *again = path_in(f->folder->path, "again");

	pack(f, f->copies, f->without, again);
	assert_same_files(again, f->plain);
	pack(f, f->copies, f->with, again);
	assert_same_files(again, f->copies);
	pack(f, f->plain, f->with, again);
	assert_same_files(again, f->copies);
	free(again);
}

/* Whatever copies there are, trained weights are by neuron. */
static void training_reads_the_same_weights(void **state)
{
	const struct fixture *f = *state;
	struct model_file *files[2];
	struct train_weights weights[2];
	struct error err;

	assert_ok(model_file_open(f->imported, &files[0], &err), &err);
	assert_ok(model_file_open(f->copies, &files[1], &err), &err);
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		for (int i = 0; i < 2; i++)
			assert_ok(train_weights_read(files[i], layer, &weights[i], &err), &err);
		assert_memory_equal(weights[0].rows, weights[1].rows, NEURONS * STRIDE / 2);
		assert_memory_equal(weights[0].column_norm, weights[1].column_norm,
				    NEURONS * sizeof(float));
		train_weights_free(&weights[0]);
		train_weights_free(&weights[1]);
	}
	model_file_close(files[0]);
	model_file_close(files[1]);
}

static int verify(const char *path, struct error *err)
{
	struct model_file *file;
	int ret = model_file_open(path, &file, err);

	if (ret < 0)
		return ret;
	ret = model_file_verify(file, NULL, err);
	model_file_close(file);
	return ret;
}

/* Where a tensor is. */
static uint64_t offset_of(const char *path, enum model_tensor_id id, uint32_t layer)
{
	struct model_file *file;
	struct error err;
	uint64_t offset;

	assert_ok(model_file_open(path, &file, &err), &err);
	offset = gguf_tensor_at(file->gguf, model_file_find(file, id, layer))->offset;
	model_file_close(file);
	return offset;
}

static uint32_t find_copy(const struct fixture *f, uint32_t layer)
{
	uint32_t primary[NEURONS];
	const uint32_t *slot_at = f->with->layers[layer].slot_at;
	struct error err;

	assert_ok(places_find_primary(slot_at, POSITIONS, NEURONS, primary, &err), &err);
	for (uint32_t i = 0; i < POSITIONS; i++)
		if (primary[slot_at[i]] != i)
			return i;
	fail();
	return 0;
}

static void copies_that_differ_are_found(void **state)
{
	const struct fixture *f = *state;
	uint32_t copy = find_copy(f, 1);
	struct error err;
	char says[64];

	assert_ok(verify(f->plain, &err), &err);
	assert_ok(verify(f->copies, &err), &err);
	change_and_repair(f->copies, offset_of(f->copies, MODEL_BUNDLES, 1) + copy * STRIDE + 63,
			  "!", 1);
	assert_int_equal(verify(f->copies, &err), -EBADMSG);
	snprintf(says, sizeof(says), "layer 1: the bundle at position %u is no copy of that", copy);
	assert_says(&err, f->copies);
	assert_says(&err, says);
}

static void assert_places_refused(const struct fixture *f, uint32_t position, uint32_t slot,
				  const char *says)
{
	struct model *model;
	struct error err;

	pack(f, f->imported, f->with, f->copies);
	change_and_repair(f->copies, offset_of(f->copies, MODEL_PLACES, 1) + position * 4, &slot, 4);
	assert_refused_with(model_load(f->copies, &model, &err), &err, f->copies, says);
	assert_refused_with(verify(f->copies, &err), &err, f->copies, says);
}

static void places_that_cannot_be_are_refused(void **state)
{
	const struct fixture *f = *state;
	uint32_t primary[NEURONS];
	struct error err;

	assert_ok(places_find_primary(f->with->layers[1].slot_at, POSITIONS, NEURONS, primary, &err),
		  &err);
	assert_places_refused(f, 3, NEURONS, "layer 1: position 3 is said to have slot 24 of 24");
	assert_places_refused(f, 0, UINT32_MAX, "layer 1: position 0 is said");
	assert_places_refused(f, primary[NEURONS - 1], 0, "layer 1: slot 23 has no place");
}

/* The value of a key that is a u32. */
static uint64_t offset_of_key(const char *path, const char *key)
{
	size_t length;
	char *bytes = file_contents(path, &length);
	char *at = memmem(bytes, length, key, strlen(key));
	uint64_t offset;

	assert_non_null(at);
	offset = (uint64_t)(at - bytes) + strlen(key) + 4;
	free(bytes);
	return offset;
}

static void numbers_of_positions_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *key;
		uint32_t value;
		const char *says;
	} changes[] = {
		{ "colink.positions", NEURONS, "key colink.positions: 24 is not from 25 to 48" },
		{ "colink.positions", 2 * NEURONS + 1, "is not from 25 to 48" },
		{ "colink.positions", POSITIONS + 1, "has not the shape" },
		{ "colink.version", 1, "asks for" },
		{ "colink.version", 3, "in colink version 3, only 'opt' and 'llama' in versions 1 "
		  "and 2" },
	};
	const struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct model_file *file;
		struct error err;

		pack(f, f->imported, f->with, f->copies);
		change_and_repair(f->copies, offset_of_key(f->copies, changes[i].key),
				  &changes[i].value, 4);
		assert_refused_with(model_file_open(f->copies, &file, &err), &err, f->copies,
				    changes[i].says);
	}
	/* Version 2 is one with copies. */
	change_and_repair(f->plain, offset_of_key(f->plain, "colink.version"), "\2", 1);
	{
		struct model_file *file;
		struct error err;

		assert_refused_with(model_file_open(f->plain, &file, &err), &err, f->plain,
				    "colink.positions");
	}
}

/* A prefetcher knows positions; a bundle is hot in one of its places. */
static void hints_are_by_position(void **state)
{
	const struct fixture *f = *state;
	struct colink_layer *geometry;
	struct link_hints hints;
	struct model_file *file;
	struct error err;

	assert_ok(model_file_open(f->copies, &file, &err), &err);
	assert_ok(link_hints_read(file, 2 * STRIDE, &hints, &err), &err);
	geometry = link_hints_geometry(&hints);
	assert_non_null(geometry);
	assert_int_equal(hints.n_hints, LAYERS * POSITIONS);
	for (uint32_t l = 0; l < LAYERS; l++) {
		const struct placement_layer *layer = &f->with->layers[l];
		uint32_t primary[NEURONS];

		assert_ok(places_find_primary(layer->slot_at, POSITIONS, NEURONS, primary, &err), &err);
		assert_int_equal(geometry[l].slots, POSITIONS);
		assert_int_equal(geometry[l].stride, STRIDE);
		assert_int_equal(hints.layers[l].first_hint, l * POSITIONS);
		for (uint32_t i = 0; i < POSITIONS; i++) {
			const struct link_hint *hint = &hints.hints[l * POSITIONS + i];
			float frequency = layer->frequency[layer->slot_at[i]];

			if (primary[layer->slot_at[i]] != i)
				frequency = 0;
			assert_int_equal(hint->frequency, (uint32_t)(frequency * LINK_ONE + 0.5f));
			assert_int_equal(hint->strength,
					 (uint32_t)(layer->strength[i] * LINK_ONE + 0.5f));
		}
	}
	free(geometry);
	link_hints_free(&hints);
	model_file_close(file);
}

#define copies_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		copies_test(copies_that_differ_are_found),
		copies_test(hints_are_by_position),
		copies_test(logits_are_the_same_bits),
		copies_test(numbers_of_positions_that_cannot_be_are_refused),
		copies_test(packing_again_gives_the_same_bytes),
		copies_test(places_that_cannot_be_are_refused),
		copies_test(training_reads_the_same_weights),
	};

	return cmocka_run_group_tests_name("copies", tests, NULL, NULL);
}
