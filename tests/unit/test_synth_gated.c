// SPDX-License-Identifier: GPL-2.0-only
/*
 * A synthetic gated model that really runs: the share that was asked for is active, neurons
 * know next to nothing of each other, and the file's own predictor foretells them.
 */
#include "helpers/folder_test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/half.h"
#include "base/random.h"
#include "infer/session.h"
#include "model/gguf_verify.h"
#include "model/model_file.h"
#include "synth/synth_gate.h"
#include "synth/synth_model.h"

#define SHARE 0.1
#define TOKENS 500
#define NEURONS 512
#define WORDS (NEURONS / 64)
#define LAYERS 3

static const struct model_shape shape = {
	.name = "tiny", .d_model = 256, .n_ffn = NEURONS, .n_layers = LAYERS, .n_matrices = 3,
	.gate_rank = 32, .n_heads = 4, .n_kv_heads = 4, .n_vocab = 3000, .d_embed = 256,
	.first_layer_share = 1, .last_layer_share = 1,
	.activity = { .active_share = SHARE, .cluster_neurons = 1, .member = 1 },
};

/* Each (LAYERS, TOKENS, WORDS). */
struct seen {
	struct session_observer observer;
	uint64_t fired[LAYERS][TOKENS][WORDS];
	uint64_t wanted[LAYERS][TOKENS][WORDS];
};

static int see(struct session_observer *observer, const struct session_layer_event *event,
	       struct error *err)
{
	struct seen *seen = (struct seen *)observer;

	(void)err;
	assert_int_equal(event->n_tokens, TOKENS);
	memcpy(seen->fired[event->layer], event->fired, sizeof(seen->fired[0]));
	memcpy(seen->wanted[event->layer], event->wanted, sizeof(seen->wanted[0]));
	return 0;
}

/* Random tokens, all neurons computed, those that the predictor wants taking part. */
static void run_model(const struct folder *folder, struct seen *seen)
{
	const struct session_options options = {
		.mode = SESSION_MEASURE,
		.max_tokens = TOKENS,
		.max_batch = TOKENS,
		.store.source = "pread",
	};
	struct session *session;
	struct model *model;
	uint32_t ids[TOKENS];
	struct random_state random;
	struct error err;

	assert_ok(synth_model_write(folder->file, &shape, 1, NULL, &err), &err);
	assert_ok(model_load(folder->file, &model, &err), &err);
	assert_ok(session_open(model, &options, &session, &err), &err);
	random_seed(&random, 1);
	for (int t = 0; t < TOKENS; t++)
		ids[t] = (uint32_t)random_below(&random, shape.n_vocab);
	session_observe(session, &seen->observer);
	assert_ok(session_forward(session, ids, TOKENS, &err), &err);
	session_close(session);
	model_unload(model);
}

static size_t count(uint64_t (*sets)[WORDS])
{
	return bits_count(sets[0], TOKENS * WORDS);
}

static void check_layer(struct seen *seen, uint32_t layer)
{
	const double share = (double)count(seen->fired[layer]) / TOKENS / NEURONS;
	const double wanted = (double)count(seen->wanted[layer]) / TOKENS / NEURONS;
	size_t both = 0;

	for (int t = 0; t < TOKENS; t++)
		for (size_t word = 0; word < WORDS; word++)
			both += (size_t)__builtin_popcountll(seen->fired[layer][t][word] &
							     seen->wanted[layer][t][word]);
	if (!(fabs(share - SHARE) < 0.015) || !(fabs(wanted - SHARE) < 0.015))
		fail_msg("layer %u: %g are active, %g wanted", layer, share, wanted);
	if (!((double)both > 0.9 * (double)count(seen->fired[layer])))
		fail_msg("layer %u: %zu of %zu are foretold", layer, both,
			 count(seen->fired[layer]));
}

static void active_as_asked_and_foretold(void **state)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	assert_non_null(seen);
	seen->observer.layer = see;
	run_model(*state, seen);
	for (uint32_t layer = 0; layer < LAYERS; layer++)
		check_layer(seen, layer);
	free(seen);
}

/* Phi coefficient of two neurons over the tokens. */
static double correlation(uint64_t (*fired)[WORDS], size_t a, size_t b)
{
	double n_a = 0, n_b = 0, both = 0, variance;

	for (int t = 0; t < TOKENS; t++) {
		const bool fires_a = bits_test(fired[t], a), fires_b = bits_test(fired[t], b);

		n_a += fires_a;
		n_b += fires_b;
		both += fires_a && fires_b;
	}
	variance = n_a * (TOKENS - n_a) * n_b * (TOKENS - n_b);
	return variance > 0 ? (TOKENS * both - n_a * n_b) / sqrt(variance) : 1;
}

/* By chance alone the coefficient of 500 tokens has a size of 0.045; the gates' add 0.06. */
static void neurons_are_nearly_independent(void **state)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	double sum = 0, squares = 0, pairs = 0;

	assert_non_null(seen);
	seen->observer.layer = see;
	run_model(*state, seen);
	for (size_t a = 0; a < NEURONS; a += 3)
		for (size_t b = a + 1; b < NEURONS; b += 3) {
			double phi = correlation(seen->fired[1], a, b);

			sum += phi;
			squares += phi * phi;
			pairs++;
		}
	if (!(fabs(sum / pairs) < 0.01) || !(sqrt(squares / pairs) < 0.1))
		fail_msg("correlation %g, of size %g", sum / pairs, sqrt(squares / pairs));
	free(seen);
}

/* Each gate's row is up . down, to within what rounding to f16 does. */
static void gates_are_what_the_predictor_has(void **state)
{
	const struct folder *folder = *state;
	const size_t d = shape.d_model, rank = shape.gate_rank;
	uint16_t *down = calloc(rank * d, 2), *up = calloc(NEURONS * rank, 2);
	uint16_t *bundles = calloc(NEURONS * 3 * d, 2);
	struct model_file *file;
	struct error err;

	assert_true(down && up && bundles);
	assert_ok(synth_model_write(folder->file, &shape, 1, NULL, &err), &err);
	assert_ok(model_file_open(folder->file, &file, &err), &err);
	assert_ok(model_file_read(file, model_file_find(file, MODEL_PREDICTOR_DOWN, 2), down,
				  &err), &err);
	assert_ok(model_file_read(file, model_file_find(file, MODEL_PREDICTOR_UP, 2), up, &err),
		  &err);
	assert_ok(model_file_read(file, model_file_find(file, MODEL_BUNDLES, 2), bundles, &err),
		  &err);
	for (size_t j = 0; j < NEURONS; j++)
		for (size_t c = 0; c < d; c++) {
			const float gate = f16_to_f32(bundles[j * 3 * d + c]);
			double sum = 0;

			for (size_t k = 0; k < rank; k++)
				sum += (double)f16_to_f32(up[j * rank + k]) *
				       (double)f16_to_f32(down[k * d + c]);
			assert_true(fabs(gate - sum) < 1e-4);
		}
	model_file_close(file);
	free(bundles);
	free(up);
	free(down);
}

/* A width that no vector divides, and rows of any number beside each other. */
static void any_width(void **state)
{
	uint16_t rows[5][40];
	struct synth_gate *gate;
	struct error err;

	(void)state;
	memset(rows, 0x55, sizeof(rows));
	assert_ok(synth_gate_create(37, 9, 3, 0.2, &gate, &err), &err);
	synth_gate_draw(gate, 7);
	synth_gate_rows(gate, 4, 5, rows[0], 40);
	for (int j = 0; j < 5; j++) {
		for (int c = 0; c < 37; c++) {
			double sum = 0;

			for (int k = 0; k < 3; k++)
				sum += (double)f16_to_f32(gate->up[(4 + j) * 3 + k]) *
				       (double)f16_to_f32(gate->down[k * 37 + c]);
			assert_true(fabs(f16_to_f32(rows[j][c]) - sum) < 1e-3);
		}
		for (int c = 37; c < 40; c++)
			assert_int_equal(rows[j][c], 0x5555);
	}
	synth_gate_free(gate);
}

static void refused(void **state)
{
	static const struct {
		uint32_t rank;
		double share;
	} wrong[] = { { 0, 0.1 }, { SYNTH_GATE_MAX_RANK + 1, 0.1 }, { 4, 0 }, { 4, 0.5 },
		      { 4, NAN } };
	struct synth_gate *gate;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(synth_gate_create(8, 8, wrong[i].rank, wrong[i].share, &gate,
						   &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(active_as_asked_and_foretold),
		folder_test(neurons_are_nearly_independent),
		folder_test(gates_are_what_the_predictor_has),
		cmocka_unit_test(any_width),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests_name("synth_gated", tests, NULL, NULL);
}
