// SPDX-License-Identifier: GPL-2.0-only
/*
 * Logits of every kind of OPT model against the definition, and that they are the
 * same to the last bit however the tokens are cut into batches, the work into
 * threads, and wherever the bundles come from.
 */
#include "helpers/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "helpers/import_folder.h"
#include "helpers/opt_reference.h"
#include "infer/session.h"

#define TOLERANCE 1e-3

static struct opt_shape like_opt_350m(void)
{
	struct opt_shape shape = opt_small();

	shape.post_norm = true;
	shape.d_embed = 8;
	return shape;
}

static struct opt_shape post_norm_without_projection(void)
{
	struct opt_shape shape = opt_small();

	shape.post_norm = true;
	return shape;
}

static struct opt_shape projected_with_norms_before(void)
{
	struct opt_shape shape = opt_small();

	shape.d_embed = 24;
	return shape;
}

static struct opt_shape with_a_head_of_its_own(void)
{
	struct opt_shape shape = opt_small();

	shape.untied = true;
	return shape;
}

static struct opt_shape without_biases(void)
{
	struct opt_shape shape = opt_small();

	shape.no_biases = true;
	return shape;
}

static struct opt_shape without_final_norm(void)
{
	struct opt_shape shape = opt_small();

	shape.no_final_norm = true;
	return shape;
}

/* No size is a multiple of a vector or a tile; several tiles of neurons; batches use threads. */
static struct opt_shape of_odd_sizes(void)
{
	struct opt_shape shape = opt_small();

	shape.d_model = 75;
	shape.d_embed = 75;
	shape.n_heads = 5;
	shape.n_ffn = 541;
	shape.n_vocab = 301;
	shape.n_context = 21;
	return shape;
}

/* Wide enough for a single token to use threads. */
static struct opt_shape wide(void)
{
	struct opt_shape shape = opt_small();

	shape.n_layers = 1;
	shape.d_model = 640;
	shape.d_embed = 640;
	shape.n_heads = 10;
	shape.n_ffn = 512;
	shape.n_context = 4;
	return shape;
}

struct subject {
	struct opt_checkpoint *checkpoint;
	struct model *model;
	uint32_t *ids; /* (n) */
	uint32_t n; /* the whole context */
};

static struct subject subject_make(const struct import_folder *folder, struct opt_shape shape)
{
	struct subject subject = { .n = shape.n_context };
	struct random_state random;
	struct error err;

	write_source(folder, &shape);
	import_source(folder);
	assert_ok(model_load(folder->output, &subject.model, &err), &err);
	subject.checkpoint = opt_checkpoint_make(&shape, OPT_PREFIX, CHECKPOINT_F32);
	subject.ids = malloc(subject.n * sizeof(uint32_t));
	assert_non_null(subject.ids);
	random_seed(&random, shape.n_ffn);
	for (uint32_t i = 0; i < subject.n; i++)
		subject.ids[i] = (uint32_t)random_below(&random, shape.n_vocab);
	return subject;
}

static void subject_free(struct subject *subject)
{
	model_unload(subject->model);
	opt_checkpoint_free(subject->checkpoint);
	free(subject->ids);
}

/* Logits after every token, (n, n_vocab), in batches of `batch`. */
static float *logits_of(const struct subject *subject, struct session *session, uint32_t batch)
{
	size_t n_vocab = subject->model->config.n_vocab;
	float *logits = malloc(subject->n * n_vocab * sizeof(*logits));
	struct error err;

	assert_non_null(logits);
	for (uint32_t first = 0; first < subject->n; first += batch) {
		uint32_t count = subject->n - first < batch ? subject->n - first : batch;

		assert_ok(session_forward(session, subject->ids + first, count, &err), &err);
		session_logits(session, 0, count, logits + first * n_vocab);
	}
	return logits;
}

static struct session_options plain_options(void)
{
	return (struct session_options){
		.mode = SESSION_DENSE,
		.threads = 1,
		.store = { .source = "pread", .cost = DEVICE_COST_UFS4 },
	};
}

static float *run(const struct subject *subject, const struct session_options *options,
		  uint32_t batch)
{
	struct session *session = NULL;
	struct error err;
	float *logits;

	assert_ok(session_open(subject->model, options, &session, &err), &err);
	logits = logits_of(subject, session, batch);
	session_close(session);
	return logits;
}

static void assert_same(const struct subject *subject, const float *expected, float *found)
{
	size_t n = (size_t)subject->n * subject->model->config.n_vocab;

	assert_memory_equal(expected, found, n * sizeof(*expected));
	free(found);
}

/* The error as a share of the largest logit. */
static void compare(const struct import_folder *folder, struct opt_shape shape)
{
	struct subject subject = subject_make(folder, shape);
	const struct session_options options = plain_options();
	double *expected = opt_reference(subject.checkpoint, subject.ids, subject.n);
	float *found = run(&subject, &options, subject.n);
	double largest = 0, worst = 0;

	for (size_t i = 0; i < (size_t)subject.n * shape.n_vocab; i++) {
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
	subject_free(&subject);
}

static void computes_a_plain_model(void **state)
{
	compare(*state, opt_small());
}

static void computes_one_like_opt_350m(void **state)
{
	compare(*state, like_opt_350m());
	compare(*state, post_norm_without_projection());
}

static void computes_projections_with_norms_before(void **state)
{
	compare(*state, projected_with_norms_before());
}

static void computes_an_untied_head(void **state)
{
	compare(*state, with_a_head_of_its_own());
}

static void computes_without_biases_or_final_norm(void **state)
{
	compare(*state, without_biases());
	compare(*state, without_final_norm());
}

static void computes_odd_and_wide_sizes(void **state)
{
	compare(*state, of_odd_sizes());
	compare(*state, wide());
}

struct fired_observer {
	struct session_observer observer;
	const struct opt_checkpoint *checkpoint;
	size_t n_fired;
};

/* What fired is what fc1 makes positive; sums that are too close to 0 may be either. */
static int check_fired(struct session_observer *observer, const struct session_layer_event *event,
		       struct error *err)
{
	struct fired_observer *self = (struct fired_observer *)observer;
	const struct opt_shape *shape = &self->checkpoint->shape;
	const float *weight = opt_values(self->checkpoint, event->layer ? "layers.1.fc1.weight" :
									  "layers.0.fc1.weight");
	const float *bias = opt_values(self->checkpoint, event->layer ? "layers.1.fc1.bias" :
									"layers.0.fc1.bias");
	size_t words = bits_words(shape->n_ffn), d = shape->d_model;

	(void)err;
	assert_null(event->wanted);
	for (size_t t = 0; t < event->n_tokens; t++) {
		self->n_fired += bits_count(event->fired + t * words, words);
		for (size_t j = 0; j < shape->n_ffn; j++) {
			double sum = (double)bias[j];

			for (size_t i = 0; i < d; i++)
				sum += (double)weight[j * d + i] *
				       (double)event->ffn_input[t * d + i];
			if (fabs(sum) > 1e-4)
				assert_int_equal(bits_test(event->fired + t * words, j), sum > 0);
		}
	}
	return 0;
}

static void observers_see_what_fires(void **state)
{
	struct subject subject = subject_make(*state, of_odd_sizes());
	struct fired_observer observer = { .observer.layer = check_fired,
					   .checkpoint = subject.checkpoint };
	const struct session_options options = plain_options();
	struct session *session = NULL;
	struct error err;

	assert_ok(session_open(subject.model, &options, &session, &err), &err);
	session_observe(session, &observer.observer);
	free(logits_of(&subject, session, 1));
	session_rewind(session);
	free(logits_of(&subject, session, subject.n));
	assert_true(observer.n_fired > 0);
	session_close(session);
	subject_free(&subject);
}

static struct opt_shape (*const compared[])(void) = { of_odd_sizes, wide, like_opt_350m };

static void batches_do_not_matter(void **state)
{
	const struct session_options options = plain_options();

	for (size_t i = 0; i < 3; i++) {
		struct subject subject = subject_make(*state, compared[i]());
		float *expected = run(&subject, &options, subject.n);

		assert_same(&subject, expected, run(&subject, &options, 1));
		assert_same(&subject, expected, run(&subject, &options, 3));
		free(expected);
		subject_free(&subject);
	}
}

static void threads_do_not_matter(void **state)
{
	struct session_options options = plain_options();

	for (size_t i = 0; i < 3; i++) {
		struct subject subject = subject_make(*state, compared[i]());
		float *expected = run(&subject, &options, subject.n);

		for (options.threads = 2; options.threads <= 3; options.threads++) {
			assert_same(&subject, expected, run(&subject, &options, subject.n));
			assert_same(&subject, expected, run(&subject, &options, 1));
		}
		options.threads = 1;
		free(expected);
		subject_free(&subject);
	}
}

static void run_from(const struct import_folder *folder, const char *source)
{
	struct session_options options = plain_options();

	for (size_t i = 0; i < 3; i++) {
		struct subject subject = subject_make(folder, compared[i]());
		float *expected;

		options.store.source = "pread";
		expected = run(&subject, &options, subject.n);
		options.store.source = source;
		assert_same(&subject, expected, run(&subject, &options, subject.n));
		assert_same(&subject, expected, run(&subject, &options, 3));
		free(expected);
		subject_free(&subject);
	}
}

static void mmap_gives_the_same(void **state)
{
	run_from(*state, "mmap");
}

static void uring_gives_the_same(void **state)
{
	struct subject subject = subject_make(*state, opt_small());
	struct session_options options = plain_options();
	struct session *session = NULL;
	struct error err;
	int ret;

	options.store.source = "uring";
	ret = session_open(subject.model, &options, &session, &err);
	session_close(session);
	subject_free(&subject);
	if (ret < 0) {
		print_message("%s\n", err.message);
		skip();
	}
	run_from(*state, "uring");
}

static void cache_and_staging_do_not_matter(void **state)
{
	static const double ratios[] = { 0.1, 0.5, 1 };
	struct session_options options = plain_options();
	struct subject subject = subject_make(*state, of_odd_sizes());
	float *expected = run(&subject, &options, 5);

	options.store.staging_bytes = 32 * 1024;
	assert_same(&subject, expected, run(&subject, &options, 5));
	for (size_t i = 0; i < 3; i++) {
		struct session *session = NULL;
		struct error err;

		options.store.cache_ratio = ratios[i];
		options.store.gap_bytes = i * 1000;
		assert_ok(session_open(subject.model, &options, &session, &err), &err);
		for (int again = 0; again < 3; again++) {
			assert_same(&subject, expected, logits_of(&subject, session, 5));
			session_rewind(session);
		}
		session_close(session);
	}
	free(expected);
	subject_free(&subject);
}

static void the_context_has_an_end(void **state)
{
	struct subject subject = subject_make(*state, opt_small());
	const struct session_options options = plain_options();
	struct session *session = NULL;
	uint32_t id = 264;
	struct error err;

	assert_ok(session_open(subject.model, &options, &session, &err), &err);
	assert_int_equal(session_room(session), 16);
	assert_ok(session_forward(session, subject.ids, 15, &err), &err);
	assert_true(session_forward(session, subject.ids, 2, &err) < 0);
	assert_says(&err, "2 tokens after 15");
	assert_true(session_forward(session, subject.ids, 0, &err) < 0);
	assert_true(session_forward(session, &id, 1, &err) < 0);
	assert_says(&err, "264");
	assert_ok(session_forward(session, subject.ids, 1, &err), &err);
	assert_int_equal(session_room(session), 0);
	session_close(session);
	subject_free(&subject);
}

static void a_predictor_is_needed_unless_dense(void **state)
{
	struct subject subject = subject_make(*state, opt_small());
	struct session_options options = plain_options();
	struct session *session = NULL;
	struct error err;

	options.mode = SESSION_SPARSE;
	assert_true(session_open(subject.model, &options, &session, &err) < 0);
	assert_says(&err, "has no predictor");
	assert_null(session);
	subject_free(&subject);
}

#define CASE(name) import_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(computes_a_plain_model),
		CASE(computes_one_like_opt_350m),
		CASE(computes_projections_with_norms_before),
		CASE(computes_an_untied_head),
		CASE(computes_without_biases_or_final_norm),
		CASE(computes_odd_and_wide_sizes),
		CASE(observers_see_what_fires),
		CASE(batches_do_not_matter),
		CASE(threads_do_not_matter),
		CASE(mmap_gives_the_same),
		CASE(uring_gives_the_same),
		CASE(cache_and_staging_do_not_matter),
		CASE(the_context_has_an_end),
		CASE(a_predictor_is_needed_unless_dense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
