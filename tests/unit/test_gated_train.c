// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a gated model to a linked file that runs sparse: traced, placed, trained and
 * packed. The predictor has to do what its report says, and to know what a gate is.
 */
#include "helpers/test.h"

#include <math.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/random.h"
#include "helpers/folder_test.h"
#include "helpers/gated_model.h"
#include "infer/pack.h"
#include "infer/record.h"
#include "infer/train.h"
#include "infer/train_gain.h"
#include "infer/usage.h"

#define TOKENS 4000
#define UNSEEN 400

/* Neurons with a part to play. */
enum {
	IDLE = 3, /* its gate opens for half of the tokens, but up gives 0 */
	SHUT = 5, /* no weights in its gate */
	MUTE = 7, /* fires, but its column of down is 0 */
};

struct subject {
	char *model_path;
	char *trace_path;
	char *linked_path;
	struct model *model;
	struct trace *trace;
	struct train_report *report;
	struct model *linked;
	uint32_t ids[TOKENS];
};

static struct model_config config_of(enum model_activation activation)
{
	struct model_config config = gated_small();

	config.n_ffn = 200;
	config.n_kv_heads = 2;
	config.n_context = 64;
	config.activation = activation;
	config.activation_threshold = activation == MODEL_FATRELU ? 0.5f : 0;
	return config;
}

static void write_model(const char *path, enum model_activation activation)
{
	const struct model_config config = config_of(activation);
	struct gated_model *gated = gated_model_make(&config);
	size_t d = config.d_model;

	for (uint32_t layer = 0; layer < config.n_layers; layer++) {
		memset(gated->layers[layer].up + IDLE * d, 0, d * sizeof(float));
		memset(gated->layers[layer].gate + SHUT * d, 0, d * sizeof(float));
		for (size_t i = 0; i < d; i++)
			gated->layers[layer].down[i * config.n_ffn + MUTE] = 0;
	}
	gated_model_write(gated, path);
	gated_model_free(gated);
}

static void record(struct subject *subject)
{
	const struct record_options options = {
		.threads = 1, .inputs = true, .store = { .source = "pread" },
	};
	struct record_result result;
	struct error err;

	assert_ok(record_trace(subject->model, subject->ids, TOKENS - UNSEEN, subject->trace_path,
			       &options, NULL, &result, &err),
		  &err);
	assert_true(result.active_share > 0.1 && result.active_share < 0.6);
	assert_ok(trace_open(subject->trace_path, &subject->trace, &err), &err);
}

/* Everything that `colink link` does after the import, of full rank. */
static void link_model(struct subject *subject)
{
	const struct train_options options = { .rank = subject->model->config.d_model, .ratio = 1 };
	struct placement_report *quality;
	struct placement *placement;
	struct predictor *predictor;
	struct thread_pool *pool;
	struct error err;

	assert_ok(thread_pool_create(2, &pool, &err), &err);
	assert_ok(placement_make(subject->trace, &(struct placement_options){
			.method = ORDER_LINKED, .pool = pool,
		}, &placement,
				 &quality, &err),
		  &err);
	assert_ok(train_predictor(subject->model->file, subject->trace, &options, pool, NULL,
				  &predictor, &subject->report, &err),
		  &err);
	assert_ok(pack_model(subject->model->file, placement, predictor, subject->linked_path,
			     NULL, &err),
		  &err);
	assert_ok(model_load(subject->linked_path, &subject->linked, &err), &err);
	predictor_free(predictor);
	placement_report_free(quality);
	placement_free(placement);
	thread_pool_destroy(pool);
}

static struct subject *subject_make(const struct folder *folder, enum model_activation activation)
{
	struct subject *subject = calloc(1, sizeof(*subject));
	struct random_state random;
	struct error err;

	assert_non_null(subject);
	subject->model_path = path_in(folder->path, "model.gguf");
	subject->trace_path = path_in(folder->path, "trace");
	subject->linked_path = path_in(folder->path, "linked.gguf");
	random_seed(&random, 9);
	for (int i = 0; i < TOKENS; i++)
		subject->ids[i] = (uint32_t)random_below(&random, 256);
	write_model(subject->model_path, activation);
	assert_ok(model_load(subject->model_path, &subject->model, &err), &err);
	record(subject);
	link_model(subject);
	return subject;
}

static void subject_free(struct subject *subject)
{
	model_unload(subject->linked);
	train_report_free(subject->report);
	trace_close(subject->trace);
	model_unload(subject->model);
	free(subject->linked_path);
	free(subject->trace_path);
	free(subject->model_path);
	free(subject);
}

struct watch {
	struct session_observer observer;
	struct usage *usage;
	const struct model *model;
};

/* Counts, and sees that what never adds anything is not asked for. */
static int look(struct session_observer *observer, const struct session_layer_event *event,
		struct error *err)
{
	struct watch *watch = (struct watch *)observer;
	const struct layer_weights *layer = &watch->model->layers[event->layer];
	size_t n = watch->model->config.n_ffn;

	for (size_t t = 0; t < event->n_tokens; t++) {
		for (size_t slot = 0; slot < n; slot++) {
			uint32_t j = layer->neuron[slot];

			if (j == IDLE || j == SHUT)
				assert_false(bits_test(event->fired + t * bits_words(n), slot));
			if (j == IDLE || j == SHUT || j == MUTE)
				assert_false(bits_test(event->wanted + t * bits_words(n), slot));
		}
	}
	return watch->usage->observer.layer(&watch->usage->observer, event, err);
}

/* The linked file on text that nothing was learned from. */
static void measure(const struct subject *subject, struct usage **usage)
{
	const struct session_options options = {
		.mode = SESSION_MEASURE, .threads = 1, .store = { .source = "pread" },
	};
	struct watch watch = { .observer.layer = look, .model = subject->linked };
	uint32_t window = subject->linked->config.n_context;
	struct session *session = NULL;
	struct error err;

	assert_ok(usage_create(&subject->linked->config, &watch.usage, &err), &err);
	assert_ok(session_open(subject->linked, &options, &session, &err), &err);
	session_observe(session, &watch.observer);
	for (uint32_t at = TOKENS - UNSEEN; at + window <= TOKENS; at += window) {
		session_rewind(session);
		assert_ok(session_forward(session, subject->ids + at, window, &err), &err);
	}
	session_close(session);
	*usage = watch.usage;
}

/* Layer 0 is foretold from its own input; the other one from what is there earlier. */
static void check(const struct folder *folder, enum model_activation activation, double recall,
		  double precision)
{
	struct subject *subject = subject_make(folder, activation);
	struct usage *usage;

	measure(subject, &usage);
	assert_true(usage_recall(&usage->layers[0]) > recall);
	assert_true(usage_precision(&usage->layers[0]) > precision);
	for (uint32_t layer = 0; layer < subject->report->n_layers; layer++) {
		const struct train_layer_report *report = &subject->report->layers[layer];

		assert_true(report->precision > 1.25 * report->active_share);
		assert_true(fabs(usage_recall(&usage->layers[layer]) - report->recall) < 0.1);
		assert_true(fabs(usage_precision(&usage->layers[layer]) - report->precision) < 0.1);
	}
	usage_free(usage);
	subject_free(subject);
}

static void trains_for_relu(void **state)
{
	check(*state, MODEL_RELU, 0.8, 0.98);
}

/* Who took the threshold for 0 would ask for what the gate does not let pass. */
static void trains_for_fatrelu(void **state)
{
	check(*state, MODEL_FATRELU, 0.8, 0.98);
}

/* Of what the gate lets pass, half is stopped by up. */
static void trains_for_relu_on_both(void **state)
{
	check(*state, MODEL_RELU_BOTH, 0.5, 0.45);
}

/* E|u| or E[relu(u)] of a normal u, by adding up. */
static double expected(double mean, double sd, bool relu)
{
	double sum = 0, step = sd / 1000;

	for (double u = mean - 8 * sd; u < mean + 8 * sd; u += step)
		sum += (relu ? fmax(u, 0) : fabs(u)) * step / sd / sqrt(2 * M_PI) *
		       exp(-(u - mean) * (u - mean) / (2 * sd * sd));
	return sum;
}

static void gains_are_what_up_is_expected_to_give(void **state)
{
	/* Rows (1, 0), (-1, 0), (0, 2), (1, 1), (0, 0), with columns of length 3. */
	uint16_t up[] = { 0x3c00, 0, 0xbc00, 0, 0, 0x4000, 0x3c00, 0x3c00, 0, 0 };
	double mean[] = { 0.5, -1 }, covariance[] = { 4, 1, 1, 9 };
	static const double means[] = { 0.5, -0.5, -2, -0.5 }, variances[] = { 4, 4, 36, 15 };
	float norms[] = { 3, 3, 3, 3, 3 }, gain[5];
	const struct train_inputs inputs = { .mean_y = mean, .yy = covariance };
	const struct train_weights weights = { .up = up, .column_norm = norms };
	struct model_file model = { .config = { .architecture = MODEL_LLAMA, .d_model = 2,
						.n_ffn = 5 } };
	struct training training = { .model = &model, .compute.kernels = kernels_best() };
	struct error err;

	(void)state;
	assert_ok(thread_pool_create(1, &training.compute.pool, &err), &err);
	for (int relu = 0; relu < 2; relu++) {
		model.config.activation = relu ? MODEL_RELU_BOTH : MODEL_RELU;
		assert_ok(train_gain(&training, &inputs, &weights, gain, &err), &err);
		for (int j = 0; j < 4; j++) {
			double right = 3 * expected(means[j], sqrt(variances[j]), relu);

			assert_true(fabs((double)gain[j] / right - 1) < 1e-4);
		}
		assert_true(gain[4] < 1e-5f);
	}
	thread_pool_destroy(training.compute.pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gains_are_what_up_is_expected_to_give),
		folder_test(trains_for_fatrelu),
		folder_test(trains_for_relu),
		folder_test(trains_for_relu_on_both),
	};

	return cmocka_run_group_tests_name("gated_train", tests, NULL, NULL);
}
