// SPDX-License-Identifier: GPL-2.0-only
/*
 * Training on a small model and a trace made for it: inputs hang on a few hidden
 * variables, so a predictor of that rank can know nearly everything.
 */
#include "helpers/test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/half.h"
#include "base/random.h"
#include "helpers/tiny_model.h"
#include "helpers/watcher.h"
#include "infer/predict.h"
#include "infer/train.h"
#include "infer/train_inputs.h"

#define LAYERS 3
#define WIDTH 16
#define NEURONS 200
#define HIDDEN 4
#define CHUNK 130
#define CHUNKS 20
#define MODEL_ID 0xfeedfacecafef00d

/* Neurons with a part to play in tests. */
enum {
	DEAD = 3,    /* no weights, negative bias: never fires */
	USELESS = 5, /* fires for every token, but its column of fc2 is zero */
	STRONG = 7,  /* fires for every token */
};

static struct {
	uint32_t neuron[NEURONS];
	uint16_t up[LAYERS * NEURONS * WIDTH];
	float up_bias[LAYERS * NEURONS];
	uint16_t down[LAYERS * NEURONS * WIDTH];
	uint16_t inputs[LAYERS][CHUNKS * CHUNK * WIDTH];
	char *folder;
	char *model_path;
	char *trace_path;
	struct model_file *model;
	struct trace *trace;
} world;

static float normal(struct random_state *random)
{
	return (float)random_normal(random);
}

static void make_model(struct random_state *random)
{
	struct tiny_model tiny = {
		.config = {
			.n_layers = LAYERS, .d_model = WIDTH, .d_embed = WIDTH, .n_ffn = NEURONS,
			.n_heads = 2, .n_vocab = 4, .n_context = 8, .norm_epsilon = 1e-5f,
			.final_norm = true, .tied = true,
		},
		.model_id = MODEL_ID,
		.neuron = world.neuron,
		.up = world.up,
		.up_bias = world.up_bias,
		.down = world.down,
	};
	struct error err;

	random_permutation(random, world.neuron, NEURONS);
	for (int i = 0; i < LAYERS * NEURONS * WIDTH; i++) {
		world.up[i] = f32_to_f16(normal(random));
		world.down[i] = f32_to_f16(normal(random));
	}
	for (int i = 0; i < LAYERS * NEURONS; i++) {
		float *bias = &world.up_bias[i];

		*bias = -12 + 2 * normal(random);
		if (i % NEURONS == DEAD) {
			memset(world.up + i * WIDTH, 0, WIDTH * sizeof(uint16_t));
			*bias = -0.01f;
		} else if (i % NEURONS == USELESS) {
			memset(world.down + i * WIDTH, 0, WIDTH * sizeof(uint16_t));
			*bias = 100;
		} else if (i % NEURONS == STRONG) {
			*bias = 100;
		}
	}
	tiny_model_write(&tiny, world.model_path);
	assert_ok(model_file_open(world.model_path, &world.model, &err), &err);
}

/* Inputs of each layer: the same hidden variables, mixed differently, and some noise. */
static void make_inputs(struct random_state *random)
{
	float mix[LAYERS][WIDTH][HIDDEN];

	for (int i = 0; i < LAYERS * WIDTH * HIDDEN; i++)
		(&mix[0][0][0])[i] = normal(random);
	for (int t = 0; t < CHUNKS * CHUNK; t++) {
		float hidden[HIDDEN];

		for (int k = 0; k < HIDDEN; k++)
			hidden[k] = normal(random);
		for (int layer = 0; layer < LAYERS; layer++) {
			for (int i = 0; i < WIDTH; i++) {
				float value = 0.5f + 0.1f * normal(random);

				for (int k = 0; k < HIDDEN; k++)
					value += mix[layer][i][k] * hidden[k];
				world.inputs[layer][t * WIDTH + i] = f32_to_f16(value);
			}
		}
	}
}

static void fire(int layer, const uint16_t *input, uint64_t *fired)
{
	memset(fired, 0, bits_words(NEURONS) * sizeof(*fired));
	for (int j = 0; j < NEURONS; j++) {
		const uint16_t *row = world.up + (layer * NEURONS + j) * WIDTH;
		float sum = world.up_bias[layer * NEURONS + j];

		for (int i = 0; i < WIDTH; i++)
			sum += f16_to_f32(row[i]) * f16_to_f32(input[i]);
		if (sum > 0)
			bits_set(fired, j);
	}
}

static char *write_trace(const char *name, const struct trace_shape *shape, int n_chunks,
			 int n_tokens)
{
	size_t words = bits_words(shape->n_neurons);
	uint64_t *fired = calloc((size_t)n_tokens * words, sizeof(*fired));
	char *path = path_in(world.folder, name);
	struct trace_writer *writer;
	struct error err;

	assert_non_null(fired);
	assert_ok(trace_writer_create(path, shape, &writer, &err), &err);
	for (int chunk = 0; chunk < n_chunks; chunk++) {
		assert_ok(trace_writer_begin_chunk(writer, n_tokens, &err), &err);
		for (uint32_t layer = 0; layer < shape->n_layers; layer++) {
			const uint16_t *inputs = world.inputs[layer] + chunk * CHUNK * WIDTH;

			for (int t = 0; t < n_tokens && shape->n_neurons == NEURONS; t++)
				fire((int)layer, inputs + t * WIDTH, fired + t * words);
			assert_ok(trace_writer_layer(writer, layer, fired,
						     shape->n_inputs ? inputs : NULL, &err),
				  &err);
		}
	}
	assert_ok(trace_writer_commit(writer, &err), &err);
	free(fired);
	return path;
}

static struct trace_shape right_shape(void)
{
	return (struct trace_shape){
		.n_layers = LAYERS,
		.n_neurons = NEURONS,
		.n_inputs = WIDTH,
		.model_id = MODEL_ID,
	};
}

static int set_up(void **state)
{
	struct trace_shape shape = right_shape();
	struct random_state random;
	struct error err;

	(void)state;
	random_seed(&random, 11);
	world.folder = make_folder();
	world.model_path = path_in(world.folder, "model.gguf");
	make_model(&random);
	make_inputs(&random);
	world.trace_path = write_trace("trace", &shape, CHUNKS, CHUNK);
	assert_ok(trace_open(world.trace_path, &world.trace, &err), &err);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	trace_close(world.trace);
	model_file_close(world.model);
	free(world.trace_path);
	free(world.model_path);
	remove_folder(world.folder);
	return 0;
}

struct trained {
	struct predictor *predictor;
	struct train_report *report;
};

static struct trained train(const struct trace *trace, const struct train_options *options,
			    unsigned int threads, struct progress *progress)
{
	struct trained trained;
	struct thread_pool *pool;
	struct error err;

	assert_ok(thread_pool_create(threads, &pool, &err), &err);
	assert_ok(train_predictor(world.model, trace, options, pool, progress, &trained.predictor,
				  &trained.report, &err),
		  &err);
	thread_pool_destroy(pool);
	return trained;
}

static void trained_free(struct trained *trained)
{
	predictor_free(trained->predictor);
	train_report_free(trained->report);
}

static double achieved_ratio(const struct train_report *report)
{
	double wanted = 0, active = 0;

	for (uint32_t layer = 0; layer < report->n_layers; layer++) {
		wanted += report->layers[layer].wanted_share;
		active += report->layers[layer].active_share;
	}
	return wanted / active;
}

static void foretells_what_fires(void **state)
{
	struct train_options options = { .rank = HIDDEN };
	struct trained trained = train(world.trace, &options, 1, NULL);
	const struct train_report *report = trained.report;

	(void)state;
	assert_int_equal(report->n_layers, LAYERS);
	assert_int_equal(report->rank, HIDDEN);
	assert_int_equal(report->n_tokens, (CHUNKS - 2) * CHUNK);
	assert_int_equal(report->n_unseen, 2 * CHUNK);
	assert_int_equal(report->predictor_bytes,
			 LAYERS * ((WIDTH + NEURONS) * HIDDEN * 2 + NEURONS * 4));
	assert_true(trained.predictor->model_id == MODEL_ID);
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		const struct train_layer_report *figures = &report->layers[layer];
		double useful = 1 - 1 / (figures->active_share * NEURONS);

		assert_true(figures->active_share > 0.02 && figures->active_share < 0.3);
		/* All but the neuron whose column is zero. */
		assert_true(figures->recall > 0.98 * useful && figures->recall <= useful);
		assert_true(figures->precision > 0.55);
	}
	trained_free(&trained);
}

static void ratio_sets_what_is_wanted(void **state)
{
	const double ratios[] = { 0.5, 0.8, 1.1, 1.5, 2.5 };

	(void)state;
	for (size_t i = 0; i < sizeof(ratios) / sizeof(ratios[0]); i++) {
		struct train_options options = { .rank = 3, .ratio = ratios[i] };
		struct trained trained = train(world.trace, &options, 1, NULL);

		assert_true(fabs(achieved_ratio(trained.report) / ratios[i] - 1) < 0.01);
		trained_free(&trained);
	}
}

static bool scored_above_zero(const struct predictor *predictor, uint32_t layer, int token, int j)
{
	const struct predictor_layer *map = &predictor->layers[layer];
	const uint16_t *x = world.inputs[predict_source(layer)] + token * WIDTH;
	double score = map->bias[j];

	for (uint32_t k = 0; k < predictor->rank; k++) {
		double hidden = 0;

		for (int i = 0; i < WIDTH; i++)
			hidden += f16_to_f32(map->down[k * WIDTH + i]) * f16_to_f32(x[i]);
		score += hidden * f16_to_f32(map->up[j * predictor->rank + k]);
	}
	return score > 0;
}

/* Count again, in plain loops, what the report says of the unseen tokens. */
static void report_is_what_the_predictor_does(void **state)
{
	struct train_options options = { .rank = 3 };
	struct trained trained = train(world.trace, &options, 1, NULL);

	(void)state;
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		const struct train_layer_report *figures = &trained.report->layers[layer];
		double fired = 0, wanted = 0, hits = 0, all = 2.0 * CHUNK * NEURONS;

		for (int t = 0; t < CHUNKS * CHUNK; t++) {
			uint64_t bits[(NEURONS + 63) / 64];

			if (!trace_chunk_unseen(world.trace, t / CHUNK))
				continue;
			fire((int)layer, world.inputs[layer] + t * WIDTH, bits);
			for (int j = 0; j < NEURONS; j++) {
				bool above = scored_above_zero(trained.predictor, layer, t, j);

				fired += bits_test(bits, j);
				wanted += above;
				hits += above && bits_test(bits, j);
			}
		}
		assert_true(fabs(figures->active_share - fired / all) < 1e-9);
		assert_true(fabs(figures->wanted_share - wanted / all) < 2 / all);
		assert_true(fabs(figures->recall - hits / fired) < 2 / fired);
		assert_true(fabs(figures->precision - hits / wanted) < 2 / wanted);
	}
	trained_free(&trained);
}

static void what_neurons_add_decides(void **state)
{
	struct train_options options = { .rank = HIDDEN };
	struct trained trained = train(world.trace, &options, 1, NULL);

	(void)state;
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		for (int j = 0; j < NEURONS; j++)
			assert_true(isfinite(trained.predictor->layers[layer].bias[j]));
		for (int t = 0; t < 100; t++) {
			assert_false(scored_above_zero(trained.predictor, layer, t, DEAD));
			assert_false(scored_above_zero(trained.predictor, layer, t, USELESS));
			assert_true(scored_above_zero(trained.predictor, layer, t, STRONG));
		}
	}
	trained_free(&trained);
}

static void threads_do_not_matter(void **state)
{
	struct train_options options = { .rank = 3 };
	struct trained one = train(world.trace, &options, 1, NULL);
	struct trained two = train(world.trace, &options, 2, NULL);

	(void)state;
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		const struct predictor_layer *a = &one.predictor->layers[layer];
		const struct predictor_layer *b = &two.predictor->layers[layer];

		assert_memory_equal(a->down, b->down, 3 * WIDTH * sizeof(uint16_t));
		assert_memory_equal(a->up, b->up, 3 * NEURONS * sizeof(uint16_t));
		assert_memory_equal(a->bias, b->bias, NEURONS * sizeof(float));
	}
	trained_free(&one);
	trained_free(&two);
}

static void defaults(void **state)
{
	struct train_options options = { 0 };
	struct trained trained = train(world.trace, &options, 1, NULL);

	(void)state;
	assert_int_equal(trained.report->rank, WIDTH / 4);
	assert_true(fabs(achieved_ratio(trained.report) / TRAIN_DEFAULT_RATIO - 1) < 0.01);
	trained_free(&trained);
}

/* One chunk: nothing is kept away, so all of it serves for both. */
static void one_chunk_is_enough(void **state)
{
	struct train_options options = { .rank = HIDDEN };
	struct trace_shape shape = right_shape();
	char *path = write_trace("short", &shape, 1, CHUNK);
	struct trained trained;
	struct trace *trace;
	struct error err;

	(void)state;
	assert_ok(trace_open(path, &trace, &err), &err);
	trained = train(trace, &options, 1, NULL);
	assert_int_equal(trained.report->n_tokens, CHUNK);
	assert_int_equal(trained.report->n_unseen, 0);
	assert_true(fabs(achieved_ratio(trained.report) / TRAIN_DEFAULT_RATIO - 1) < 0.02);
	trained_free(&trained);
	trace_close(trace);
	free(path);
}

static double mean_product(uint32_t a, int i, uint32_t b, int j)
{
	double sum = 0;

	for (int t = 0; t < CHUNKS * CHUNK; t++)
		sum += (double)f16_to_f32(world.inputs[a][t * WIDTH + i]) *
		       f16_to_f32(world.inputs[b][t * WIDTH + j]);
	return sum / (CHUNKS * CHUNK);
}

static double mean(uint32_t layer, int i)
{
	double sum = 0;

	for (int t = 0; t < CHUNKS * CHUNK; t++)
		sum += f16_to_f32(world.inputs[layer][t * WIDTH + i]);
	return sum / (CHUNKS * CHUNK);
}

static void assert_inputs(const struct train_inputs *inputs, uint32_t layer)
{
	uint32_t x = predict_source(layer);

	for (int i = 0; i < WIDTH; i++) {
		assert_true(fabs(inputs->mean_x[i] - mean(x, i)) < 1e-5);
		assert_true(fabs(inputs->mean_y[i] - mean(layer, i)) < 1e-5);
		for (int j = 0; j < WIDTH; j++) {
			double xx = mean_product(x, i, x, j) - mean(x, i) * mean(x, j);
			double xy = mean_product(x, i, layer, j) - mean(x, i) * mean(layer, j);
			double yy =
				mean_product(layer, i, layer, j) - mean(layer, i) * mean(layer, j);

			assert_true(fabs(inputs->xx[i * WIDTH + j] - xx) < 1e-5);
			assert_true(fabs(inputs->xy[i * WIDTH + j] - xy) < 1e-5);
			assert_true(fabs(inputs->yy[i * WIDTH + j] - yy) < 1e-5);
		}
	}
}

/* A chunk longer than the blocks that are summed at a time, layer after layer. */
static void long_chunks_are_summed_whole(void **state)
{
	struct trace_shape shape = right_shape();
	char *path = write_trace("long", &shape, 1, CHUNKS * CHUNK);
	struct training training = {
		.model = world.model,
		.compute.kernels = kernels_best(),
		.max_chunk = CHUNKS * CHUNK,
		.n_tokens = CHUNKS * CHUNK,
	};
	struct train_inputs inputs;
	struct trace *trace;
	struct error err;

	(void)state;
	assert_ok(trace_open(path, &trace, &err), &err);
	training.trace = trace;
	assert_ok(train_inputs_create(&training, &inputs, &err), &err);
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		assert_ok(train_inputs_read(&training, layer, &inputs, &err), &err);
		assert_inputs(&inputs, layer);
		memset(inputs.xx, 0xff, WIDTH * WIDTH * sizeof(double));
		memset(inputs.xy, 0xff, WIDTH * WIDTH * sizeof(double));
	}
	train_inputs_free(&inputs);
	trace_close(trace);
	free(path);
}

static void progress_ends_at_the_total(void **state)
{
	struct watcher watcher = make_watcher();
	struct train_options options = { .rank = 3 };
	struct trained trained = train(world.trace, &options, 1, &watcher.progress);

	(void)state;
	assert_true(watcher.calls > 10 * LAYERS);
	assert_true(fabs(watcher.done / watcher.total - 1) < 1e-9);
	trained_free(&trained);
}

static void assert_refused(const char *path, const struct train_options *options, const char *why)
{
	struct predictor *predictor = NULL;
	struct train_report *report = NULL;
	struct error err = { 0 };
	struct trace *trace;

	assert_ok(trace_open(path, &trace, &err), &err);
	assert_int_equal(
		train_predictor(world.model, trace, options, NULL, NULL, &predictor, &report, &err),
		-EINVAL);
	assert_says(&err, why);
	assert_null(predictor);
	assert_null(report);
	trace_close(trace);
}

static void assert_trace_refused(const struct trace_shape *shape, int n_tokens, const char *why)
{
	struct train_options options = { .rank = HIDDEN };
	char *path = write_trace("refused", shape, 1, n_tokens);

	assert_refused(path, &options, why);
	free(path);
}

static void wrong_traces_are_refused(void **state)
{
	struct trace_shape shape = right_shape();

	(void)state;
	shape.n_inputs = 0;
	assert_trace_refused(&shape, CHUNK, "colink trace --inputs");
	shape = right_shape();
	shape.model_id++;
	assert_trace_refused(&shape, CHUNK, "is of model feedfacecafef00e");
	shape = right_shape();
	shape.n_layers--;
	assert_trace_refused(&shape, CHUNK, "2 layers of 200 neurons and 16 inputs");
	shape = right_shape();
	shape.n_neurons--;
	assert_trace_refused(&shape, CHUNK, "3 layers of 199 neurons and 16 inputs");
	shape = right_shape();
	shape.n_inputs--;
	assert_trace_refused(&shape, CHUNK, "3 layers of 200 neurons and 15 inputs");
	shape = right_shape();
	assert_trace_refused(&shape, WIDTH - 1, "15 tokens");
}

static void wrong_options_are_refused(void **state)
{
	const struct train_options too_high = { .rank = WIDTH + 1 };
	const struct train_options negative = { .ratio = -1 };
	const struct train_options nothing = { .ratio = NAN };

	(void)state;
	assert_refused(world.trace_path, &too_high, "rank 17");
	assert_refused(world.trace_path, &negative, "ratio of -1");
	assert_refused(world.trace_path, &nothing, "ratio of nan");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(foretells_what_fires),
		cmocka_unit_test(ratio_sets_what_is_wanted),
		cmocka_unit_test(report_is_what_the_predictor_does),
		cmocka_unit_test(what_neurons_add_decides),
		cmocka_unit_test(threads_do_not_matter),
		cmocka_unit_test(defaults),
		cmocka_unit_test(one_chunk_is_enough),
		cmocka_unit_test(long_chunks_are_summed_whole),
		cmocka_unit_test(progress_ends_at_the_total),
		cmocka_unit_test(wrong_traces_are_refused),
		cmocka_unit_test(wrong_options_are_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
