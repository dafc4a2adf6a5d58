// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demo model against its reference (tests/data/demo-model/reference), which
 * was computed by another implementation in float32: token ids, logits, greedy
 * continuations, active neurons and perplexity of the imported model, dense.
 */
#include "helpers/test.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/proc_io.h"
#include "helpers/npy.h"
#include "infer/generate.h"
#include "infer/perplexity.h"
#include "infer/usage.h"
#include "model/import_opt.h"

#define LOGIT_TOLERANCE 2e-3
#define PERPLEXITY_TOLERANCE 1e-3
#define N_GREEDY 48

struct fixture {
	char *folder;
	struct model *model;
	struct session *session;
	json_t *prompts;
};

static int set_up(void **state)
{
	struct session_options options = {
		.mode = SESSION_DENSE,
		.max_batch = 512,
		.store = { .source = "auto", .cost = DEVICE_COST_UFS4, .gap_bytes = 16384 },
	};
	struct fixture *f = calloc(1, sizeof(*f));
	char *checkpoint = data_path("demo-model"), *path, *prompts;
	struct error err;

	f->folder = make_folder();
	path = path_in(f->folder, "model.gguf");
	assert_ok(import_opt(checkpoint, path, NULL, &err), &err);
	assert_ok(model_load(path, &f->model, &err), &err);
	assert_ok(session_open(f->model, &options, &f->session, &err), &err);
	prompts = path_in(checkpoint, "reference/prompts.json");
	f->prompts = json_load_file(prompts, 0, NULL);
	assert_non_null(f->prompts);
	free(prompts);
	free(path);
	free(checkpoint);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	json_decref(f->prompts);
	session_close(f->session);
	model_unload(f->model);
	remove_folder(f->folder);
	free(f);
	return 0;
}

/* The ids of a prompt as the tokenizer gives them; the caller frees them. */
static uint32_t *encode(const struct fixture *f, const json_t *prompt, size_t *count)
{
	const char *text = json_string_value(json_object_get(prompt, "prompt"));
	uint32_t *ids;
	struct error err;

	assert_ok(
		tokenizer_encode(f->model->tokenizer, text, strlen(text), true, &ids, count, &err),
		&err);
	return ids;
}

static void assert_same_ids(const uint32_t *ids, size_t count, const json_t *expected)
{
	assert_int_equal(count, json_array_size(expected));
	for (size_t i = 0; i < count; i++)
		assert_int_equal(ids[i], json_integer_value(json_array_get(expected, i)));
}

static void token_ids_are_the_reference(void **state)
{
	struct fixture *f = *state;
	size_t i;
	json_t *prompt;

	json_array_foreach(f->prompts, i, prompt) {
		size_t count;
		uint32_t *ids = encode(f, prompt, &count);

		assert_same_ids(ids, count, json_object_get(prompt, "ids"));
		free(ids);
	}
}

static void logits_are_close(void **state)
{
	struct fixture *f = *state;
	char *path = data_path("demo-model/reference/logits_last.npy");
	uint32_t n_vocab = f->model->config.n_vocab;
	float *logits = malloc(n_vocab * sizeof(*logits));
	struct npy expected;
	struct error err;
	json_t *prompt;
	size_t i;

	npy_load(path, &expected);
	assert_int_equal(expected.dims[1], n_vocab);
	json_array_foreach(f->prompts, i, prompt) {
		size_t count;
		uint32_t *ids = encode(f, prompt, &count);

		session_rewind(f->session);
		assert_ok(generate_prompt(f->session, ids, count, &err), &err);
		session_logits(f->session, session_batch(f->session) - 1, 1, logits);
		for (uint32_t v = 0; v < n_vocab; v++)
			assert_true(fabs(logits[v] - expected.f4[i * n_vocab + v]) <=
				    LOGIT_TOLERANCE);
		free(ids);
	}
	npy_free(&expected);
	free(logits);
	free(path);
}

static void greedy_tokens_are_the_reference(void **state)
{
	struct fixture *f = *state;
	const struct generate_options options = {
		.n_tokens = N_GREEDY,
		.eos = TOKEN_NONE,
		.sampler = { .top_p = 1 },
	};
	uint32_t made[N_GREEDY], n_made;
	struct error err;
	json_t *prompt;
	size_t i;

	json_array_foreach(f->prompts, i, prompt) {
		size_t count;
		uint32_t *ids = encode(f, prompt, &count);

		session_rewind(f->session);
		assert_ok(generate_prompt(f->session, ids, count, &err), &err);
		assert_ok(generate_tokens(f->session, f->model->config.n_vocab, &options, made,
					  &n_made, &err), &err);
		assert_same_ids(made, n_made, json_object_get(prompt, "greedy_ids"));
		free(ids);
	}
}

/* Checks what fires at the last position, layer by layer. */
struct activity_check {
	struct session_observer observer;
	const struct fixture *fixture;
	const json_t *prompt;
};

static int check_activity(struct session_observer *observer,
			  const struct session_layer_event *event, struct error *err)
{
	struct activity_check *check = (struct activity_check *)observer;
	size_t n = check->fixture->model->config.n_ffn;
	const uint64_t *fired = event->fired + (event->n_tokens - 1) * bits_words(n);
	const json_t *expected = json_array_get(json_object_get(check->prompt,
				"active_last_position"), event->layer);
	const json_t *near_zero = json_array_get(json_object_get(check->prompt,
				"near_zero_last_position"), event->layer);
	size_t common = 0, n_fired = bits_count(fired, bits_words(n)), i;
	json_t *neuron;

	(void)err;
	json_array_foreach(expected, i, neuron)
		common += bits_test(fired, (size_t)json_integer_value(neuron));
	/* Where the input is within 1e-4 of zero, rounding may decide either way. */
	assert_true(json_array_size(expected) + n_fired - 2 * common <=
		    (size_t)json_integer_value(near_zero));
	return 0;
}

static void the_same_neurons_fire(void **state)
{
	struct fixture *f = *state;
	struct activity_check check = { .observer.layer = check_activity, .fixture = f };
	struct error err;
	json_t *prompt;
	size_t i;

	session_observe(f->session, &check.observer);
	json_array_foreach(f->prompts, i, prompt) {
		size_t count;
		uint32_t *ids = encode(f, prompt, &count);

		check.prompt = prompt;
		session_rewind(f->session);
		/* One batch, so that the last token of the batch is the prompt's. */
		assert_true(count <= session_max_batch(f->session));
		assert_ok(session_forward(f->session, ids, (uint32_t)count, &err), &err);
		free(ids);
	}
	session_observe(f->session, NULL);
}

static void dense_perplexity_is_the_reference(void **state)
{
	struct fixture *f = *state;
	char *path = data_path("demo-model/heldout.txt");
	char *reference = data_path("demo-model/reference/perplexity.json");
	json_t *expected = json_load_file(reference, 0, NULL);
	double wanted = json_real_value(json_object_get(expected, "perplexity"));
	double active = json_real_value(json_object_get(expected, "active_share_mean"));
	struct perplexity result;
	struct usage *usage;
	size_t length, count;
	uint32_t *ids;
	struct error err;
	char *text = file_contents(path, &length);

	assert_ok(tokenizer_encode(f->model->tokenizer, text, length, false, &ids, &count, &err),
		  &err);
	assert_ok(usage_create(&f->model->config, &usage, &err), &err);
	session_observe(f->session, &usage->observer);
	assert_ok(perplexity_measure(f->session, f->model, ids, count, 512, NULL, &result, &err),
		  &err);
	session_observe(f->session, NULL);
	assert_int_equal(result.n_tokens, json_integer_value(json_object_get(expected, "tokens")));
	assert_true(fabs(result.perplexity / wanted - 1) <= PERPLEXITY_TOLERANCE);
	assert_true(fabs(usage_active_share(usage) / active - 1) <= 1e-3);
	usage_free(usage);
	json_decref(expected);
	free(text);
	free(ids);
	free(reference);
	free(path);
}

/* The first token of a large model must not wait for its bundles to be read ahead. */
static void loading_reads_the_resident_part_only(void **state)
{
	struct fixture *f = *state;
	const char *path = gguf_path(f->model->file->gguf);
	struct proc_io before, after;
	struct model *model;
	struct error err;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
	if (proc_io_read(&before) < 0)
		skip();
	assert_ok(model_load(path, &model, &err), &err);
	assert_ok(proc_io_read(&after), &err);
	/* The padding between tensors and the list of checksums come on top. */
	assert_true(after.read_bytes - before.read_bytes < model->resident_bytes + (3u << 20));
	model_unload(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dense_perplexity_is_the_reference),
		cmocka_unit_test(greedy_tokens_are_the_reference),
		cmocka_unit_test(loading_reads_the_resident_part_only),
		cmocka_unit_test(logits_are_close),
		cmocka_unit_test(the_same_neurons_fire),
		cmocka_unit_test(token_ids_are_the_reference),
	};

	return cmocka_run_group_tests_name("reference", tests, set_up, tear_down);
}
