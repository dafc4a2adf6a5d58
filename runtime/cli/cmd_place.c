// SPDX-License-Identifier: GPL-2.0-only
/* colink place: an order of neurons from a trace, measured on tokens it was not made from. */
#include <stdio.h>

#include "cli/steps.h"

static int place(const struct place_step *step, bool json, struct error *err)
{
	struct placement_report *report;
	int ret;

	ret = step_place(step, &report, err);
	if (ret < 0)
		return ret;
	if (json) {
		json_t *object = place_report_json(report);

		json_object_set_new(object, "output", json_string(step->output));
		json_object_set_new(object, "method", json_string(order_method_name(step->method)));
		json_object_set_new(object, "seed", json_integer((json_int_t)step->seed));
		ret = print_json(object, err);
	} else {
		show_place_report(report);
		ret = finish_output(err);
	}
	placement_report_free(report);
	return ret;
}

int cmd_place(const struct command *command, int argc, char **argv)
{
	struct place_step step = {
		.label = "place", .gap = 16, .memory = PLACEMENT_DEFAULT_MEMORY,
	};
	const char *method = "linked";
	bool json = false;
	const struct option_spec specs[] = {
		{ "output", 'o', OPTION_STRING, &step.output, "PLACEMENT: the file to write" },
		{ "method", 0, OPTION_STRING, &method,
		  "NAME: linked, frequency, random or identity (linked)" },
		{ "unseen", 0, OPTION_STRING, &step.unseen,
		  "TRACE: measure on this (default: every 10th chunk, which placing "
		  "does not see)" },
		{ "gap", 0, OPTION_U32, &step.gap,
		  "N: bundles read over in the second table (16)" },
		{ "seed", 0, OPTION_U64, &step.seed, "S: of the random order (0)" },
		{ "memory", 0, OPTION_BYTES, &step.memory, "BYTES: stay within this (2G)" },
		{ "threads", 't', OPTION_U32, &step.threads, "N: threads (one per CPU)" },
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object" },
	};
	struct error err = { 0 };
	int status, parsed;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &step.trace, 1);
	if (status >= 0)
		return status;
	if (!step.output)
		return usage_error(command, "-o PLACEMENT is missing");
	parsed = order_method_parse(method);
	if (parsed < 0)
		return usage_error(command, "--method %s: has to be linked, frequency, random or "
				   "identity", method);
	step.method = (enum order_method)parsed;
	return place(&step, json, &err) < 0 ? report_failure(&err) : EXIT_DONE;
}
