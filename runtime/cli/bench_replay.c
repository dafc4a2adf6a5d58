// SPDX-License-Identifier: GPL-2.0-only
/* colink bench replay: colink run without arithmetic, by a trace. */
#include <stdio.h>

#include "bench/replay.h"
#include "cli/engine_io.h"
#include "infer/model_store.h"

struct replay_command {
	struct engine_options engine;
	struct replay_options replay;
	const char *model;
	const char *trace;
	bool json;
};

/* What is open. */
struct opened {
	struct model_file *file;
	struct engine_io io;
	struct replay replay;
	struct bundle_store *store;
};

/* Where that succeeds, the trace is not needed any more. */
static int read_trace(const struct replay_command *options, const struct memory_user *user,
		      struct opened *opened, struct error *err)
{
	struct trace *trace;
	uint32_t tokens;
	int ret;

	ret = trace_open(options->trace, &trace, err);
	if (ret < 0)
		return ret;
	ret = replay_tokens(opened->file, trace, options->trace, &options->replay, &tokens, err);
	if (ret == 0)
		ret = engine_io_plan(&opened->io, &options->engine, user,
				     replay_bytes(trace, tokens), err);
	if (ret == 0)
		ret = replay_read(opened->file, trace, options->trace, &options->replay, tokens,
				  &opened->replay, err);
	trace_close(trace);
	return ret;
}

static int open_all(const struct replay_command *options, struct opened *opened,
		    struct error *err)
{
	struct bundle_store_options store_options;
	struct memory_user user = { .store = &store_options };
	int ret;

	ret = model_file_open(options->model, &opened->file, err);
	if (ret < 0)
		return ret;
	user.file = opened->file;
	engine_io_open(&opened->io, opened->file);
	store_options = engine_store_options(&options->engine, opened->io.cost);
	ret = read_trace(options, &user, opened, err);
	if (ret == 0)
		ret = model_store_open(opened->file, &store_options, &opened->store, err);
	return ret;
}

static void close_all(struct opened *opened)
{
	bundle_store_close(opened->store);
	replay_free(&opened->replay);
	engine_io_close(&opened->io);
	model_file_close(opened->file);
}

static double tokens_per_s(const struct replay *replay, const struct replay_result *result)
{
	return result->seconds > 0 ? replay->slots.n_tokens / result->seconds : 0;
}

static json_t *replay_json(const struct opened *opened, const struct replay_result *result,
			   const struct bundle_store_stats *stats)
{
	const struct replay *replay = &opened->replay;
	uint32_t tokens = replay->slots.n_tokens;
	char checksum[17];

	/* As text: JSON's integers have a sign. */
	snprintf(checksum, sizeof(checksum), "%016llx", (unsigned long long)result->checksum);
	return json_pack("{s:i, s:I, s:f, s:f, s:s, s:I, s:i, s:i, s:i, s:f, s:f, s:o, s:o}",
		"tokens", (int)tokens,
		"skipped_tokens", (json_int_t)replay->first,
		"seconds", result->seconds,
		"tokens_per_s", tokens_per_s(replay, result),
		"checksum", checksum,
		"compute_us", (json_int_t)replay->compute_us,
		"layers", (int)replay->slots.n_layers,
		"neurons", (int)replay->slots.n_slots,
		"bundle_bytes", (int)replay->stride,
		"wanted_per_token", (double)result->wanted_bundles / tokens,
		"ffn_read_share", engine_read_share(&opened->io, stats, tokens),
		"io", engine_io_json(&opened->io, stats, tokens),
		"memory", engine_memory_json(&opened->io));
}

static int report(const struct replay_command *options, const struct opened *opened,
		  const struct replay_result *result, struct error *err)
{
	const struct replay *replay = &opened->replay;
	struct bundle_store_stats stats;
	int ret;

	ret = bundle_store_get_stats(opened->store, &stats, err);
	if (ret < 0)
		return ret;
	if (options->json)
		return print_json(replay_json(opened, result, &stats), err);
	printf("%u tokens at %.1f tokens/s, checksum %016llx; ", replay->slots.n_tokens,
	       tokens_per_s(replay, result), (unsigned long long)result->checksum);
	engine_show_io(stdout, &opened->io, &stats, replay->slots.n_tokens);
	ret = finish_output(err);
	if (ret == 0 && options->engine.memory != ENGINE_NO_BUDGET)
		engine_show_memory(&opened->io);
	return ret;
}

static int replay_model(const struct replay_command *options, struct error *err)
{
	struct opened opened = { 0 };
	struct replay_result result;
	int ret;

	ret = open_all(options, &opened, err);
	if (ret == 0)
		ret = engine_io_begin(&opened.io, opened.store, err);
	if (ret == 0)
		ret = replay_run(&opened.replay, opened.store, &result, err);
	if (ret == 0)
		ret = report(options, &opened, &result, err);
	close_all(&opened);
	return ret;
}

int bench_replay(const struct command *command, int argc, char **argv)
{
	struct replay_command options = { .engine = engine_defaults() };
	uint32_t tokens = UINT32_MAX; /* not given */
	struct option_spec specs[5 + ENGINE_STORE_SPECS] = {
		{ "trace", 0, OPTION_STRING, &options.trace, "FILE: of the model (colink trace)" },
		{ "tokens", 0, OPTION_U32, &tokens,
		  "N: of the trace (128, or as many as there are)" },
		{ "skip", 0, OPTION_U32, &options.replay.skip,
		  "N: tokens of the trace that come before the first (0)" },
		{ "compute-us", 0, OPTION_U32, &options.replay.compute_us,
		  "US: keep the CPU busy so long per layer, in place of computing (0)" },
		{ "json", 0, OPTION_FLAG, &options.json, "print one JSON object" },
	};
	size_t n_specs = engine_add_store_specs(&options.engine, specs, 5);
	struct error err = { 0 };
	int status;

	status = options_parse(command, specs, n_specs, argc, argv, &options.model, 1);
	if (status >= 0)
		return status;
	if (!options.trace)
		return usage_error(command, "--trace FILE is needed");
	if (tokens == 0)
		return usage_error(command, "--tokens 0: has to be 1 at least");
	options.replay.tokens = tokens == UINT32_MAX ? 0 : tokens;
	status = engine_check(command, &options.engine);
	if (status >= 0)
		return status;
	return replay_model(&options, &err) < 0 ? report_failure(&err) : EXIT_DONE;
}
