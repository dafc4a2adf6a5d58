// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pictures of placed traces: the matrices hold what pair_map says, the text what the report
 * says, and what cannot be drawn is refused and leaves nothing.
 */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "helpers/picture_reader.h"
#include "placement/pair_map.h"
#include "placement/picture.h"

#define N_LAYERS 2
#define N_NEURONS 256
#define CLUSTER 8

struct fixture {
	char *folder, *path;
	struct trace *trace;
	struct placement *placement;
	struct placement_report *report;
	struct picture_subject subject;
};

static struct trace *make_trace(const char *folder, uint64_t n_tokens)
{
	struct activity layers[N_LAYERS] = {
		make_clustered_activity(1, N_NEURONS, n_tokens, CLUSTER, 0.05),
		make_clustered_activity(2, N_NEURONS, n_tokens, CLUSTER, 0.1),
	};
	char *path = path_in(folder, "trace");
	struct trace *trace;
	struct error err;

	write_activities(path, 77, layers, N_LAYERS, 100);
	assert_ok(trace_open(path, &trace, &err), &err);
	remove(path);
	free(path);
	for (int l = 0; l < N_LAYERS; l++)
		activity_free(&layers[l]);
	return trace;
}

static struct fixture make_fixture(enum order_method method, uint64_t n_tokens)
{
	struct fixture f = { .folder = make_folder() };
	struct error err;

	f.path = path_in(f.folder, "a.svg");
	f.trace = make_trace(f.folder, n_tokens);
	assert_ok(placement_make(f.trace, &(struct placement_options){
				.method = method, .seed = 9, .best = best_of_16_bundles,
			}, &f.placement, &f.report, &err),
		  &err);
	f.subject = (struct picture_subject){ f.placement, f.trace, NULL, "a<b>.trace" };
	return f;
}

static void free_fixture(struct fixture *f)
{
	placement_free(f->placement);
	placement_report_free(f->report);
	trace_close(f->trace);
	free(f->path);
	remove_folder(f->folder);
}

static char *drawn(const struct fixture *f, uint32_t layer, struct thread_pool *pool)
{
	struct error err;
	size_t length;

	assert_ok(picture_write(&f->subject, layer, f->path, pool, &err), &err);
	assert_int_equal(count_entries(f->folder), 1);
	return file_contents(f->path, &length);
}

/* A pixel is white where two never fire together, and the darker the more often they do. */
static void assert_matrix(const char *svg, int nth, const struct activity *activity,
			  const uint32_t *order)
{
	struct pixels pixels = read_embedded(svg, nth);
	uint32_t factor = pixels.width / N_NEURONS;
	int darkest = 0, dark_of_most = 0;
	struct pair_map map;
	struct error err;
	float most = 0;

	assert_int_equal(pixels.width, 512);
	assert_int_equal(pixels.height, 512);
	assert_ok(pair_map_make(activity, order, PICTURE_MAX_CELLS, NULL, &map, &err), &err);
	for (uint32_t y = 0; y < pixels.height; y++)
		for (uint32_t x = 0; x < pixels.width; x++) {
			float share = map.shares[y / factor * N_NEURONS + x / factor];
			int dark = darkness(&pixels, x, y);

			assert_int_equal(dark == 0, share == 0);
			if (dark > darkest)
				darkest = dark;
			if (share > most) {
				most = share;
				dark_of_most = dark;
			}
		}
	assert_int_equal(dark_of_most, darkest);
	pair_map_free(&map);
	free(pixels.rgb);
}

static void matrices_are_of_unseen_tokens(void **state)
{
	struct fixture f = make_fixture(ORDER_LINKED, 2000);
	struct activity unseen;
	uint32_t identity[N_NEURONS];
	struct error err;
	char *svg;

	(void)state;
	for (uint32_t slot = 0; slot < N_NEURONS; slot++)
		identity[slot] = slot;
	for (uint32_t layer = 0; layer < N_LAYERS; layer++) {
		svg = drawn(&f, layer, NULL);
		assert_ok(activity_load(f.trace, layer, ACTIVITY_UNSEEN, &unseen, &err), &err);
		assert_matrix(svg, 0, &unseen, identity);
		assert_matrix(svg, 1, &unseen, f.placement->layers[layer].slot_to_neuron);
		activity_free(&unseen);
		free(svg);
	}
	free_fixture(&f);
}

/* Clusters are squares on the diagonal of the linked order, and nowhere in the other. */
static void what_is_linked_is_dark(void **state)
{
	struct fixture f = make_fixture(ORDER_LINKED, 4000);
	char *svg = drawn(&f, 0, NULL);
	double beside[2] = { 0 };

	(void)state;
	for (int nth = 0; nth < 2; nth++) {
		struct pixels pixels = read_embedded(svg, nth);

		for (uint32_t slot = 0; slot + 1 < N_NEURONS; slot++)
			beside[nth] += darkness(&pixels, 2 * slot + 2, 2 * slot);
		free(pixels.rgb);
	}
	assert_true(beside[1] > 1.5 * beside[0]);
	free(svg);
	free_fixture(&f);
}

static void assert_has(const char *svg, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void assert_has(const char *svg, const char *format, ...)
{
	char text[200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!strstr(svg, text))
		fail_msg("no \"%s\"", text);
}

/* The figures are those of the report: so frequency order is found again from a placement. */
static void the_text_is_the_reports(void **state)
{
	struct fixture f = make_fixture(ORDER_LINKED, 2000);
	const struct order_quality *quality = &f.report->plain[ORDER_METHODS];
	char *svg = drawn(&f, 1, NULL);

	(void)state;
	assert_has(svg, ">a&lt;b>.trace: layer 1 (of 0 to 1), linked<");
	assert_has(svg, "Model 000000000000004d, 256 neurons a layer; placed from 1800 tokens, "
			"drawn from 200 that");
	assert_has(svg, ">Before: identity order<");
	assert_has(svg, ">%.1f reads per token, %.2f bundles in a run<",
		   quality[ORDER_IDENTITY].reads_per_token, quality[ORDER_IDENTITY].run_length_mean);
	assert_has(svg, ">After: linked order<");
	assert_has(svg, ">%.1f reads per token, %.2f bundles in a run<",
		   quality[ORDER_LINKED].reads_per_token, quality[ORDER_LINKED].run_length_mean);
	assert_has(svg, ">A dot is a pair of slots.<");
	assert_true(quality[ORDER_FREQUENCY].run_length_shares[1] !=
		    quality[ORDER_IDENTITY].run_length_shares[1]);
	assert_has(svg, ">%.*f<", quality[ORDER_FREQUENCY].run_length_shares[1] < 0.0995,
		   100 * quality[ORDER_FREQUENCY].run_length_shares[1]);
	free(svg);
	free_fixture(&f);
}

static int count(const char *svg, const char *part)
{
	int n = 0;

	for (; (svg = strstr(svg, part)); svg++)
		n++;
	return n;
}

/* By each method: an order is not shown twice. */
static void methods(void **state)
{
	(void)state;
	for (int method = 0; method < ORDER_METHODS; method++) {
		struct fixture f = make_fixture(method, 1000);
		char *svg = drawn(&f, 0, NULL);
		char after[40], key[40];

		snprintf(after, sizeof(after), ">After: %s order<", order_method_name(method));
		snprintf(key, sizeof(key), ">%s<", order_method_name(method));
		assert_int_equal(count(svg, after), 1);
		assert_int_equal(count(svg, key), 1);
		assert_int_equal(count(svg, ">identity<"), 1);
		assert_int_equal(count(svg, ">frequency<"), 1);
		assert_int_equal(count(svg, ">linked<"), method == ORDER_LINKED);
		free(svg);
		free_fixture(&f);
	}
}

static void threads_do_not_matter(void **state)
{
	struct fixture f = make_fixture(ORDER_LINKED, 1000);
	struct thread_pool *pool;
	struct error err;
	char *one, *two;

	(void)state;
	assert_ok(thread_pool_create(2, &pool, &err), &err);
	one = drawn(&f, 1, NULL);
	two = drawn(&f, 1, pool);
	assert_string_equal(one, two);
	free(one);
	free(two);
	thread_pool_destroy(pool);
	free_fixture(&f);
}

static void another_trace_can_be_drawn_from(void **state)
{
	struct fixture f = make_fixture(ORDER_LINKED, 100);
	struct trace *unseen = make_trace(f.folder, 300);
	struct error err;
	char *svg;

	(void)state;
	assert_refused_with(picture_write(&f.subject, 0, f.path, NULL, &err), &err,
			    "a<b>.trace: too short for a picture", "");
	assert_int_equal(err.code, -ENODATA);
	f.subject.unseen = unseen;
	svg = drawn(&f, 0, NULL);
	assert_has(svg, "placed from 100 tokens, drawn from 300 that");
	free(svg);
	trace_close(unseen);
	free_fixture(&f);
}

/*
 * Of 2048 neurons the first ten always fire, and two others once: 32,000 times rarer, with 2 x 2
 * pairs in a dot. What is that rare has the lightest of the colours, but it is not white.
 */
static void rare_is_not_never(void **state)
{
	const uint32_t n_neurons = 2048, rare[2] = { 100, 200 };
	struct activity layer = make_independent_activity(1, n_neurons, 8000, 0);
	struct picture_subject subject = { .name = "rare" };
	char *folder = make_folder();
	char *path = path_in(folder, "trace"), *svg_path = path_in(folder, "a.svg"), *svg;
	struct trace *trace;
	struct placement *placement;
	struct pixels pixels;
	struct error err;
	size_t length;

	(void)state;
	for (uint64_t t = 0; t < layer.n_tokens; t++)
		layer.fired[t * bits_words(n_neurons)] = 1023;
	bits_set(layer.fired, rare[0]);
	bits_set(layer.fired, rare[1]);
	write_activities(path, 1, &layer, 1, 3000);
	assert_ok(trace_open(path, &trace, &err), &err);
	assert_ok(placement_make(trace, &(struct placement_options){
			.method = ORDER_IDENTITY, .unseen = trace,
		}, &placement, NULL,
				 &err),
		  &err);
	subject = (struct picture_subject){ placement, trace, trace, "rare" };
	assert_ok(picture_write(&subject, 0, svg_path, NULL, &err), &err);
	svg = file_contents(svg_path, &length);
	pixels = read_embedded(svg, 0);
	assert_int_equal(pixels.width, 1024);
	assert_in_range(darkness(&pixels, rare[0] / 2, rare[1] / 2), 1, 100);
	assert_int_equal(darkness(&pixels, 300, 400), 0);
	assert_true(darkness(&pixels, 2, 3) > 600);
	assert_has(svg, ">A dot is the mean of 2 x 2 pairs of slots.<");
	assert_has(svg, "it begins at 0.01 %%.<");
	free(pixels.rgb);
	free(svg);
	placement_free(placement);
	trace_close(trace);
	activity_free(&layer);
	free(path);
	free(svg_path);
	remove_folder(folder);
}

/* Neurons that never fire have a picture, too: a white one. */
static void silence_is_white(void **state)
{
	struct activity layers[N_LAYERS] = { make_independent_activity(1, 3, 200, 0),
					     make_independent_activity(1, 3, 200, 0) };
	struct fixture f = make_fixture(ORDER_LINKED, 100);
	char *path = path_in(f.folder, "silent"), *svg;
	struct fixture silent = { .folder = f.folder, .path = f.path };
	struct pixels pixels;
	struct error err;

	(void)state;
	write_activities(path, 1, layers, N_LAYERS, 100);
	assert_ok(trace_open(path, &silent.trace, &err), &err);
	remove(path);
	assert_ok(placement_make(silent.trace, &(struct placement_options){ .method = ORDER_LINKED },
				 &silent.placement, NULL, &err),
		  &err);
	silent.subject = (struct picture_subject){ silent.placement, silent.trace, NULL, "silent" };
	svg = drawn(&silent, 0, NULL);
	pixels = read_embedded(svg, 1);
	assert_int_equal(pixels.width, 510);
	for (uint32_t i = 0; i < pixels.width; i++)
		assert_int_equal(darkness(&pixels, i, i), 0);
	assert_has(svg, ">0.0 reads per token, 0.00 bundles in a run<");
	assert_has(svg, "it begins at 10 %%.<");
	free(pixels.rgb);
	free(svg);
	placement_free(silent.placement);
	trace_close(silent.trace);
	for (int l = 0; l < N_LAYERS; l++)
		activity_free(&layers[l]);
	free(path);
	free_fixture(&f);
}

static void what_cannot_be_drawn_leaves_nothing(void **state)
{
	struct fixture f = make_fixture(ORDER_LINKED, 1000);
	char *nowhere = path_in(f.folder, "none/a.svg");
	struct error err;

	(void)state;
	assert_refused_with(picture_write(&f.subject, N_LAYERS, f.path, NULL, &err), &err,
			    "there is no layer 2 to draw: the last one is 1", "a<b>.trace");
	assert_int_equal(err.code, -ERANGE);
	assert_refused_with(picture_write(&f.subject, 0, nowhere, NULL, &err), &err, nowhere, "");
	assert_int_equal(count_entries(f.folder), 0);
	free(nowhere);
	free_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_trace_can_be_drawn_from),
		cmocka_unit_test(matrices_are_of_unseen_tokens),
		cmocka_unit_test(methods),
		cmocka_unit_test(rare_is_not_never),
		cmocka_unit_test(silence_is_white),
		cmocka_unit_test(the_text_is_the_reports),
		cmocka_unit_test(threads_do_not_matter),
		cmocka_unit_test(what_cannot_be_drawn_leaves_nothing),
		cmocka_unit_test(what_is_linked_is_dark),
	};

	return cmocka_run_group_tests_name("picture", tests, NULL, NULL);
}
