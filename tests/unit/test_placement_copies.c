// SPDX-License-Identifier: GPL-2.0-only
/*
 * Placements with copies: the order without them and some of it again, the same whatever the
 * threads; kept by a file of a version of its own, which is refused when it makes no sense.
 */
#include "helpers/activity.h"
#include "helpers/same_placement.h"
#include "helpers/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/bits.h"
#include "model/places.h"
#include "placement/placement.h"
#include "placement/placement_private.h"

#define N_LAYERS 2
#define MODEL_ID UINT64_C(0x0123456789abcdef)

/* Takes the layers. */
static struct trace *make_trace(const char *folder, struct activity *layers)
{
	char *path = path_in(folder, "a.trace");
	struct trace *trace;
	struct error err;

	write_activities(path, MODEL_ID, layers, N_LAYERS, 100);
	assert_ok(trace_open(path, &trace, &err), &err);
	for (uint32_t l = 0; l < N_LAYERS; l++)
		activity_free(&layers[l]);
	free(path);
	return trace;
}

/* Of clusters that have nothing to do with each other: one place is enough. */
static struct trace *make_clustered_trace(const char *folder)
{
	struct activity layers[N_LAYERS] = {
		make_clustered_activity(1, 64, 400, 8, 0.05),
		make_clustered_activity(2, 64, 400, 8, 0.1),
	};

	return make_trace(folder, layers);
}

/* Groups of 10 of 100 neurons, with one of each of three others: in layer 0 half of the groups. */
static struct trace *make_torn_trace(const char *folder)
{
	struct activity layers[N_LAYERS];

	for (uint32_t l = 0; l < N_LAYERS; l++) {
		uint64_t seed = 7 + l;

		layers[l] = make_independent_activity(1, 100, 1000, 0);
		for (uint32_t i = 0; i < 1000; i++) {
			uint64_t *set = layers[l].fired + i * bits_words(100);
			uint32_t group = (uint32_t)((seed = seed * 6364136223846793005u + 1) >> 33) % 10;

			for (uint32_t k = 0; k < 10; k++)
				bits_set(set, group * 10 + k);
			for (uint32_t k = 0; k < 3 && (l || group < 5); k++)
				bits_set(set, (group + 2 * k + 1) % 10 * 10 + k);
		}
	}
	return make_trace(folder, layers);
}

static struct placement *place_torn(const struct trace *trace, uint32_t n_copies,
				    unsigned int n_threads)
{
	const struct placement_options options = {
		.method = ORDER_BEST, .n_copies = n_copies,
		.best = { .io_bundles = 4, .effort = 2, .memory = 1 << 30 },
	};
	struct placement_options with_pool = options;
	struct placement *placement;
	struct error err;

	assert_ok(thread_pool_create(n_threads, &with_pool.pool, &err), &err);
	assert_ok(placement_make(trace, &with_pool, &placement, NULL, &err), &err);
	thread_pool_destroy(with_pool.pool);
	return placement;
}

/* P(next fires | this one fires), by the seen tokens. */
static void assert_strengths(const struct trace *trace, const struct placement *placement,
			     uint32_t l)
{
	const struct placement_layer *layer = &placement->layers[l];
	struct coactivation counts;
	struct error err;

	assert_ok(coactivation_count_trace(trace, l, ACTIVITY_SEEN, NULL, &counts, &err), &err);
	for (uint32_t i = 0; i < placement->n_positions; i++) {
		uint32_t neuron = layer->slot_to_neuron[layer->slot_at[i]], next = neuron;
		float expected = 0;

		if (i + 1 < placement->n_positions)
			next = layer->slot_to_neuron[layer->slot_at[i + 1]];
		if (next != neuron && counts.frequency[neuron])
			expected = (float)coactivation_pair(&counts, neuron, next) /
				   (float)counts.frequency[neuron];
		assert_true(layer->strength[i] == expected);
	}
	coactivation_free(&counts);
}

/* The order without copies, and some of it again; the same by any number of threads. */
static void copies_are_placed(void **state)
{
	char *folder = make_folder(), *path = path_in(folder, "a.placement");
	struct trace *trace = make_torn_trace(folder);
	struct placement *without = place_torn(trace, 0, 1), *with = place_torn(trace, 20, 1);
	struct placement *again = place_torn(trace, 20, 3), *loaded;
	uint32_t primary[100], *neurons = placement_neurons(with);
	struct error err;

	(void)state;
	assert_int_equal(without->n_positions, 0);
	assert_null(without->layers[0].slot_at);
	assert_true(with->n_positions > 104 && with->n_positions <= 120);
	assert_same_placement(with, again);
	for (uint32_t l = 0; l < N_LAYERS; l++) {
		const struct placement_layer *layer = &with->layers[l];

		assert_memory_equal(layer->slot_to_neuron, without->layers[l].slot_to_neuron,
				    100 * sizeof(uint32_t));
		assert_memory_equal(layer->frequency, without->layers[l].frequency,
				    100 * sizeof(float));
		assert_ok(places_find_primary(layer->slot_at, with->n_positions, 100, primary, &err),
			  &err);
		assert_strengths(trace, with, l);
		for (uint32_t i = 0; i < with->n_positions; i++)
			assert_int_equal(neurons[l * with->n_positions + i],
					 layer->slot_to_neuron[layer->slot_at[i]]);
	}
	assert_ok(placement_save(with, path, &err), &err);
	assert_ok(placement_load(path, &loaded, &err), &err);
	assert_same_placement(with, loaded);
	free(neurons);
	placement_free(without);
	placement_free(with);
	placement_free(again);
	placement_free(loaded);
	trace_close(trace);
	free(path);
	remove_folder(folder);
}

/* Where nothing is gained none are placed, and the file is one without. */
static void no_copies_where_none_gain(void **state)
{
	char *folder = make_folder(), *paths[2] = { path_in(folder, "a"), path_in(folder, "b") };
	struct trace *trace = make_clustered_trace(folder);
	struct placement *placement;
	struct error err;
	char *bytes[2];
	size_t length[2];

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		placement = place_torn(trace, i * 20, 1);
		assert_int_equal(placement->n_positions, 0);
		assert_ok(placement_save(placement, paths[i], &err), &err);
		placement_free(placement);
		bytes[i] = file_contents(paths[i], &length[i]);
	}
	assert_int_equal(length[0], length[1]);
	assert_memory_equal(bytes[0], bytes[1], length[0]);
	for (int i = 0; i < 2; i++) {
		free(bytes[i]);
		free(paths[i]);
	}
	trace_close(trace);
	remove_folder(folder);
}

static void copies_that_cannot_be_placed(void **state)
{
	char *folder = make_folder();
	struct trace *trace = make_clustered_trace(folder);
	const struct placement_options options[] = {
		{ .method = ORDER_LINKED, .n_copies = 1 },
		{ .method = ORDER_BEST, .n_copies = 65, .best = best_of_16_bundles },
	};
	struct placement *placement;
	struct error err;

	(void)state;
	assert_int_equal(placement_make(trace, &options[0], &placement, NULL, &err), -EINVAL);
	assert_says(&err, "no 1 copies of 64 neurons by method linked");
	assert_int_equal(placement_make(trace, &options[1], &placement, NULL, &err), -EINVAL);
	assert_says(&err, "no 65 copies of 64 neurons");
	trace_close(trace);
	remove_folder(folder);
}

/* A placement file as bytes, to be changed. */
struct image {
	char *folder, *path;
	uint8_t *bytes;
	size_t length;
	struct placement *placement; /* what is in it */
};

/* With 5 copies of 20: 40 + 8 bytes of header, then layers of 20 * 8 + 25 * 8. */
static void image_init(struct image *image)
{
	struct error err;

	image->folder = make_folder();
	image->path = path_in(image->folder, "a.placement");
	assert_ok(placement_create(&(struct placement){
			.method = ORDER_BEST, .n_layers = N_LAYERS, .n_neurons = 20,
			.n_positions = 25, .model_id = MODEL_ID, .n_tokens = 100,
		}, &image->placement, &err), &err);
	for (uint32_t l = 0; l < N_LAYERS; l++)
		for (uint32_t i = 0; i < 25; i++) {
			if (i < 20)
				image->placement->layers[l].slot_to_neuron[i] = 19 - i;
			/* 0 to 9, 3, 10 to 19, 0 to 3 */
			image->placement->layers[l].slot_at[i] = i < 10 ? i : i == 10 ? 3 :
								 i < 21 ? i - 1 : i - 21;
		}
	assert_ok(placement_save(image->placement, image->path, &err), &err);
	image->bytes = (uint8_t *)file_contents(image->path, &image->length);
	assert_int_equal(image->length, 48 + N_LAYERS * (20 * 8 + 25 * 8) + 8);
}

static void image_free(struct image *image)
{
	placement_free(image->placement);
	free(image->bytes);
	free(image->path);
	remove_folder(image->folder);
}

static void assert_refused(const struct image *image, const char *part)
{
	struct placement *placement;
	struct error err = { 0 };

	assert_refused_with(placement_load(image->path, &placement, &err), &err, image->path, part);
}

static void write_image(const struct image *image, size_t offset, uint32_t value)
{
	uint8_t *bytes = malloc(image->length);
	uint64_t checksum;

	assert_non_null(bytes);
	memcpy(bytes, image->bytes, image->length);
	memcpy(bytes + offset, &value, sizeof(value));
	checksum = XXH3_64bits(bytes, image->length - sizeof(checksum));
	memcpy(bytes + image->length - sizeof(checksum), &checksum, sizeof(checksum));
	write_file(image->path, bytes, image->length);
	free(bytes);
}

static void made_up_copies_are_refused(void **state)
{
	const size_t places = 48 + 20 * 4 + 25 * 4 + 20 * 4;
	const struct {
		size_t offset;
		uint32_t value;
		const char *part;
	} changes[] = {
		{ 8, 1, "bytes, but 2 layers" },
		{ 40, 20, "no placement has 20 positions for 20 neurons" },
		{ 40, 41, "no placement has 41 positions for 20 neurons" },
		{ 40, 26, "bytes, but 2 layers" },
		{ 44, 1, "no placement has" },
		{ places, 20, "layer 0: position 0 is said to have slot 20 of 20" },
		{ places, UINT32_MAX, "layer 0: position 0" },
		{ places + 20 * 4, 5, "layer 0: slot 19 has no place" },
		{ places + 360 + 20 * 4, 5, "layer 1: slot 19 has no place" },
		{ 48 + 20 * 4 + 24 * 4, 0x3f800001, "layer 0 has a share outside" },
	};
	struct placement *loaded;
	struct image image;
	struct error err;

	(void)state;
	image_init(&image);
	assert_ok(placement_load(image.path, &loaded, &err), &err);
	assert_same_placement(image.placement, loaded);
	placement_free(loaded);
	for (size_t c = 0; c < sizeof(changes) / sizeof(changes[0]); c++) {
		write_image(&image, changes[c].offset, changes[c].value);
		assert_refused(&image, changes[c].part);
	}
	write_image(&image, 8, 2);
	for (size_t length = image.length; length-- > 0;) {
		assert_int_equal(truncate(image.path, (off_t)length), 0);
		assert_refused(&image, "bytes");
	}
	image_free(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_are_placed),
		cmocka_unit_test(copies_that_cannot_be_placed),
		cmocka_unit_test(made_up_copies_are_refused),
		cmocka_unit_test(no_copies_where_none_gain),
	};

	return cmocka_run_group_tests_name("placement with copies", tests, NULL, NULL);
}
