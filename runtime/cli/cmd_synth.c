// SPDX-License-Identifier: GPL-2.0-only
/* colink synth: a model of a named shape with random weights, and traces for it. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "synth/synth_model.h"
#include "synth/synth_trace.h"

static int unknown_shape(const struct command *command, const char *name)
{
	char names[256] = "";
	size_t used = 0;

	for (uint32_t i = 0; model_shape_at(i); i++)
		used += snprintf(names + used, sizeof(names) - used, " %s", model_shape_at(i)->name);
	return usage_error(command, "no shape '%s'; there are:%s", name, names);
}

static int write_model(const char *path, const struct model_shape *shape, uint64_t seed,
		       struct error *err)
{
	struct progress_bar bar;
	int ret;

	progress_begin(&bar, "model");
	ret = synth_model_write(path, shape, seed, &bar.progress, err);
	progress_end(&bar, ret == 0);
	return ret;
}

static int write_trace(const char *path, const struct synth_trace_options *options,
		       struct error *err)
{
	struct progress_bar bar;
	int ret;

	progress_begin(&bar, "trace");
	ret = synth_trace_write(path, options, &bar.progress, err);
	progress_end(&bar, ret == 0);
	return ret;
}

int cmd_synth(const struct command *command, int argc, char **argv)
{
	const char *model = NULL, *trace = NULL, *name;
	struct synth_trace_options options = { .tokens = 20000, .seed = 1 };
	bool json = false;
	const struct option_spec specs[] = {
		{ "output", 'o', OPTION_STRING, &model, "OUT: the model file to write" },
		{ "trace", 0, OPTION_STRING, &trace, "OUT: the trace to write" },
		{ "tokens", 0, OPTION_U64, &options.tokens, "N: of the trace (20000)" },
		{ "skip", 0, OPTION_U64, &options.skip,
		  "N: begin the trace after so many tokens of its sequence (0)" },
		{ "independent", 0, OPTION_FLAG, &options.independent,
		  "neurons of the trace know nothing of each other: linking must gain nothing" },
		{ "seed", 0, OPTION_U64, &options.seed, "N: of weights and activations (1)" },
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object" },
	};
	struct error err = { 0 };
	int status, ret = 0;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &name, 1);
	if (status >= 0)
		return status;
	options.shape = model_shape_find(name);
	if (!options.shape)
		return unknown_shape(command, name);
	if (!model && !trace)
		return usage_error(command, "-o OUT or --trace OUT is missing");
	if (same_file(model, trace))
		return usage_error(command, "-o %s is the trace, too", model);
	if (model)
		ret = write_model(model, options.shape, options.seed, &err);
	if (ret == 0 && trace)
		ret = write_trace(trace, &options, &err);
	if (ret == 0 && json)
		ret = print_json(json_pack("{s:s, s:o, s:o, s:I, s:I}", "shape", name,
					   "model", model ? json_text(model) : json_null(),
					   "trace", trace ? json_text(trace) : json_null(),
					   "tokens", (json_int_t)(trace ? options.tokens : 0),
					   "seed", (json_int_t)options.seed),
				 &err);
	return ret < 0 ? report_failure(&err) : EXIT_DONE;
}
