// SPDX-License-Identifier: GPL-2.0-only
/*
 * Logits of gated models against the definition: each activation, heads that share
 * keys and values, tied or not, dense and with a part of the neurons only; and that
 * they are the same to the last bit however they are computed.
 */
#include "helpers/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "helpers/folder_test.h"
#include "helpers/gated_reference.h"
#include "infer/session.h"

/* Of the largest logit. */
#define TOLERANCE 1e-5

struct subject {
	struct gated_model *gated;
	struct model *model;
	uint32_t *ids; /* (n) */
	uint32_t n; /* the whole context */
};

/* No size is a multiple of a vector or a tile; several tiles of neurons; batches use threads. */
static struct model_config of_odd_sizes(void)
{
	struct model_config config = gated_small();

	config.d_model = 90;
	config.d_embed = 90;
	config.n_heads = 9;
	config.n_kv_heads = 3;
	config.n_ffn = 541;
	config.n_context = 70;
	config.rope_theta = 500;
	return config;
}

/* The predictor asks for two neurons of three. */
static struct subject subject_make(const struct folder *folder, struct model_config config)
{
	struct subject subject = { .n = config.n_context };
	struct random_state random;
	struct error err;

	config.predictor_rank = 1;
	subject.gated = gated_model_make(&config);
	for (uint32_t j = 0; j < config.n_ffn; j++)
		subject.gated->wanted[j] = j % 3 != 0;
	gated_model_write(subject.gated, folder->file);
	assert_ok(model_load(folder->file, &subject.model, &err), &err);
	subject.ids = malloc(subject.n * sizeof(uint32_t));
	assert_non_null(subject.ids);
	random_seed(&random, config.n_ffn);
	for (uint32_t i = 0; i < subject.n; i++)
		subject.ids[i] = (uint32_t)random_below(&random, config.n_vocab);
	return subject;
}

static void subject_free(struct subject *subject)
{
	model_unload(subject->model);
	gated_model_free(subject->gated);
	free(subject->ids);
}

static struct session_options options_of(enum session_mode mode)
{
	return (struct session_options){
		.mode = mode,
		.threads = 1,
		.store = { .source = "pread", .cost = DEVICE_COST_UFS4 },
	};
}

/* Logits after every token, (n, n_vocab), in batches of `batch`. */
static float *run_observed(const struct subject *subject, const struct session_options *options,
			   uint32_t batch, struct session_observer *observer)
{
	size_t n_vocab = subject->model->config.n_vocab;
	float *logits = malloc(subject->n * n_vocab * sizeof(*logits));
	struct session *session = NULL;
	struct error err;

	assert_non_null(logits);
	assert_ok(session_open(subject->model, options, &session, &err), &err);
	session_observe(session, observer);
	for (uint32_t first = 0; first < subject->n; first += batch) {
		uint32_t count = subject->n - first < batch ? subject->n - first : batch;

		assert_ok(session_forward(session, subject->ids + first, count, &err), &err);
		session_logits(session, 0, count, logits + first * n_vocab);
	}
	session_close(session);
	return logits;
}

static float *run(const struct subject *subject, const struct session_options *options,
		  uint32_t batch)
{
	return run_observed(subject, options, batch, NULL);
}

static void assert_same(const struct subject *subject, const float *expected, float *found)
{
	size_t n = (size_t)subject->n * subject->model->config.n_vocab;

	assert_memory_equal(expected, found, n * sizeof(*expected));
	free(found);
}

/* Against the reference in which only these neurons take part. */
static void assert_logits(const struct subject *subject, const bool *wanted, float *found)
{
	double *expected = gated_reference(subject->gated, wanted, subject->ids, subject->n);
	double largest = 0, worst = 0;

	for (size_t i = 0; i < (size_t)subject->n * subject->model->config.n_vocab; i++) {
		largest = fmax(largest, fabs(expected[i]));
		/* fmax() would ignore a NaN. */
		if (!(fabs(expected[i] - (double)found[i]) <= worst))
			worst = fabs(expected[i] - (double)found[i]);
	}
	if (!(worst <= TOLERANCE * largest))
		fail_msg("off by %g, where the largest logit is %g", worst, largest);
	assert_true(largest > 0.1);
	free(expected);
	free(found);
}

/* Dense, with what the predictor asks for, and the same while all is looked at. */
static void compare(const struct folder *folder, struct model_config config)
{
	struct subject subject = subject_make(folder, config);
	const struct session_options dense = options_of(SESSION_DENSE);
	const struct session_options sparse = options_of(SESSION_SPARSE);
	const struct session_options measure = options_of(SESSION_MEASURE);
	const bool *wanted = subject.gated->wanted;

	assert_logits(&subject, NULL, run(&subject, &dense, subject.n));
	assert_logits(&subject, wanted, run(&subject, &sparse, subject.n));
	assert_logits(&subject, wanted, run(&subject, &measure, subject.n));
	subject_free(&subject);
}

static void compare_shapes(const struct folder *folder, enum model_activation activation)
{
	static const uint32_t kv_heads[] = { 4, 2, 1 };

	for (size_t i = 0; i < 3; i++) {
		struct model_config config = gated_small();

		config.activation = activation;
		config.activation_threshold = activation == MODEL_FATRELU ? 0.25f : 0;
		config.n_kv_heads = kv_heads[i];
		compare(folder, config);
		config.tied = true;
		compare(folder, config);
	}
}

static void computes_relu(void **state)
{
	compare_shapes(*state, MODEL_RELU);
}

static void computes_fatrelu(void **state)
{
	compare_shapes(*state, MODEL_FATRELU);
}

static void computes_relu_on_both(void **state)
{
	compare_shapes(*state, MODEL_RELU_BOTH);
}

static void computes_odd_sizes(void **state)
{
	struct model_config config = of_odd_sizes();

	compare(*state, config);
	config.activation = MODEL_RELU_BOTH;
	compare(*state, config);
}

/* A predictor that asks for everything leaves nothing out. */
static void all_wanted_is_dense(void **state)
{
	const struct session_options dense = options_of(SESSION_DENSE);
	const struct session_options sparse = options_of(SESSION_SPARSE);
	const struct folder *folder = *state;
	struct subject subject = subject_make(folder, of_odd_sizes());
	float *expected = run(&subject, &dense, subject.n);
	struct error err;

	model_unload(subject.model);
	for (uint32_t j = 0; j < subject.gated->config.n_ffn; j++)
		subject.gated->wanted[j] = true;
	gated_model_write(subject.gated, folder->file);
	assert_ok(model_load(folder->file, &subject.model, &err), &err);
	assert_same(&subject, expected, run(&subject, &sparse, subject.n));
	assert_same(&subject, expected, run(&subject, &sparse, 1));
	free(expected);
	subject_free(&subject);
}

static const enum session_mode modes[] = { SESSION_DENSE, SESSION_SPARSE };

static void batches_and_threads_do_not_matter(void **state)
{
	struct subject subject = subject_make(*state, of_odd_sizes());

	for (size_t i = 0; i < 2; i++) {
		struct session_options options = options_of(modes[i]);
		float *expected = run(&subject, &options, subject.n);

		assert_same(&subject, expected, run(&subject, &options, 1));
		assert_same(&subject, expected, run(&subject, &options, 3));
		for (options.threads = 2; options.threads <= 3; options.threads++) {
			assert_same(&subject, expected, run(&subject, &options, subject.n));
			assert_same(&subject, expected, run(&subject, &options, 1));
		}
		free(expected);
	}
	subject_free(&subject);
}

static void run_from(const struct subject *subject, const char *source)
{
	for (size_t i = 0; i < 2; i++) {
		struct session_options options = options_of(modes[i]);
		float *expected = run(subject, &options, subject->n);

		options.store.source = source;
		assert_same(subject, expected, run(subject, &options, subject->n));
		options.store.cache_ratio = 0.3;
		options.store.staging_bytes = 32 * 1024;
		assert_same(subject, expected, run(subject, &options, 3));
		free(expected);
	}
}

static void sources_do_not_matter(void **state)
{
	struct subject subject = subject_make(*state, of_odd_sizes());
	struct session_options options = options_of(SESSION_DENSE);
	struct session *session = NULL;
	struct error err;

	run_from(&subject, "pread");
	run_from(&subject, "mmap");
	options.store.source = "uring";
	if (session_open(subject.model, &options, &session, &err) < 0)
		print_message("%s\n", err.message);
	else
		run_from(&subject, "uring");
	session_close(session);
	subject_free(&subject);
}

struct fired_observer {
	struct session_observer observer;
	const struct gated_model *gated;
	size_t n_fired;
};

static double row_product(const float *row, const float *x, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)row[i] * (double)x[i];
	return sum;
}

/* What fired is what adds something; sums too close to a threshold may be either. */
static int check_fired(struct session_observer *observer, const struct session_layer_event *event,
		       struct error *err)
{
	struct fired_observer *self = (struct fired_observer *)observer;
	const struct model_config *config = &self->gated->config;
	const struct gated_layer *layer = &self->gated->layers[event->layer];
	size_t words = bits_words(config->n_ffn), d = config->d_model;

	(void)err;
	for (size_t t = 0; t < event->n_tokens; t++) {
		const float *x = event->ffn_input + t * d;

		self->n_fired += bits_count(event->fired + t * words, words);
		for (size_t slot = 0; slot < config->n_ffn; slot++) {
			size_t j = self->gated->neuron[slot];
			double gate = row_product(layer->gate + j * d, x, d);
			double up = row_product(layer->up + j * d, x, d);
			bool active = gated_activation(config, gate, up) != 0;

			if (fabs(gate - (double)config->activation_threshold) > 1e-4 &&
			    fabs(up) > 1e-4)
				assert_int_equal(bits_test(event->fired + t * words, slot), active);
		}
	}
	return 0;
}

/* In SESSION_MEASURE too, where not all take part. */
static void observers_see_what_is_active(void **state)
{
	for (int activation = MODEL_RELU; activation <= MODEL_RELU_BOTH; activation++) {
		const struct session_options dense = options_of(SESSION_DENSE);
		const struct session_options measure = options_of(SESSION_MEASURE);
		struct model_config config = of_odd_sizes();
		struct fired_observer observer = { .observer.layer = check_fired };
		struct subject subject;

		config.activation = (enum model_activation)activation;
		config.activation_threshold = activation == MODEL_FATRELU ? 0.25f : 0;
		subject = subject_make(*state, config);
		observer.gated = subject.gated;
		free(run_observed(&subject, &dense, subject.n, &observer.observer));
		free(run_observed(&subject, &dense, 1, &observer.observer));
		free(run_observed(&subject, &measure, subject.n, &observer.observer));
		assert_true(observer.n_fired > 0);
		subject_free(&subject);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(all_wanted_is_dense),
		folder_test(batches_and_threads_do_not_matter),
		folder_test(computes_fatrelu),
		folder_test(computes_odd_sizes),
		folder_test(computes_relu),
		folder_test(computes_relu_on_both),
		folder_test(observers_see_what_is_active),
		folder_test(sources_do_not_matter),
	};

	return cmocka_run_group_tests_name("gated_forward", tests, NULL, NULL);
}
