// SPDX-License-Identifier: GPL-2.0-only
/* colink trace: which neurons fire while the model reads a text. */
#include <stdio.h>

#include "cli/steps.h"

static int trace(const struct trace_step *step, bool json, struct error *err)
{
	struct record_result result;
	int ret;

	ret = step_trace(step, &result, err);
	if (ret < 0)
		return ret;
	if (json)
		return print_json(json_pack("{s:o, s:I, s:f}", "output", json_text(step->output),
					    "tokens", (json_int_t)result.n_tokens,
					    "ffn_active_share", result.active_share), err);
	printf("%s: %llu tokens, %.2f %% of the neurons fire\n", step->output,
	       (unsigned long long)result.n_tokens, 100 * result.active_share);
	return finish_output(err);
}

int cmd_trace(const struct command *command, int argc, char **argv)
{
	struct string_list texts = { 0 };
	struct trace_step step = { .label = "trace", .texts = &texts };
	bool json = false;
	const struct option_spec specs[] = {
		{ "text", 0, OPTION_STRINGS, &texts, "FILE: text to read (repeatable)" },
		{ "output", 'o', OPTION_STRING, &step.output, "TRACE: the trace to write" },
		{ "inputs", 0, OPTION_FLAG, &step.inputs,
		  "record FFN inputs as well, for 'colink train'" },
		{ "tokens", 0, OPTION_U64, &step.max_tokens, "N: of the text; 0: all (0)" },
		{ "threads", 't', OPTION_U32, &step.threads,
		  "N: threads that compute (one per CPU)" },
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object" },
	};
	struct error err = { 0 };
	int status;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &step.model, 1);
	if (status < 0 && (!step.output || !texts.count))
		status = usage_error(command, "%s is missing",
				     texts.count ? "-o TRACE" : "--text FILE");
	if (status < 0 && same_file(step.output, step.model))
		status = usage_error(command, "-o %s is the model", step.output);
	for (size_t i = 0; status < 0 && i < texts.count; i++)
		if (same_file(step.output, texts.values[i]))
			status = usage_error(command, "-o %s is a text", step.output);
	if (status < 0)
		status = trace(&step, json, &err) < 0 ? report_failure(&err) : EXIT_DONE;
	string_list_free(&texts);
	return status;
}
