// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a session asks the store for, and when: the reads of layer L + 1 have to be
 * on their way before layer L computes, and to be kept going meanwhile. ffn_window() is
 * wrapped (see the Makefile) to look at the store at that moment, and bundle_store_advance()
 * to count.
 */
#include "helpers/test.h"

#include <stdlib.h>

#include "helpers/byte_model.h"
#include "infer/ffn.h"
#include "infer/session.h"

#define LAYERS 3
#define NEURONS 70
#define HALF_ONE 0x3c00

static const uint32_t ids[] = { 65, 66, 67 };

static struct {
	struct session *session;
	uint64_t wanted[LAYERS]; /* bundles asked for when a layer's first window is computed */
	uint32_t n_layers;
	bool begun; /* the layer's first window was seen */
	uint32_t n_advanced;
} seen;

void __real_bundle_store_advance(struct bundle_store *store);
void __wrap_bundle_store_advance(struct bundle_store *store);

void __wrap_bundle_store_advance(struct bundle_store *store)
{
	seen.n_advanced++;
	__real_bundle_store_advance(store);
}

void __real_ffn_window(const struct compute *compute, const struct ffn_batch *batch,
		       const struct bundle_window *window, struct ffn_scratch *scratch);
void __wrap_ffn_window(const struct compute *compute, const struct ffn_batch *batch,
		       const struct bundle_window *window, struct ffn_scratch *scratch);

void __wrap_ffn_window(const struct compute *compute, const struct ffn_batch *batch,
		       const struct bundle_window *window, struct ffn_scratch *scratch)
{
	struct bundle_store_stats stats;
	struct error err;

	if (!seen.begun) {
		assert_ok(bundle_store_get_stats(session_store(seen.session), &stats, &err), &err);
		assert_true(seen.n_layers < LAYERS);
		seen.wanted[seen.n_layers] = stats.wanted_bundles;
		seen.begun = true;
	}
	__real_ffn_window(compute, batch, window, scratch);
}

static int end_of_layer(struct session_observer *observer, const struct session_layer_event *event,
			struct error *err)
{
	(void)observer;
	(void)err;
	assert_int_equal(event->layer, seen.n_layers);
	seen.n_layers++;
	seen.begun = false;
	return 0;
}

static void the_next_layer_is_asked_for_before_computing(void **state)
{
	const struct model_config config = {
		.n_layers = LAYERS, .d_model = 4, .d_embed = 4, .n_ffn = NEURONS, .n_heads = 2,
		.n_vocab = BYTE_MODEL_TOKENS, .n_context = 8, .norm_epsilon = 1e-5f,
		.final_norm = true, .tied = true,
	};
	const struct session_options options = {
		.mode = SESSION_DENSE, .threads = 2, .store.source = "pread",
	};
	struct session_observer observer = { .layer = end_of_layer };
	char *folder = make_folder(), *path = path_in(folder, "model.gguf");
	struct model *model;
	struct error err;

	(void)state;
	byte_model_write(path, &config, HALF_ONE, 0);
	assert_ok(model_load(path, &model, &err), &err);
	assert_ok(session_open(model, &options, &seen.session, &err), &err);
	session_observe(seen.session, &observer);
	assert_ok(session_forward(seen.session, ids, 3, &err), &err);
	assert_int_equal(seen.n_layers, LAYERS);
	assert_true(seen.n_advanced >= 2 * LAYERS); /* in attention and after the FFN */
	assert_int_equal(seen.wanted[0], 2 * NEURONS);
	assert_int_equal(seen.wanted[1], 3 * NEURONS);
	assert_int_equal(seen.wanted[2], 3 * NEURONS);
	session_close(seen.session);
	model_unload(model);
	free(path);
	remove_folder(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_layer_is_asked_for_before_computing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
