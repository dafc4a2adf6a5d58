// SPDX-License-Identifier: GPL-2.0-only
/* colink pack: the linked file from a model, a placement and a predictor. */
#include <stdio.h>

#include "cli/steps.h"

int cmd_pack(const struct command *command, int argc, char **argv)
{
	const char *placement = NULL, *predictor = NULL, *output = NULL, *model;
	bool json = false;
	const struct option_spec specs[] = {
		{ "placement", 0, OPTION_STRING, &placement, "PLACEMENT: made by 'colink place'" },
		{ "predictor", 0, OPTION_STRING, &predictor,
		  "PREDICTOR: made by 'colink train' (default: the model's own, if any)" },
		{ "output", 'o', OPTION_STRING, &output, "OUT: the linked file to write" },
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object" },
	};
	struct error err = { 0 };
	int status, ret;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &model, 1);
	if (status >= 0)
		return status;
	if (!placement || !output)
		return usage_error(command, "%s is missing", placement ? "-o OUT" :
									 "--placement PLACEMENT");
	ret = step_pack("pack", model, placement, predictor, output, &err);
	if (ret == 0 && json)
		ret = print_json(json_pack("{s:o}", "output", json_text(output)), &err);
	return ret < 0 ? report_failure(&err) : EXIT_DONE;
}
