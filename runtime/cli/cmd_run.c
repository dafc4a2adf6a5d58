// SPDX-License-Identifier: GPL-2.0-only
/* colink run: a prompt in, text out as it is made. */
#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "cli/engine.h"
#include "infer/generate.h"

struct run_options {
	struct engine_options engine;
	const char *prompt;
	uint32_t n_tokens;
	double temperature;
	uint32_t top_k;
	double top_p;
	uint64_t seed;
	bool dense;
	bool ignore_eos;
	bool json;
};

struct run {
	const struct run_options *options;
	struct engine engine;
	uint32_t *prompt; /* (n_prompt) */
	size_t n_prompt;
	uint32_t *made; /* (n_made), room for n_tokens */
	uint32_t n_made;
	double prompt_seconds;
	double seconds; /* of generating */
	double begin; /* of the command */
	double first_token_seconds; /* from there on, loading included */
	uint64_t first_token_bytes; /* from storage by then; 0 where the kernel does not count */
	bool begun; /* a token was made */
	struct utf8_stream utf8;
};

static void note_first_token(struct run *run)
{
	struct proc_io io = { 0 };

	run->begun = true;
	run->first_token_seconds = now_seconds() - run->begin;
	proc_io_read(&io);
	run->first_token_bytes = io.read_bytes;
}

/* Show a token's text at once. What is not yet a whole character waits. */
static int show_token(struct run *run, uint32_t id)
{
	const char *bytes;
	size_t length = tokenizer_bytes(run->engine.model->tokenizer, id, &bytes);
	char *text = malloc(UTF8_STREAM_ROOM(length));
	size_t n;

	if (!text)
		return -ENOMEM;
	n = utf8_stream_push(&run->utf8, bytes, length, text);
	fwrite(text, 1, n, stdout);
	free(text);
	return fflush(stdout) ? -errno : 0;
}

static int take_token(void *arg, uint32_t id)
{
	struct run *run = arg;

	if (!run->begun)
		note_first_token(run);
	return run->options->json ? 0 : show_token(run, id);
}

static void end_text(struct run *run)
{
	char text[UTF8_STREAM_ROOM(0)];
	size_t n = utf8_stream_end(&run->utf8, text);

	fwrite(text, 1, n, stdout);
	putchar('\n');
}

/* The text of all made tokens, which may hold NUL bytes; the caller frees it. */
static char *made_text(const struct run *run, size_t *text_length)
{
	struct utf8_stream stream = { 0 };
	size_t length = 0, n = 0;
	char *text;

	for (uint32_t i = 0; i < run->n_made; i++) {
		const char *bytes;

		length += tokenizer_bytes(run->engine.model->tokenizer, run->made[i], &bytes);
	}
	text = malloc(UTF8_STREAM_ROOM(length) + UTF8_STREAM_ROOM(0));
	for (uint32_t i = 0; text && i < run->n_made; i++) {
		const char *bytes;
		size_t part = tokenizer_bytes(run->engine.model->tokenizer, run->made[i], &bytes);

		n += utf8_stream_push(&stream, bytes, part, text + n);
	}
	if (text)
		n += utf8_stream_end(&stream, text + n);
	*text_length = n;
	return text;
}

static json_t *run_json(const struct run *run, const struct bundle_store_stats *stats)
{
	const struct engine *engine = &run->engine;
	size_t length;
	char *text = made_text(run, &length);
	json_t *object;

	object = json_pack("{s:o, s:s%, s:o, s:{s:f, s:I}, s:f, s:f, s:f, s:f, s:f, s:o, s:s, s:i, "
			   "s:I, s:o, s:I, s:b}",
		"tokens", json_u32s(run->made, run->n_made),
		"text", text ? text : "", length,
		"prompt_tokens", json_u32s(run->prompt, run->n_prompt),
		"first_token",
		"seconds", run->first_token_seconds,
		"read_bytes", (json_int_t)run->first_token_bytes,
		"prompt_seconds", run->prompt_seconds,
		"tokens_per_s", run->seconds > 0 ? run->n_made / run->seconds : 0.0,
		"ffn_active_share", usage_active_share(engine->usage),
		"ffn_wanted_share", usage_wanted_share(engine->usage),
		"ffn_read_share", engine_read_share(&engine->io, stats, engine->usage->n_tokens),
		"io", engine_io_json(&engine->io, stats, engine->usage->n_tokens),
		"kernels", session_kernels(engine->session),
		"threads", (int)session_threads(engine->session),
		"dram_bytes", (json_int_t)(engine->model->resident_bytes +
					   session_memory(engine->session) +
					   bundle_store_memory(session_store(engine->session))),
		"memory", engine_memory_json(&engine->io),
		"seed", (json_int_t)run->options->seed,
		"dense", run->options->dense);
	free(text);
	return object;
}

/* For people, on stderr so that stdout is the text alone. */
static void show_summary(const struct run *run, const struct bundle_store_stats *stats)
{
	fprintf(stderr, "%zu prompt tokens in %.2f s, %u tokens at %.1f tokens/s; ", run->n_prompt,
		run->prompt_seconds, run->n_made,
		run->seconds > 0 ? run->n_made / run->seconds : 0);
	engine_show_io(stderr, &run->engine.io, stats, run->engine.usage->n_tokens);
	if (run->options->engine.memory != ENGINE_NO_BUDGET)
		engine_show_memory(&run->engine.io);
}

static int generate(struct run *run, struct error *err)
{
	const struct run_options *options = run->options;
	const struct model *model = run->engine.model;
	struct generate_options generate_options = {
		.n_tokens = options->n_tokens,
		.eos = options->ignore_eos ? TOKEN_NONE : tokenizer_eos(model->tokenizer),
		.sampler = {
			.temperature = (float)options->temperature,
			.top_k = options->top_k,
			.top_p = (float)options->top_p,
			.seed = options->seed,
		},
		.token = take_token,
		.arg = run,
	};
	double begin = now_seconds();
	int ret;

	ret = generate_prompt(run->engine.session, run->prompt, run->n_prompt, err);
	run->prompt_seconds = now_seconds() - begin;
	if (ret < 0)
		return ret;
	begin = now_seconds();
	ret = generate_tokens(run->engine.session, model->config.n_vocab, &generate_options,
			      run->made, &run->n_made, err);
	run->seconds = now_seconds() - begin;
	if (!options->json)
		end_text(run);
	return ret;
}

/* Of text and JSON that is made of a token: its number, and what it stands for. */
#define BYTES_OF_TOKEN 256

/* Open, encode the prompt, and make room for it and the tokens to come. */
static int prepare(struct run *run, const char *path, struct error *err)
{
	const struct run_options *options = run->options;
	struct engine *engine = &run->engine;
	struct engine_work work = { .mode = options->dense ? SESSION_DENSE : SESSION_SPARSE };
	size_t room;
	int ret;

	ret = engine_open(path, engine, err);
	if (ret == 0)
		ret = engine_encode(engine->model, options->prompt, true, &run->prompt,
				    &run->n_prompt, err);
	if (ret < 0)
		return ret;
	room = engine->model->config.n_context;
	if (run->n_prompt > room)
		return error_set(err, -ERANGE, "%s: the prompt has %zu tokens, the model's context "
				 "holds %zu", path, run->n_prompt, room);
	if (options->n_tokens < room - run->n_prompt)
		room = run->n_prompt + options->n_tokens;
	run->made = malloc((room + 1) * sizeof(run->made[0]));
	if (!run->made)
		return error_no_memory(err, "tokens");
	work.max_tokens = (uint32_t)room;
	work.bytes = generate_bytes(engine->model->config.n_vocab) +
		     (uint64_t)room * BYTES_OF_TOKEN;
	return engine_start(engine, &options->engine, &work, err);
}

static int run_model(const char *path, const struct run_options *options, struct error *err)
{
	struct run run = { .options = options, .begin = now_seconds() };
	struct bundle_store_stats stats;
	int ret;

	ret = prepare(&run, path, err);
	if (ret == 0)
		ret = generate(&run, err);
	if (ret == 0)
		ret = bundle_store_get_stats(session_store(run.engine.session), &stats, err);
	if (ret < 0)
		goto out;
	if (options->json) {
		ret = print_json(run_json(&run, &stats), err);
	} else {
		ret = finish_output(err);
		if (ret == 0)
			show_summary(&run, &stats);
	}
out:
	engine_close(&run.engine);
	free(run.made);
	free(run.prompt);
	return ret;
}

int cmd_run(const struct command *command, int argc, char **argv)
{
	struct run_options options = {
		.engine = engine_defaults(),
		.n_tokens = 128,
		.top_p = 1,
	};
	struct option_spec specs[10 + ENGINE_SPECS] = {
		{ "prompt", 'p', OPTION_STRING, &options.prompt, "TEXT: what to continue" },
		{ "n-tokens", 'n', OPTION_U32, &options.n_tokens, "N: most tokens to make (128)" },
		{ "temp", 0, OPTION_REAL, &options.temperature, "T: temperature; 0: greedy (0)" },
		{ "top-k", 0, OPTION_U32, &options.top_k, "K: of the K most likely; 0: all (0)" },
		{ "top-p", 0, OPTION_REAL, &options.top_p,
		  "P: of the fewest that reach probability P (1)" },
		{ "seed", 0, OPTION_U64, &options.seed, "S: of the random numbers (0)" },
		{ "dense", 0, OPTION_FLAG, &options.dense,
		  "read and compute every neuron, not only the foretold ones" },
		{ "ignore-eos", 0, OPTION_FLAG, &options.ignore_eos, "go on after the end token" },
		{ "json", 0, OPTION_FLAG, &options.json, "print one JSON object at the end" },
	};
	size_t n_specs = engine_add_specs(&options.engine, specs, 9);
	struct error err = { 0 };
	const char *path;
	int status;

	status = options_parse(command, specs, n_specs, argc, argv, &path, 1);
	if (status >= 0)
		return status;
	if (!options.prompt)
		return usage_error(command, "-p TEXT is missing");
	status = engine_check(command, &options.engine);
	if (status >= 0)
		return status;
	if (!(options.temperature >= 0 && options.temperature <= FLT_MAX))
		return usage_error(command, "--temp %g: has to be 0 or more", options.temperature);
	if (!((float)options.top_p > 0 && options.top_p <= 1))
		return usage_error(command, "--top-p %g: has to be above 0 and at most 1",
				   options.top_p);
	return run_model(path, &options, &err) < 0 ? report_failure(&err) : EXIT_DONE;
}
