// SPDX-License-Identifier: GPL-2.0-only
/*
 * colink load: link_prefetch for a linked file, kept by a process in the background.
 *
 * Of a model that is loaded already the policy is changed, in the map of the program that
 * runs: root finds the map by its id, so that the process that holds it takes no part.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/holder.h"
#include "cli/loaded.h"
#include "kernel/link_holding.h"
#include "kernel/link_policy.h"
#include "model/model_file.h"
#include "storage/device.h"

#define NOT_GIVEN UINT64_MAX

/* The BPF program counts steps of its loops up to this without leave of the kernel. */
#define MAX_STEPS (1u << 20)

/* How long another process may take to load the same model, in a debug kernel, too. */
#define PATIENCE_SECONDS 60

struct load_options {
	const char *path;
	const char *directory;
	double threshold; /* NAN: not given */
	uint64_t max_run;
	uint64_t max_hot;
	const char *read_around; /* NULL: not given */
	uint64_t gap_bytes;
	bool foreground;
	bool status;
	bool json;
};

static int report(const struct load_options *options, struct loaded *loaded, const char *verb,
		  bool before, struct error *err)
{
	json_t *object;

	if (!options->json) {
		loaded_show(loaded, verb);
		if (before)
			loaded_show_counters(loaded);
		return finish_output(err);
	}
	object = loaded_json(loaded);
	if (object)
		json_object_set_new(object, "already_loaded", json_boolean(before));
	return print_json(object, err);
}

static int report_state(const struct load_options *options, const struct link_state *state,
			const char *verb, bool before, struct error *err)
{
	struct loaded loaded;
	int ret;

	ret = loaded_open(state, &loaded, err);
	if (ret < 0)
		return ret;
	ret = report(options, &loaded, verb, before, err);
	loaded_close(&loaded);
	return ret;
}

/* Only what is given; the rest stays as it was. */
static void amend(struct link_policy *policy, const struct load_options *options)
{
	if (!isnan(options->threshold))
		policy->threshold = (uint32_t)(options->threshold * LINK_ONE + 0.5);
	if (options->max_run != NOT_GIVEN)
		policy->max_run = (uint32_t)options->max_run;
	if (options->max_hot != NOT_GIVEN)
		policy->max_hot = (uint32_t)options->max_hot;
	if (options->read_around)
		policy->read_around = (uint32_t)read_around_parse(options->read_around);
}

static int change_policy(const struct load_options *options, const struct link_state *state,
			 struct error *err)
{
	struct loaded loaded;
	int ret;

	if (options->foreground)
		return error_set(err, -EALREADY, "%s: is loaded already, held by process %d",
				 options->path, (int)state->pid);
	if (options->gap_bytes != NOT_GIVEN && options->gap_bytes != state->gap_bytes)
		return error_set(err, -EALREADY, "%s: is loaded with a --gap of %llu; to change "
				 "that, 'colink unload' it first",
				 options->path, (unsigned long long)state->gap_bytes);
	ret = loaded_open(state, &loaded, err);
	if (ret < 0)
		return ret;
	amend(&loaded.policy, options);
	ret = link_policy_set(loaded.policy_map, &loaded.policy, err);
	if (ret == 0)
		ret = report(options, &loaded, "was loaded, has this policy now", true, err);
	loaded_close(&loaded);
	return ret;
}

/* It goes on here, until a signal comes. */
static int hold(const struct load_options *options, struct link_holding *holding,
		struct error *err)
{
	struct loaded loaded;
	int ret;

	ret = link_holding_publish(holding, getpid(), err);
	if (ret == 0)
		ret = loaded_open(link_holding_state(holding), &loaded, err);
	if (ret < 0) {
		link_holding_end(holding);
		return ret;
	}
	ret = report(options, &loaded, "loaded", false, err);
	if (ret == 0)
		holder_wait();
	link_holding_end(holding);
	if (ret == 0)
		ret = loaded_count(&loaded, err);
	if (ret == 0 && !options->json) {
		loaded_show_counters(&loaded);
		ret = finish_output(err);
	}
	loaded_close(&loaded);
	return ret;
}

static int hand_over(const struct load_options *options, struct link_holding *holding,
		     struct error *err)
{
	struct link_state state;
	int ret;

	ret = holder_start(holding, &state, err);
	if (ret < 0)
		return ret;
	return report_state(options, &state, "loaded", false, err);
}

/*
 * Load the file, or find who has. *holding is NULL in the second case. While another
 * process is loading it, it is neither ours nor the other's.
 */
static int load_or_find(const struct load_options *options, const struct model_file *file,
			struct link_holding **holding, struct link_state *state,
			struct error *err)
{
	const struct timespec moment = { .tv_nsec = 10 * 1000 * 1000 };
	const double give_up = now_seconds() + PATIENCE_SECONDS;
	struct link_policy policy = { LINK_POLICY_DEFAULT, LINK_POLICY_DEFAULT,
				      LINK_POLICY_DEFAULT, LINK_POLICY_DEFAULT };
	uint64_t gap_bytes = options->gap_bytes;
	struct stat status;
	int ret;

	if (gap_bytes == NOT_GIVEN)
		gap_bytes = device_break_even_bytes(DEVICE_COST_UFS4);
	amend(&policy, options);
	if (fstat(gguf_descriptor(file->gguf), &status))
		return error_set(err, -errno, "%s: %s", options->path, strerror(errno));
	link_state_name(&status, state->name);
	for (;;) {
		*holding = NULL;
		ret = link_holding_open(file, options->directory, gap_bytes, &policy, holding, err);
		if (ret != -EALREADY)
			return ret;
		ret = link_state_read(options->directory, state->name, state, err);
		if (ret != -EAGAIN && ret != -ENOENT)
			return ret;
		if (now_seconds() > give_up)
			return ret;
		nanosleep(&moment, NULL);
	}
}

static int load(const struct load_options *options, struct error *err)
{
	struct link_holding *holding;
	struct model_file *file;
	struct link_state state;
	int ret;

	ret = model_file_open(options->path, &file, err);
	if (ret < 0)
		return ret;
	/* What comes while it is being loaded waits until there is something to end. */
	holder_block_signals();
	ret = load_or_find(options, file, &holding, &state, err);
	model_file_close(file);
	if (ret < 0)
		return ret;
	if (!holding)
		return change_policy(options, &state, err);
	return options->foreground ? hold(options, holding, err) :
				     hand_over(options, holding, err);
}

static int show_status(const struct load_options *options, struct error *err)
{
	struct link_state *list;
	size_t count;
	int ret;

	ret = link_state_list(options->directory, options->path, &list, &count, err);
	if (ret < 0)
		return ret;
	if (count)
		ret = report_state(options, &list[0], "is loaded", true, err);
	else
		ret = error_set(err, -ENOENT, "%s: is not loaded", options->path);
	free(list);
	return ret;
}

static int check(const struct command *command, const struct load_options *options)
{
	const bool changes = !isnan(options->threshold) || options->max_run != NOT_GIVEN ||
			     options->max_hot != NOT_GIVEN || options->read_around ||
			     options->gap_bytes != NOT_GIVEN;

	if (options->threshold < 0 || options->threshold > 1)
		return usage_error(command, "--threshold %g: has to be from 0 to 1",
				   options->threshold);
	if (options->max_run != NOT_GIVEN && options->max_run > MAX_STEPS)
		return usage_error(command, "--max-run: at most %u", MAX_STEPS);
	if (options->max_hot != NOT_GIVEN && options->max_hot > MAX_STEPS)
		return usage_error(command, "--max-hot: at most %u", MAX_STEPS);
	if (options->read_around && read_around_parse(options->read_around) < 0)
		return usage_error(command, "--read-around %s: has to be always, room or never",
				   options->read_around);
	if (options->status && (changes || options->foreground))
		return usage_error(command, "--status changes nothing, and goes with --state and "
				   "--json only");
	return -1;
}

int cmd_load(const struct command *command, int argc, char **argv)
{
	struct load_options options = {
		.threshold = NAN,
		.max_run = NOT_GIVEN,
		.max_hot = NOT_GIVEN,
		.gap_bytes = NOT_GIVEN,
	};
	const struct option_spec specs[] = {
		{ "threshold", 0, OPTION_REAL, &options.threshold,
		  "P: follow links that are stronger, the chance that the next is wanted, too" },
		{ "max-run", 0, OPTION_U64, &options.max_run,
		  "N: follow at most so many links (default 64)" },
		{ "max-hot", 0, OPTION_U64, &options.max_hot,
		  "N: at most so many hot runs of the next layer (default 4)" },
		{ "read-around", 0, OPTION_STRING, &options.read_around,
		  "always|room|never: let page faults read the pages around their own, not their "
		  "run (room)" },
		{ "gap", 0, OPTION_U64, &options.gap_bytes,
		  "BYTES: read over gaps up to this (default 16505)" },
		{ "foreground", 0, OPTION_FLAG, &options.foreground,
		  "stay, and end with SIGINT or SIGTERM" },
		{ "status", 0, OPTION_FLAG, &options.status,
		  "show the policy and the counters of a model that is loaded" },
		{ "state", 0, OPTION_STRING, &options.directory,
		  "DIR: where it is kept what is loaded ($COLINK_STATE, /run/colink)" },
		{ "json", 0, OPTION_FLAG, &options.json, "print one JSON object" },
	};
	struct error err = { 0 };
	int status;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &options.path, 1);
	if (status < 0)
		status = check(command, &options);
	if (status >= 0)
		return status;
	options.directory = loaded_directory(options.directory);
	if ((options.status ? show_status(&options, &err) : load(&options, &err)) < 0)
		return report_failure(&err);
	return EXIT_DONE;
}
