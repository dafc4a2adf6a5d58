// SPDX-License-Identifier: GPL-2.0-only
/*
 * colink logits: what the model thinks of the next token, as raw numbers. Dense by
 * default: the numbers of other implementations are what these are compared with.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "infer/generate.h"
#include "infer/logits.h"

/* Logits shown to people; --json has all. */
#define SHOWN 10
/* Of JSON, or of a list to be sorted, for each logit. */
#define BYTES_OF_LOGIT 64

struct logits_options {
	struct engine_options engine;
	const char *prompt;
	const char *ids;
	bool sparse;
	bool json;
};

/* "2,17,301" */
static int parse_ids(const char *text, uint32_t **ids, size_t *count, struct error *err)
{
	uint32_t *list = malloc((strlen(text) / 2 + 1) * sizeof(*list));

	if (!list)
		return error_no_memory(err, "token ids");
	*count = 0;
	for (;;) {
		char *end;
		unsigned long id;

		errno = 0;
		id = strtoul(text, &end, 10);
		if (*text < '0' || *text > '9' || errno || id > UINT32_MAX ||
		    (*end && *end != ',')) {
			free(list);
			return error_set(err, -EINVAL, "--ids: '%.20s' is not a token id", text);
		}
		list[(*count)++] = (uint32_t)id;
		if (!*end)
			break;
		text = end + 1;
	}
	*ids = list;
	return 0;
}

static json_t *logits_json(const struct engine *engine, const float *logits, const uint32_t *ids,
			   size_t n_ids)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < engine->model->config.n_vocab; i++)
		json_array_append_new(array, json_real(logits[i]));
	return json_pack("{s:o, s:o, s:o}",
		"logits", array,
		"ids", json_u32s(ids, n_ids),
		"memory", engine_memory_json(&engine->io));
}

struct ranked {
	float logit;
	uint32_t id;
};

static int by_logit(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;

	if (a->logit != b->logit)
		return a->logit < b->logit ? 1 : -1;
	return (a->id > b->id) - (a->id < b->id);
}

/* In quotes, on one line whatever the token's bytes are. */
static void show_token(const struct tokenizer *tokenizer, uint32_t id)
{
	const char *bytes;
	size_t length = tokenizer_bytes(tokenizer, id, &bytes);

	putchar('\'');
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)bytes[i];

		if (byte < 0x20 || byte == 0x7f)
			printf("\\x%02x", byte);
		else
			putchar(byte);
	}
	puts("'");
}

static int show_best(const float *logits, const struct model *model, struct error *err)
{
	uint32_t n = model->config.n_vocab;
	struct ranked *ranked = malloc(n * sizeof(*ranked));

	if (!ranked)
		return error_no_memory(err, "logits");
	for (uint32_t i = 0; i < n; i++)
		ranked[i] = (struct ranked){ .logit = logits[i], .id = i };
	qsort(ranked, n, sizeof(*ranked), by_logit);
	for (uint32_t i = 0; i < SHOWN && i < n; i++) {
		printf("%10.5f  %6u  ", (double)ranked[i].logit, ranked[i].id);
		show_token(model->tokenizer, ranked[i].id);
	}
	free(ranked);
	return finish_output(err);
}

static int compute(struct engine *engine, const struct logits_options *options, uint32_t **ids,
		   size_t *n_ids, float **logits, struct error *err)
{
	const struct model_config *config = &engine->model->config;
	struct engine_work work = {
		.mode = options->sparse ? SESSION_SPARSE : SESSION_DENSE,
		.bytes = (uint64_t)config->n_vocab * BYTES_OF_LOGIT,
	};
	int ret;

	if (options->ids)
		ret = parse_ids(options->ids, ids, n_ids, err);
	else
		ret = engine_encode(engine->model, options->prompt, true, ids, n_ids, err);
	if (ret < 0)
		return ret;
	if (*n_ids > config->n_context)
		return error_set(err, -ERANGE, "%zu tokens, the model's context holds %u", *n_ids,
				 config->n_context);
	*logits = malloc(config->n_vocab * sizeof(**logits));
	if (!*logits)
		return error_no_memory(err, "logits");
	work.max_tokens = (uint32_t)*n_ids;
	ret = engine_start(engine, &options->engine, &work, err);
	if (ret == 0)
		ret = generate_prompt(engine->session, *ids, *n_ids, err);
	if (ret < 0)
		return ret;
	session_logits(engine->session, session_batch(engine->session) - 1, 1, *logits);
	return logits_check(*logits, config->n_vocab, err);
}

static int print_logits(const char *path, const struct logits_options *options, struct error *err)
{
	struct engine engine;
	uint32_t *ids = NULL;
	float *logits = NULL;
	size_t n_ids;
	int ret;

	ret = engine_open(path, &engine, err);
	if (ret == 0)
		ret = compute(&engine, options, &ids, &n_ids, &logits, err);
	if (ret < 0)
		goto out;
	if (options->json)
		ret = print_json(logits_json(&engine, logits, ids, n_ids), err);
	else
		ret = show_best(logits, engine.model, err);
out:
	free(logits);
	free(ids);
	engine_close(&engine);
	return ret;
}

int cmd_logits(const struct command *command, int argc, char **argv)
{
	struct logits_options options = { .engine = engine_defaults() };
	struct option_spec specs[4 + ENGINE_SPECS] = {
		{ "prompt", 'p', OPTION_STRING, &options.prompt, "TEXT: what precedes" },
		{ "ids", 0, OPTION_STRING, &options.ids,
		  "N,N,...: token ids that precede, as they are" },
		{ "sparse", 0, OPTION_FLAG, &options.sparse,
		  "compute only what the predictor asks for (default: every neuron)" },
		{ "json", 0, OPTION_FLAG, &options.json, "print one JSON object with all logits" },
	};
	size_t n_specs = engine_add_specs(&options.engine, specs, 4);
	struct error err = { 0 };
	const char *path;
	int status;

	status = options_parse(command, specs, n_specs, argc, argv, &path, 1);
	if (status < 0 && !options.prompt == !options.ids)
		status = usage_error(command, "give either -p TEXT or --ids N,N,...");
	if (status < 0)
		status = engine_check(command, &options.engine);
	if (status >= 0)
		return status;
	return print_logits(path, &options, &err) < 0 ? report_failure(&err) : EXIT_DONE;
}
