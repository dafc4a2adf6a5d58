// SPDX-License-Identifier: GPL-2.0-only
/*
 * colink unload: end the processes that keep models loaded, and tell what the BPF
 * programs did: their counters stay readable here until this ends, too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/loaded.h"

/*
 * The counters are opened first, then it ends, then they are read: so none is missed. It
 * ends even if they cannot be opened.
 */
static int end(const char *directory, const struct link_state *state, bool json,
	       json_t *unloaded, struct error *err)
{
	struct loaded loaded;
	int ret;

	ret = loaded_open(state, &loaded, err);
	if (ret < 0) {
		link_state_stop(directory, state, NULL);
		return ret;
	}
	ret = link_state_stop(directory, state, err);
	if (ret == 0)
		ret = loaded_count(&loaded, err);
	if (ret == 0 && json) {
		json_array_append_new(unloaded, loaded_json(&loaded));
	} else if (ret == 0) {
		loaded_show(&loaded, "unloaded");
		loaded_show_counters(&loaded);
	}
	loaded_close(&loaded);
	return ret;
}

/* One that does not end keeps nothing from the others; the first error is told. */
static int end_all(const char *directory, const struct link_state *list, size_t count, bool json,
		   struct error *err)
{
	json_t *unloaded = json_array();
	struct error other;
	int ret = 0, printed;

	for (size_t i = 0; i < count; i++) {
		int one = end(directory, &list[i], json, unloaded, ret ? &other : err);

		if (ret == 0)
			ret = one;
	}
	if (json)
		printed = print_json(json_pack("{s:o}", "unloaded", unloaded), ret ? &other : err);
	else
		printed = finish_output(ret ? &other : err);
	if (!json)
		json_decref(unloaded);
	return ret ? ret : printed;
}

static int unload(const char *directory, const char *path, bool json, struct error *err)
{
	struct link_state *list;
	size_t count;
	int ret;

	ret = link_state_list(directory, path, &list, &count, err);
	if (ret < 0)
		return ret;
	if (path && !count)
		ret = error_set(err, -ENOENT, "%s: is not loaded", path);
	else
		ret = end_all(directory, list, count, json, err);
	free(list);
	return ret;
}

int cmd_unload(const struct command *command, int argc, char **argv)
{
	const char *directory = NULL;
	bool json = false;
	const struct option_spec specs[] = {
		{ "state", 0, OPTION_STRING, &directory,
		  "DIR: where it is kept what is loaded ($COLINK_STATE, /run/colink)" },
		{ "json", 0, OPTION_FLAG, &json, "print one JSON object" },
	};
	struct error err = { 0 };
	size_t n_models;
	char **models;
	int status;

	status = options_parse_any(command, specs, COUNT_OF(specs), argc, argv, &models, &n_models);
	if (status >= 0)
		return status;
	if (n_models > 1)
		return usage_error(command, "expected: %s", command->arguments);
	if (unload(loaded_directory(directory), n_models ? models[0] : NULL, json, &err) < 0)
		return report_failure(&err);
	return EXIT_DONE;
}
