// SPDX-License-Identifier: GPL-2.0-only
/* colink import: a Hugging Face checkpoint directory in, a model file out. */
#include <stdio.h>
#include <sys/stat.h>

#include "cli/steps.h"

static int import_model(const char *source, const char *output, bool json, struct error *err)
{
	char bytes[HUMAN_SIZE];
	struct stat st;
	int ret;

	ret = step_import("import", source, output, err);
	if (ret < 0)
		return ret;
	if (stat(output, &st) < 0)
		st.st_size = 0;
	if (json)
		return print_json(json_pack("{s:o, s:I}", "output", json_text(output),
					    "bytes", (json_int_t)st.st_size), err);
	printf("%s: %s\n", output, human_bytes((uint64_t)st.st_size, bytes));
	return finish_output(err);
}

int cmd_import(const struct command *command, int argc, char **argv)
{
	const char *output = NULL, *source;
	bool json = false;
	const struct option_spec specs[] = {
		{ "output", 'o', OPTION_STRING, &output, "OUT: the model file to write" },
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object" },
	};
	struct error err = { 0 };
	int status;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &source, 1);
	if (status >= 0)
		return status;
	if (!output)
		return usage_error(command, "-o OUT is missing");
	return import_model(source, output, json, &err) < 0 ? report_failure(&err) : EXIT_DONE;
}
