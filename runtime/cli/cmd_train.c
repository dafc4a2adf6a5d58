// SPDX-License-Identifier: GPL-2.0-only
/* colink train: a predictor from a trace with inputs. */
#include <stdio.h>

#include "cli/steps.h"

static int train(const struct train_step *step, bool json, struct error *err)
{
	struct train_report *report;
	int ret;

	ret = step_train(step, &report, err);
	if (ret < 0)
		return ret;
	if (json) {
		json_t *object = train_report_json(report);

		json_object_set_new(object, "output", json_text(step->output));
		json_object_set_new(object, "ratio", json_real(step->options.ratio));
		ret = print_json(object, err);
	} else {
		show_train_report(report);
		ret = finish_output(err);
	}
	train_report_free(report);
	return ret;
}

int cmd_train(const struct command *command, int argc, char **argv)
{
	struct train_step step = { .label = "train", .options.ratio = TRAIN_DEFAULT_RATIO };
	bool json = false;
	const struct option_spec specs[] = {
		{ "trace", 0, OPTION_STRING, &step.trace,
		  "TRACE: made by 'colink trace --inputs' from the same model" },
		{ "output", 'o', OPTION_STRING, &step.output, "PREDICTOR: the file to write" },
		{ "rank", 0, OPTION_U32, &step.options.rank,
		  "R: of its matrices (a quarter of the width)" },
		{ "ratio", 0, OPTION_REAL, &step.options.ratio,
		  "X: neurons asked for, as a multiple of those that fire (1.5)" },
		{ "threads", 't', OPTION_U32, &step.threads, "N: threads (one per CPU)" },
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object" },
	};
	struct error err = { 0 };
	int status;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &step.model, 1);
	if (status >= 0)
		return status;
	if (!step.trace || !step.output)
		return usage_error(command, "%s is missing", step.trace ? "-o PREDICTOR" :
									  "--trace TRACE");
	if (!(step.options.ratio > 0))
		return usage_error(command, "--ratio %g: has to be above 0", step.options.ratio);
	if (same_file(step.output, step.trace) || same_file(step.output, step.model))
		return usage_error(command, "-o %s is a file that is read", step.output);
	return train(&step, json, &err) < 0 ? report_failure(&err) : EXIT_DONE;
}
