// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands on gated models, as a user gives them: every step from a model to a
 * linked file, and what can be done with both.
 */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "helpers/gated_reference.h"

#define TEXT_BYTES 3000

struct fixture {
	char *folder;
	struct gated_model *gated;
};

/* Two shared heads of keys and values, and a threshold; in the order of its own neurons. */
static int set_up(void **state)
{
	struct fixture *f = malloc(sizeof(*f));
	struct model_config config = gated_small();
	char text[TEXT_BYTES], *path;

	config.n_kv_heads = 2;
	config.n_ffn = 100;
	config.n_context = 64;
	config.activation = MODEL_FATRELU;
	config.activation_threshold = 0.25f;
	assert_non_null(f);
	f->folder = make_folder();
	f->gated = gated_model_make(&config);
	path = path_in(f->folder, "model.gguf");
	gated_model_write(f->gated, path);
	free(path);
	for (int i = 0; i < TEXT_BYTES; i++)
		text[i] = (char)(' ' + i * i % 89);
	path = path_in(f->folder, "text");
	write_file(path, text, TEXT_BYTES);
	free(path);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	gated_model_free(f->gated);
	remove_folder(f->folder);
	free(f);
	return 0;
}

/* `colink ARGUMENTS --json` in the folder; fails unless it does what it should. */
static json_t *colink(const struct fixture *f, const char *arguments)
{
	const char *program = getenv("COLINK");
	json_error_t why;
	json_t *json;
	char *line;
	FILE *pipe;

	if (!program)
		fail_msg("COLINK is not set: run this by tests/run");
	if (asprintf(&line, "cd %s && %s %s --json 2>stderr", f->folder, program, arguments) < 0)
		fail_msg("out of memory");
	pipe = popen(line, "r");
	assert_non_null(pipe);
	json = json_loadf(pipe, 0, &why);
	if (pclose(pipe) != 0 || !json)
		fail_msg("%s: %s", line, json ? "failed" : why.text);
	free(line);
	return json;
}

static double number(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);

	if (!json_is_number(value))
		fail_msg("no number %s", key);
	return json_number_value(value);
}

static void link_model(const struct fixture *f)
{
	json_decref(colink(f, "trace model.gguf --text text --inputs -o trace"));
	json_decref(colink(f, "place trace -o placement"));
	json_decref(colink(f, "train model.gguf --trace trace --rank 16 -o predictor"));
	json_decref(colink(f, "pack model.gguf --placement placement --predictor predictor "
			      "-o linked.gguf"));
	json_decref(colink(f, "verify linked.gguf"));
}

static void info_says_what_it_is(void **state)
{
	const struct fixture *f = *state;
	json_t *json = colink(f, "info model.gguf");

	assert_string_equal(json_string_value(json_object_get(json, "architecture")), "llama");
	assert_string_equal(json_string_value(json_object_get(json, "activation")), "fatrelu");
	assert_true(json_is_true(json_object_get(json, "gated")));
	assert_true(number(json, "ffn_threshold") == 0.25);
	assert_true(number(json, "heads") == 4);
	assert_true(number(json, "kv_heads") == 2);
	assert_true(number(json, "bundle_bytes") == 3 * 16 * 2);
	assert_true(number(json, "bundles_bytes") == 2 * 100 * 3 * 16 * 2);
	json_decref(json);
}

/* Of the last position, against the definition. */
static void assert_logits(const struct fixture *f, const char *arguments, const json_t *expected)
{
	json_t *json = colink(f, arguments), *logits = json_object_get(json, "logits");

	assert_int_equal(json_array_size(logits), f->gated->config.n_vocab);
	for (size_t i = 0; i < json_array_size(logits); i++) {
		double right = json_number_value(json_array_get(expected, i));

		if (!(fabs(json_number_value(json_array_get(logits, i)) - right) < 1e-3))
			fail_msg("%s: logit %zu should be %g", arguments, i, right);
	}
	json_decref(json);
}

/* Another order is another order of sums: the same but for the last bits. */
static void dense_logits_are_right_in_any_order(void **state)
{
	static const uint32_t ids[] = { 256, 72, 101, 108, 108, 111 };
	const struct fixture *f = *state;
	uint32_t n_vocab = f->gated->config.n_vocab;
	double *reference = gated_reference(f->gated, NULL, ids, 6);
	json_t *expected = json_array();

	for (uint32_t i = 0; i < n_vocab; i++)
		json_array_append_new(expected, json_real(reference[5 * n_vocab + i]));
	free(reference);
	link_model(f);
	assert_logits(f, "logits model.gguf --ids 256,72,101,108,108,111", expected);
	assert_logits(f, "logits linked.gguf --ids 256,72,101,108,108,111", expected);
	assert_logits(f, "logits linked.gguf -p Hello --io mmap --cache-ratio 0.5", expected);
	json_decref(expected);
}

static void assert_same_tokens(const struct fixture *f, const json_t *run, const char *arguments)
{
	json_t *json = colink(f, arguments);

	if (!json_equal(json_object_get(run, "tokens"), json_object_get(json, "tokens")))
		fail_msg("%s: other tokens", arguments);
	json_decref(json);
}

static void runs_dense_and_sparse(void **state)
{
	const struct fixture *f = *state;
	json_t *dense, *sparse;

	link_model(f);
	dense = colink(f, "run model.gguf -p Hello -n 20 --ignore-eos --dense");
	assert_int_equal(json_array_size(json_object_get(dense, "tokens")), 20);
	assert_true(number(dense, "ffn_wanted_share") == 1);
	assert_true(number(dense, "ffn_active_share") > 0.1);
	assert_true(number(dense, "ffn_active_share") < 0.9);
	assert_same_tokens(f, dense, "run linked.gguf -p Hello -n 20 --ignore-eos --dense");
	sparse = colink(f, "run linked.gguf -p Hello -n 20 --ignore-eos --io pread");
	assert_true(number(sparse, "ffn_wanted_share") < 1);
	assert_true(number(sparse, "ffn_wanted_share") > 0.1);
	assert_same_tokens(f, sparse, "run linked.gguf -p Hello -n 20 --ignore-eos --io mmap");
	assert_same_tokens(f, sparse, "run linked.gguf -p Hello -n 20 --ignore-eos --batch 1 "
				      "--cache-ratio 0.5 --gap 0 --threads 2");
	json_decref(sparse);
	json_decref(dense);
}

static void eval_finds_what_the_predictor_does(void **state)
{
	const struct fixture *f = *state;
	json_t *json, *predictor;

	link_model(f);
	json = colink(f, "eval linked.gguf --text text");
	predictor = json_object_get(json, "predictor");
	assert_true(number(json, "tokens") == TEXT_BYTES);
	assert_true(number(predictor, "recall") > 0.8);
	assert_true(number(predictor, "precision") > number(json, "ffn_active_share"));
	json_decref(json);
}

static void steps_are_reproducible(void **state)
{
	const struct fixture *f = *state;
	char *path = path_in(f->folder, "linked.gguf"), *first, *second;
	size_t length, again;

	link_model(f);
	first = file_contents(path, &length);
	link_model(f);
	second = file_contents(path, &again);
	assert_int_equal(length, again);
	assert_memory_equal(first, second, length);
	free(second);
	free(first);
	free(path);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(dense_logits_are_right_in_any_order),
		CASE(eval_finds_what_the_predictor_does),
		CASE(info_says_what_it_is),
		CASE(runs_dense_and_sparse),
		CASE(steps_are_reproducible),
	};

	return cmocka_run_group_tests_name("gated", tests, NULL, NULL);
}
