// SPDX-License-Identifier: GPL-2.0-only
/* colink verify: every byte of a model file against its checksums, copies against each other. */
#include <stdio.h>

#include "cli/cli.h"
#include "model/model_file.h"

static int verify(const char *path, bool json, struct error *err)
{
	struct progress_bar bar;
	struct model_file *file;
	uint64_t size;
	int ret;

	ret = model_file_open(path, &file, err);
	if (ret < 0)
		return ret;
	size = gguf_file_size(file->gguf);
	progress_begin(&bar, "verify");
	ret = model_file_verify(file, &bar.progress, err);
	progress_end(&bar, ret == 0);
	model_file_close(file);
	if (ret < 0)
		return ret;
	if (json)
		return print_json(json_pack("{s:b, s:I}", "ok", 1, "bytes", (json_int_t)size), err);
	printf("%s: ok, %llu bytes\n", path, (unsigned long long)size);
	return finish_output(err);
}

int cmd_verify(const struct command *command, int argc, char **argv)
{
	const char *path;
	bool json = false;
	const struct option_spec specs[] = {
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object" },
	};
	struct error err = { 0 };
	int status;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &path, 1);
	if (status >= 0)
		return status;
	return verify(path, json, &err) < 0 ? report_failure(&err) : EXIT_DONE;
}
