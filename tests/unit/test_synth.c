// SPDX-License-Identifier: GPL-2.0-only
/* Synthetic models and traces as files: what they hold, and that the seed decides it. */
#include "helpers/folder_test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/half.h"
#include "model/gguf_verify.h"
#include "model/model_file.h"
#include "placement/activity.h"
#include "synth/synth_model.h"
#include "synth/synth_trace.h"

static const struct model_shape plain = {
	.name = "tiny", .d_model = 64, .n_ffn = 200, .n_layers = 3, .n_matrices = 2,
	.n_heads = 4, .n_kv_heads = 4, .n_vocab = 300, .d_embed = 64,
	.first_layer_share = 0.5, .last_layer_share = 2,
	.activity = { .active_share = 0.1, .frequency_spread = 1, .mood_spread = 0.3,
		      .cluster_neurons = 4, .member = 0.9, .persistence = 0.3 },
};

static struct model_shape gated(void)
{
	struct model_shape shape = plain;

	shape.n_matrices = 3;
	shape.n_kv_heads = 2;
	shape.gate_rank = 16;
	return shape;
}

static void all_shapes_are_sound(void **state)
{
	const struct model_shape *shape;
	uint32_t n;

	(void)state;
	for (n = 0; (shape = model_shape_at(n)); n++) {
		double sum = 0;

		assert_ptr_equal(model_shape_find(shape->name), shape);
		assert_true(shape->n_matrices == 2 || shape->n_matrices == 3);
		assert_int_equal(shape->gate_rank > 0, shape->n_matrices == 3);
		assert_int_equal(shape->d_model % shape->n_heads, 0);
		for (uint32_t layer = 0; layer < shape->n_layers; layer++)
			sum += model_shape_layer(shape, layer).active_share;
		assert_true(fabs(sum / shape->n_layers / shape->activity.active_share - 1) < 1e-9);
	}
	assert_true(n >= 6);
	assert_null(model_shape_find("opt-9000b"));
	assert_int_equal(model_shape_stride(model_shape_find("opt-6.7b")), 16384);
	assert_int_equal(model_shape_stride(model_shape_find("relu-llama-2b")), 12288);
}

/*
 * It opens, all its bytes are as the checksums say, and its bundles are noise of one size, but
 * for a gate's rows (test_synth_gated).
 */
static void check_model(const struct folder *folder, const struct model_shape *shape)
{
	struct model_file *file;
	struct error err;
	uint16_t *bundles;
	size_t tensor, n, different = 0;

	assert_ok(synth_model_write(folder->file, shape, 1, NULL, &err), &err);
	assert_ok(model_file_open(folder->file, &file, &err), &err);
	assert_int_equal(file->config.n_ffn, shape->n_ffn);
	assert_int_equal(file->config.n_layers, shape->n_layers);
	assert_int_equal(model_bundle_stride(&file->config), model_shape_stride(shape));
	assert_true(file->origin.model_id == synth_model_id(shape, 1));
	for (uint32_t layer = 0; layer < shape->n_layers; layer++) {
		tensor = model_file_find(file, MODEL_BUNDLES, layer);
		n = shape->n_ffn * model_shape_stride(shape) / 2;
		bundles = malloc(n * sizeof(*bundles));
		assert_non_null(bundles);
		assert_ok(model_file_read(file, tensor, bundles, &err), &err);
		for (size_t i = 0; i < n; i++) {
			float value = fabsf(f16_to_f32(bundles[i]));

			if (shape->n_matrices == 3 && i / shape->d_model % 3 == 0)
				continue;
			assert_true(value >= 1.0f / 32 && value < 1.0f / 8);
			different += i && bundles[i] != bundles[i - 1];
		}
		assert_true(different > n / shape->n_matrices * 19 / 10);
		different = 0;
		free(bundles);
	}
	model_file_close(file);
}

static void plain_model(void **state)
{
	check_model(*state, &plain);
}

static void gated_model(void **state)
{
	const struct model_shape shape = gated();

	check_model(*state, &shape);
}

static void seed_decides(void **state)
{
	const struct folder *folder = *state;
	char *contents[3];
	size_t length[3];
	struct error err;

	for (int i = 0; i < 3; i++) {
		assert_ok(synth_model_write(folder->file, &plain, 1 + i / 2, NULL, &err), &err);
		contents[i] = file_contents(folder->file, &length[i]);
	}
	assert_int_equal(length[0], length[1]);
	assert_memory_equal(contents[0], contents[1], length[0]);
	assert_true(length[2] != length[0] || memcmp(contents[2], contents[0], length[0]));
	for (int i = 0; i < 3; i++)
		free(contents[i]);
}

/* Of the model's own id and shape; layers grow; some tokens are kept for measuring. */
static void trace_of_the_model(void **state)
{
	const struct folder *folder = *state;
	const struct synth_trace_options options = { .shape = &plain, .tokens = 2000, .seed = 1 };
	double share[3] = { 0 };
	struct trace *trace;
	struct error err;

	assert_ok(synth_trace_write(folder->file, &options, NULL, &err), &err);
	assert_ok(trace_open(folder->file, &trace, &err), &err);
	assert_int_equal(trace_get_shape(trace)->n_layers, 3);
	assert_int_equal(trace_get_shape(trace)->n_neurons, 200);
	assert_true(trace_get_shape(trace)->model_id == synth_model_id(&plain, 1));
	assert_int_equal(trace_tokens(trace), 2000);
	for (uint32_t layer = 0; layer < 3; layer++) {
		struct activity all, unseen;

		assert_ok(activity_load(trace, layer, ACTIVITY_ALL, &all, &err), &err);
		assert_ok(activity_load(trace, layer, ACTIVITY_UNSEEN, &unseen, &err), &err);
		assert_in_range(unseen.n_tokens, 100, 400);
		share[layer] = (double)bits_count(all.fired, 2000 * bits_words(200)) / 2000 / 200;
		activity_free(&all);
		activity_free(&unseen);
	}
	assert_true(share[0] < share[1] && share[1] < share[2]);
	assert_true(fabs((share[0] + share[1] + share[2]) / 3 / 0.1 - 1) < 0.15);
	trace_close(trace);
}

/* What follows after so many tokens is the rest of the same sequence. */
static void trace_of_what_follows(void **state)
{
	const struct folder *folder = *state;
	struct activity layers[2][3];
	struct error err;

	for (int rest = 0; rest < 2; rest++) {
		const struct synth_trace_options options = {
			.shape = &plain, .tokens = rest ? 70 : 100, .skip = rest ? 30 : 0, .seed = 4
		};
		struct trace *trace;

		assert_ok(synth_trace_write(folder->file, &options, NULL, &err), &err);
		assert_ok(trace_open(folder->file, &trace, &err), &err);
		for (uint32_t layer = 0; layer < 3; layer++)
			assert_ok(activity_load(trace, layer, ACTIVITY_ALL, &layers[rest][layer],
						&err),
				  &err);
		trace_close(trace);
	}
	for (uint32_t layer = 0; layer < 3; layer++) {
		assert_int_equal(layers[1][layer].n_tokens, 70);
		assert_memory_equal(layers[0][layer].fired + 30 * bits_words(200),
				    layers[1][layer].fired,
				    70 * bits_words(200) * sizeof(uint64_t));
		activity_free(&layers[0][layer]);
		activity_free(&layers[1][layer]);
	}
}

static void trace_of_nothing(void **state)
{
	const struct folder *folder = *state;
	const struct synth_trace_options options = { .shape = &plain, .seed = 1 };
	struct error err;

	assert_int_equal(synth_trace_write(folder->file, &options, NULL, &err), -EINVAL);
	assert_int_equal(count_entries(folder->path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_shapes_are_sound),
		folder_test(plain_model),
		folder_test(gated_model),
		folder_test(seed_decides),
		folder_test(trace_of_the_model),
		folder_test(trace_of_what_follows),
		folder_test(trace_of_nothing),
	};

	return cmocka_run_group_tests_name("synth", tests, NULL, NULL);
}
