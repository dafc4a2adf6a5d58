// SPDX-License-Identifier: GPL-2.0-only
/*
 * Model files whose checksums are right and whose contents make no sense: they
 * end in an error, not in nonsense, a crash or a loop without end.
 */
#include "helpers/test.h"

#include <errno.h>
#include <stdlib.h>

#include "helpers/byte_model.h"
#include "infer/generate.h"
#include "infer/perplexity.h"
#include "infer/record.h"

#define NEURONS 8
#define HALF_NAN 0x7e00

static const uint32_t ids[] = { 65, 66, 67 };

struct fixture {
	char *folder;
	char *path;
	struct model *model;
	struct session *session;
};

static struct model_config config_of(uint32_t n_context)
{
	return (struct model_config){
		.n_layers = 2, .d_model = 4, .d_embed = 4, .n_ffn = NEURONS, .n_heads = 2,
		.n_vocab = BYTE_MODEL_TOKENS, .n_context = n_context, .norm_epsilon = 1e-5f,
		.final_norm = true, .tied = true, .predictor_rank = 2,
	};
}

static void begin(struct fixture *f, uint32_t n_context, uint16_t weight)
{
	const struct model_config config = config_of(n_context);
	const struct session_options options = {
		.threads = 1, .store = { .source = "pread", .cache_ratio = 0 },
	};
	struct error err;

	f->folder = make_folder();
	f->path = path_in(f->folder, "broken.gguf");
	byte_model_write(f->path, &config, weight, 0);
	assert_ok(model_load(f->path, &f->model, &err), &err);
	assert_ok(session_open(f->model, &options, &f->session, &err), &err);
}

static void end(struct fixture *f)
{
	session_close(f->session);
	model_unload(f->model);
	free(f->path);
	remove_folder(f->folder);
}

static int generate(struct fixture *f, float temperature, struct error *err)
{
	const struct generate_options options = {
		.n_tokens = 2, .eos = TOKEN_NONE, .sampler = { temperature, 0, 0.9f, 1 },
	};
	uint32_t made[2], n_made;

	session_rewind(f->session);
	assert_ok(generate_prompt(f->session, ids, 3, err), err);
	return generate_tokens(f->session, BYTE_MODEL_TOKENS, &options, made, &n_made, err);
}

static int measure(struct fixture *f, struct error *err)
{
	struct perplexity result;

	return perplexity_measure(f->session, f->model, ids, 3, 0, NULL, &result, err);
}

static void sound_weights_are_used(void **state)
{
	struct fixture f;
	struct error err;

	(void)state;
	begin(&f, 8, 0);
	assert_ok(generate(&f, 0, &err), &err);
	assert_ok(generate(&f, 1, &err), &err);
	assert_ok(measure(&f, &err), &err);
	end(&f);
}

static void weights_that_are_not_numbers_are_refused(void **state)
{
	struct fixture f;
	struct error err;

	(void)state;
	begin(&f, 8, HALF_NAN);
	assert_int_equal(generate(&f, 0, &err), -EDOM);
	assert_int_equal(generate(&f, 1, &err), -EDOM);
	assert_int_equal(measure(&f, &err), -EDOM);
	end(&f);
}

/* bos fills the only position: no window would ever take a token of the text. */
static void a_context_of_one_cannot_be_traced(void **state)
{
	const struct record_options options = { .threads = 1, .store.source = "pread" };
	struct record_result result;
	struct fixture f;
	struct error err;
	char *trace;

	(void)state;
	begin(&f, 1, 0);
	trace = path_in(f.folder, "trace");
	assert_int_equal(record_trace(f.model, ids, 3, trace, &options, NULL, &result, &err),
			 -EINVAL);
	free(trace);
	end(&f);
}

/* They are used as indices. */
static void neurons_that_are_no_permutation_are_refused(void **state)
{
	static const uint32_t wrong[] = { 1, NEURONS, UINT32_MAX };
	const struct model_config config = config_of(8);
	char *folder = make_folder(), *path = path_in(folder, "broken.gguf");
	struct model *model;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		byte_model_write(path, &config, 0, wrong[i]);
		assert_int_equal(model_load(path, &model, &err), -EINVAL);
	}
	free(path);
	remove_folder(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_weights_are_used),
		cmocka_unit_test(weights_that_are_not_numbers_are_refused),
		cmocka_unit_test(neurons_that_are_no_permutation_are_refused),
		cmocka_unit_test(a_context_of_one_cannot_be_traced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
