// SPDX-License-Identifier: GPL-2.0-only
/* Options and geometries that a bundle store refuses, and the words in which it does. */
#include "helpers/test.h"

#include <errno.h>
#include <stdlib.h>

#include "helpers/random_file.h"
#include "storage/bundle_store.h"

#define LAYERS 2
#define SLOTS 50
#define STRIDE 1538

struct fixture {
	struct random_file file; /* of the layers' bundles, one after the other */
	uint64_t offsets[LAYERS];
	struct bundle_geometry geometry;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	random_file_make(&fixture->file, 4, LAYERS * SLOTS * STRIDE);
	fixture->offsets[1] = SLOTS * STRIDE;
	fixture->geometry = (struct bundle_geometry){
		.n_layers = LAYERS,
		.slots = SLOTS,
		.stride = STRIDE,
		.offsets = fixture->offsets,
	};
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	random_file_remove(&fixture->file);
	free(fixture);
	return 0;
}

static void assert_not_opened(const struct fixture *fixture, struct bundle_geometry geometry,
			      struct bundle_store_options options, const char *why)
{
	struct bundle_store *store;
	struct error err = { 0 };

	assert_int_equal(bundle_store_open(fixture->file.path, &geometry, &options, &store, &err),
			 -EINVAL);
	assert_says(&err, why);
}

static void impossible_options_are_refused(void **state)
{
	const struct fixture *fixture = *state;
	const struct bundle_store_options options = { .source = "pread" };
	const uint64_t odd[LAYERS] = { 1 };
	struct bundle_store_options with;
	struct bundle_geometry geometry;

	with = options;
	with.staging_bytes = 2 * STRIDE - 1;
	assert_not_opened(fixture, fixture->geometry, with, "3076");
	with.staging_bytes = UINT64_MAX;
	assert_not_opened(fixture, fixture->geometry, with, "too large");
	with = options;
	with.layers_in_flight = BUNDLE_STORE_MAX_LAYERS + 1;
	assert_not_opened(fixture, fixture->geometry, with, "9 layers");
	with = options;
	with.cache_ratio = 1.5;
	assert_not_opened(fixture, fixture->geometry, with, "ratio");
	with.cache_ratio = -0.1;
	assert_not_opened(fixture, fixture->geometry, with, "ratio");
	with = options;
	with.hot_share = 1.1;
	assert_not_opened(fixture, fixture->geometry, with, "hot share");
	with = options;
	with.cache_policy = "mru";
	assert_not_opened(fixture, fixture->geometry, with, "'mru'");
	with = options;
	with.source = "tape";
	assert_not_opened(fixture, fixture->geometry, with, "'tape'");
	geometry = fixture->geometry;
	geometry.stride = 3;
	assert_not_opened(fixture, geometry, options, "3 bytes");
	geometry = fixture->geometry;
	geometry.slots = 0;
	assert_not_opened(fixture, geometry, options, "0 bundles");
	geometry = fixture->geometry;
	geometry.offsets = odd;
	assert_not_opened(fixture, geometry, options, "offset 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(impossible_options_are_refused),
	};

	return cmocka_run_group_tests_name("bundle store options", tests, set_up, tear_down);
}
