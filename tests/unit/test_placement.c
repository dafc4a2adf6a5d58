// SPDX-License-Identifier: GPL-2.0-only
/*
 * Placing a trace: the same whatever the threads, kept by a file that is refused
 * after any change, of use where neurons fire together and of none where they do
 * not.
 */
#include "helpers/activity.h"
#include "helpers/same_placement.h"
#include "helpers/test.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "helpers/watcher.h"
#include "placement/placement.h"
#include "placement/placement_private.h"

#define N_LAYERS 2
#define MODEL_ID UINT64_C(0x0123456789abcdef)

static struct trace *make_trace(const char *folder, const struct activity *layers,
				uint32_t chunk_tokens)
{
	char *path = path_in(folder, "a.trace");
	struct trace *trace;
	struct error err;

	write_activities(path, MODEL_ID, layers, N_LAYERS, chunk_tokens);
	assert_ok(trace_open(path, &trace, &err), &err);
	free(path);
	return trace;
}

/* Of two layers with clusters of 8 neurons. */
static struct trace *make_clustered_trace(const char *folder, uint32_t n_neurons, uint64_t n_tokens)
{
	struct activity layers[N_LAYERS] = {
		make_clustered_activity(1, n_neurons, n_tokens, 8, 0.05),
		make_clustered_activity(2, n_neurons, n_tokens, 8, 0.1),
	};
	struct trace *trace = make_trace(folder, layers, 100);

	activity_free(&layers[0]);
	activity_free(&layers[1]);
	return trace;
}

static void threads_do_not_matter(void **state)
{
	char *folder = make_folder();
	struct trace *trace = make_clustered_trace(folder, 300, 1000);
	struct placement *placements[3];
	struct placement_report *reports[3];
	struct error err;

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct thread_pool *pool = NULL;

		if (i)
			assert_ok(thread_pool_create(i, &pool, &err), &err);
		assert_ok(placement_make(trace, &(struct placement_options){
				.method = ORDER_LINKED, .seed = 5, .gap = 3, .pool = pool,
			}, &placements[i], &reports[i], &err),
			  &err);
		thread_pool_destroy(pool);
	}
	for (int i = 1; i < 3; i++) {
		size_t bytes = N_LAYERS * ORDER_METHODS * sizeof(struct order_quality);

		assert_same_placement(placements[0], placements[i]);
		assert_memory_equal(reports[0]->plain, reports[i]->plain, bytes);
		assert_memory_equal(reports[0]->collapsed, reports[i]->collapsed, bytes);
	}
	for (int i = 0; i < 3; i++) {
		placement_free(placements[i]);
		placement_report_free(reports[i]);
	}
	trace_close(trace);
	remove_folder(folder);
}

/* A placement and its report are what the parts give that it is made of. */
static void assert_is_made_of_its_parts(enum order_method placed)
{
	const struct placement_options options = {
		.method = placed, .seed = 5, .gap = 3, .best = best_of_16_bundles,
	};
	char *folder = make_folder();
	struct trace *trace = make_clustered_trace(folder, 200, 1000);
	struct placement *placement;
	struct placement_report *report;
	struct error err;

	assert_ok(placement_make(trace, &options, &placement, &report, &err), &err);
	assert_int_equal(placement->method, placed);
	assert_int_equal(report->n_methods, placed == ORDER_BEST ? ORDER_METHODS : ORDER_BEST);
	assert_int_equal(placement->model_id, MODEL_ID);
	assert_int_equal(placement->n_tokens, 900);
	assert_int_equal(report->n_tokens, 100);
	assert_int_equal(report->n_seen, 900);
	assert_int_equal(report->gap, 3);
	for (uint32_t l = 0; l < N_LAYERS; l++) {
		struct activity seen, unseen;
		struct coactivation coactivation;
		struct order_quality quality;
		uint32_t order[200];
		float strength[200];

		assert_ok(activity_load(trace, l, ACTIVITY_SEEN, &seen, &err), &err);
		assert_ok(activity_load(trace, l, ACTIVITY_UNSEEN, &unseen, &err), &err);
		assert_ok(coactivation_count(&seen, NULL, &coactivation, &err), &err);
		for (int method = 0; method < report->n_methods; method++) {
			size_t at = l * ORDER_METHODS + (size_t)method;

			make_order(method, &coactivation, &seen, 5 + l, order);
			assert_ok(order_measure(&unseen, order, 0, &quality, &err), &err);
			assert_true(quality.reads_per_token == report->plain[at].reads_per_token);
			assert_ok(order_measure(&unseen, order, 3, &quality, &err), &err);
			assert_true(quality.bundles_per_token ==
				    report->collapsed[at].bundles_per_token);
			assert_memory_equal(placement_report_order(report, method) + l * 200, order,
					    sizeof(order));
		}
		make_order(placed, &coactivation, &seen, 0, order);
		assert_memory_equal(order, placement->layers[l].slot_to_neuron, sizeof(order));
		order_strengths(&coactivation, order, 200, strength);
		assert_memory_equal(strength, placement->layers[l].strength, sizeof(strength));
		for (int slot = 0; slot < 200; slot++)
			assert_true(placement->layers[l].frequency[slot] ==
				    (float)(coactivation.frequency[order[slot]] / 900.0));
		for (int neuron = 0; neuron < 200; neuron++)
			assert_true(report->frequency[l * 200 + (uint32_t)neuron] ==
				    (float)(coactivation.frequency[neuron] / 900.0));
		coactivation_free(&coactivation);
		activity_free(&seen);
		activity_free(&unseen);
	}
	placement_free(placement);
	placement_report_free(report);
	trace_close(trace);
	remove_folder(folder);
}

static void it_is_made_of_its_parts(void **state)
{
	(void)state;
	assert_is_made_of_its_parts(ORDER_FREQUENCY);
	assert_is_made_of_its_parts(ORDER_BEST);
}

/* Reads per token on unseen tokens, of all layers together. */
static double total_reads(const struct placement_report *report, enum order_method method)
{
	double reads = 0;

	for (uint32_t l = 0; l < report->n_layers; l++)
		reads += report->plain[l * ORDER_METHODS + method].reads_per_token;
	return reads;
}

static void clusters_are_found(void **state)
{
	char *folder = make_folder();
	struct trace *trace = make_clustered_trace(folder, 256, 2000);
	struct placement *placement;
	struct placement_report *report;
	struct error err;

	(void)state;
	/* Not a seed that made a layer: its shuffle would be the random order. */
	assert_ok(placement_make(trace, &(struct placement_options){
			.method = ORDER_LINKED, .seed = 99, .gap = 2,
		}, &placement, &report,
				 &err),
		  &err);
	/* A cluster of 8 becomes one read instead of nearly 8. */
	assert_true(total_reads(report, ORDER_LINKED) < 0.16 * total_reads(report, ORDER_IDENTITY));
	assert_true(total_reads(report, ORDER_LINKED) < 0.16 * total_reads(report, ORDER_RANDOM));
	assert_true(total_reads(report, ORDER_LINKED) <= total_reads(report, ORDER_FREQUENCY));
	for (uint32_t l = 0; l < N_LAYERS; l++)
		assert_true(report->plain[l * ORDER_METHODS + ORDER_LINKED].run_length_mean > 7.9);
	placement_free(placement);
	placement_report_free(report);
	trace_close(trace);
	remove_folder(folder);
}

/* The control: where neurons fire independently, there is nothing to gain. */
static void nothing_is_found_in_noise(void **state)
{
	struct activity layers[N_LAYERS] = {
		make_independent_activity(3, 256, 10000, 0.05),
		make_independent_activity(4, 256, 10000, 0.1),
	};
	char *folder = make_folder();
	struct trace *trace = make_trace(folder, layers, 200);
	struct placement *placement;
	struct placement_report *report;
	struct error err;

	(void)state;
	assert_ok(placement_make(trace, &(struct placement_options){
			.method = ORDER_BEST, .seed = 1, .best = best_of_16_bundles, .gap = 2,
		}, &placement, &report, &err), &err);
	assert_int_equal(report->n_methods, ORDER_METHODS);
	for (int method = ORDER_RANDOM; method < ORDER_METHODS; method++)
		assert_true(fabs(total_reads(report, method) / total_reads(report, ORDER_IDENTITY) -
				 1) < 0.02);
	placement_free(placement);
	placement_report_free(report);
	trace_close(trace);
	activity_free(&layers[0]);
	activity_free(&layers[1]);
	remove_folder(folder);
}

/* A trace to measure on, no unseen chunks, no report, progress. */
static void variants(void **state)
{
	char *folder = make_folder(), *other_folder = make_folder();
	struct trace *trace = make_clustered_trace(folder, 64, 100);
	struct trace *unseen = make_clustered_trace(other_folder, 64, 300);
	struct watcher watcher = make_watcher();
	struct placement *placement;
	struct placement_report *report;
	struct error err;

	(void)state;
	assert_int_equal(trace_chunks(trace), 1);
	assert_ok(placement_make(trace, &(struct placement_options){
			.method = ORDER_LINKED, .progress = &watcher.progress,
		}, &placement, &report, &err),
		  &err);
	assert_int_equal(placement->n_tokens, 100);
	assert_int_equal(report->n_tokens, 0);
	assert_true(total_reads(report, ORDER_LINKED) == 0);
	assert_true(watcher.calls > N_LAYERS && watcher.done == watcher.total);
	assert_string_equal(watcher.doing, "layer 0: counting, "
					   "layer 0: searching, layer 0: measuring, "
					   "layer 1: counting, "
					   "layer 1: searching, layer 1: measuring, ");
	placement_report_free(report);
	placement_free(placement);
	assert_ok(placement_make(trace, &(struct placement_options){
			.method = ORDER_RANDOM, .unseen = unseen,
		}, &placement, &report,
				 &err),
		  &err);
	assert_int_equal(placement->n_tokens, 100);
	assert_int_equal(report->n_tokens, 300);
	assert_true(memcmp(placement->layers[0].slot_to_neuron, placement->layers[1].slot_to_neuron,
			   64 * sizeof(uint32_t)));
	placement_report_free(report);
	placement_free(placement);
	assert_ok(placement_make(trace, &(struct placement_options){
			.method = ORDER_IDENTITY,
		}, &placement, NULL,
				 &err),
		  &err);
	placement_free(placement);
	assert_int_equal(placement_make(trace, &(struct placement_options){
			.method = ORDER_METHODS,
		}, &placement,
					&report, &err),
			 -EINVAL);
	trace_close(trace);
	trace_close(unseen);
	remove_folder(folder);
	remove_folder(other_folder);
}

static void another_models_trace_is_refused(void **state)
{
	struct activity layers[] = {
		make_independent_activity(1, 10, 5, 0.5),
		make_independent_activity(2, 10, 5, 0.5),
		make_independent_activity(2, 11, 5, 0.5),
	};
	char *folder = make_folder();
	char *path = path_in(folder, "b.trace");
	struct trace *trace = make_trace(folder, layers, 5);
	const struct {
		uint64_t model_id;
		int first_layer;
		uint32_t n_layers;
		const char *message;
	} others[] = {
		{ MODEL_ID + 1, 0, 2, "is of model 0123456789abcdf0, the trace" },
		{ MODEL_ID, 0, 1, "has 1 layers of 10 neurons" },
		{ MODEL_ID, 2, 1, "has 1 layers of 11 neurons" },
	};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct placement *placement;
		struct trace *other;
		struct error err;

		write_activities(path, others[i].model_id, layers + others[i].first_layer,
				 others[i].n_layers, 5);
		assert_ok(trace_open(path, &other, &err), &err);
		assert_int_equal(placement_make(trace, &(struct placement_options){
				.method = ORDER_LINKED, .unseen = other,
			}, &placement, NULL, &err),
				 -EINVAL);
		assert_says(&err, others[i].message);
		trace_close(other);
	}
	for (int i = 0; i < 3; i++)
		activity_free(&layers[i]);
	trace_close(trace);
	free(path);
	remove_folder(folder);
}

/* A placement file as bytes, to be changed. */
struct image {
	char *folder;
	char *path;
	uint8_t *bytes;
	size_t length;
	struct placement *placement; /* what is in it */
};

static void image_init(struct image *image)
{
	struct trace *trace;
	struct error err;

	image->folder = make_folder();
	image->path = path_in(image->folder, "a.placement");
	trace = make_clustered_trace(image->folder, 20, 150);
	assert_ok(placement_make(trace, &(struct placement_options){
			.method = ORDER_LINKED,
		}, &image->placement,
				 NULL, &err),
		  &err);
	trace_close(trace);
	assert_ok(placement_save(image->placement, image->path, &err), &err);
	image->bytes = (uint8_t *)file_contents(image->path, &image->length);
	assert_int_equal(image->length, 40 + N_LAYERS * 20 * 12 + 8);
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

	assert_int_equal(placement_load(image->path, &placement, &err), -EINVAL);
	assert_ptr_equal(strstr(err.message, image->path), err.message);
	assert_says(&err, part);
}

static void what_is_saved_is_loaded(void **state)
{
	struct image image;
	struct placement *loaded;
	struct error err;

	(void)state;
	image_init(&image);
	assert_ok(placement_load(image.path, &loaded, &err), &err);
	assert_same_placement(image.placement, loaded);
	placement_free(loaded);
	image_free(&image);
}

static void every_change_is_refused(void **state)
{
	struct image image;
	int fd;

	(void)state;
	image_init(&image);
	fd = open(image.path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "", 1), 1);
	close(fd);
	assert_refused(&image, "bytes, but");
	assert_int_equal(truncate(image.path, (off_t)image.length), 0);
	fd = open(image.path, O_WRONLY);
	for (size_t bit = 0; bit < 8 * image.length; bit++) {
		uint8_t flipped = image.bytes[bit / 8] ^ (uint8_t)(1 << bit % 8);

		assert_int_equal(pwrite(fd, &flipped, 1, (off_t)bit / 8), 1);
		assert_refused(&image, "");
		assert_int_equal(pwrite(fd, &image.bytes[bit / 8], 1, (off_t)bit / 8), 1);
	}
	close(fd);
	for (size_t length = image.length; length-- > 0;) {
		assert_int_equal(truncate(image.path, (off_t)length), 0);
		assert_refused(&image, "bytes");
	}
	image_free(&image);
}

/* Checksum right, one 32-bit field wrong. */
static void made_up_files_are_refused(void **state)
{
	static const struct {
		size_t offset;
		uint32_t value;
		const char *part;
	} changes[] = {
		{ 0, 0, "not a placement" },
		{ 8, 3, "version 3" },
		{ 12, ORDER_METHODS, "by method 5" },
		{ 16, 0, "no placement has 0 layers" },
		{ 16, 1, "bytes, but 1 layers" },
		{ 16, UINT32_MAX, "no placement has" },
		{ 20, 0, "no placement has" },
		{ 20, UINT32_MAX, "no placement has" },
		{ 20, 1 << 18, "bytes, but" },
		{ 40, 20, "every neuron one slot" },
		{ 40, UINT32_MAX, "every neuron one slot" },
		{ 40 + 20 * 4, 0x7fc00000, "layer 0 has a share outside" },  /* NaN */
		{ 40 + 20 * 8, 0xbf000000, "layer 0 has a share outside" },  /* -0.5 */
		{ 40 + 20 * 20, 0x3f800001, "layer 1 has a share outside" }, /* above 1 */
	};
	struct image image;
	uint64_t checksum;

	(void)state;
	image_init(&image);
	for (size_t c = 0; c < sizeof(changes) / sizeof(changes[0]); c++) {
		uint8_t *bytes = malloc(image.length);

		memcpy(bytes, image.bytes, image.length);
		memcpy(bytes + changes[c].offset, &changes[c].value, sizeof(uint32_t));
		checksum = XXH3_64bits(bytes, image.length - sizeof(checksum));
		memcpy(bytes + image.length - sizeof(checksum), &checksum, sizeof(checksum));
		write_file(image.path, bytes, image.length);
		assert_refused(&image, changes[c].part);
		free(bytes);
	}
	/* A neuron in two slots. */
	memcpy(image.bytes + 40, image.bytes + 44, 4);
	checksum = XXH3_64bits(image.bytes, image.length - sizeof(checksum));
	memcpy(image.bytes + image.length - sizeof(checksum), &checksum, sizeof(checksum));
	write_file(image.path, image.bytes, image.length);
	assert_refused(&image, "layer 0 does not give every neuron one slot");
	image_free(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_models_trace_is_refused),
		cmocka_unit_test(clusters_are_found),
		cmocka_unit_test(every_change_is_refused),
		cmocka_unit_test(it_is_made_of_its_parts),
		cmocka_unit_test(made_up_files_are_refused),
		cmocka_unit_test(nothing_is_found_in_noise),
		cmocka_unit_test(threads_do_not_matter),
		cmocka_unit_test(variants),
		cmocka_unit_test(what_is_saved_is_loaded),
	};

	return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
