// SPDX-License-Identifier: GPL-2.0-only
/* colink tokenize: the ids that a model sees for a text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "infer/model.h"

static int load_tokenizer(const char *path, struct tokenizer **tokenizer, struct error *err)
{
	struct vocabulary *vocabulary;
	struct model_file *file;
	int ret;

	ret = model_file_open(path, &file, err);
	if (ret < 0)
		return ret;
	ret = model_file_vocabulary(file, &vocabulary, err);
	if (ret == 0) {
		ret = tokenizer_create(vocabulary, path, tokenizer, err);
		vocabulary_free(vocabulary);
	}
	model_file_close(file);
	return ret;
}

static int print_ids(const char *path, const char *text, bool json, struct error *err)
{
	struct tokenizer *tokenizer;
	uint32_t *ids;
	size_t count;
	int ret;

	ret = load_tokenizer(path, &tokenizer, err);
	if (ret < 0)
		return ret;
	ret = tokenizer_encode(tokenizer, text, strlen(text), true, &ids, &count, err);
	tokenizer_destroy(tokenizer);
	if (ret < 0)
		return ret;
	if (json) {
		ret = print_json(json_pack("{s:o}", "ids", json_u32s(ids, count)), err);
	} else {
		for (size_t i = 0; i < count; i++)
			printf("%s%u", i ? " " : "", ids[i]);
		putchar('\n');
		ret = finish_output(err);
	}
	free(ids);
	return ret;
}

int cmd_tokenize(const struct command *command, int argc, char **argv)
{
	const char *prompt = NULL, *path;
	bool json = false;
	const struct option_spec specs[] = {
		{ "prompt", 'p', OPTION_STRING, &prompt, "TEXT: the text" },
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object" },
	};
	struct error err = { 0 };
	int status;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &path, 1);
	if (status >= 0)
		return status;
	if (!prompt)
		return usage_error(command, "-p TEXT is missing");
	return print_ids(path, prompt, json, &err) < 0 ? report_failure(&err) : EXIT_DONE;
}
