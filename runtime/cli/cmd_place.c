// SPDX-License-Identifier: GPL-2.0-only
/* colink place: an order of neurons from a trace, measured on tokens it was not made from. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "cli/steps.h"

/* A search that is interrupted goes on with the best order so far; the second time it ends. */
static atomic_bool stop;

static void interrupted(int signal)
{
	(void)signal;
	atomic_store(&stop, true);
}

static void stop_on_interrupt(void)
{
	struct sigaction action = { .sa_handler = interrupted, .sa_flags = SA_RESETHAND | SA_RESTART };
	struct sigaction old;

	/* A job in the background of a script is not interrupted at all. */
	if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(SIGINT, &action, NULL);
}

static int place(const struct place_step *step, bool json, struct error *err)
{
	struct place_report report;
	int ret;

	ret = step_place(step, &report, err);
	if (ret < 0)
		return ret;
	if (atomic_load(&stop))
		fprintf(stderr, "colink place: interrupted: the orders are the best so far, from some "
				"layer on by linking alone\n");
	if (json) {
		json_t *object = place_report_json(&report);

		json_object_set_new(object, "output", json_text(step->output));
		json_object_set_new(object, "method", json_string(order_method_name(step->method)));
		json_object_set_new(object, "seed", json_integer((json_int_t)step->seed));
		json_object_set_new(object, "interrupted", json_boolean(atomic_load(&stop)));
		if (step->pictures.file)
			json_object_set_new(object, "picture", json_text(step->pictures.file));
		if (step->pictures.folder)
			json_object_set_new(object, "pictures",
					    json_text(step->pictures.folder));
		ret = print_json(object, err);
	} else {
		show_place_report(&report);
		ret = finish_output(err);
	}
	placement_report_free(report.placement);
	return ret;
}

/* A viewer goes by the name. */
static bool is_svg(const char *path)
{
	size_t length = strlen(path);

	return length > 4 && !strcmp(path + length - 4, ".svg");
}

/* -1: all is well. */
static int check_pictures(const struct command *command, const struct picture_step *pictures)
{
	if (pictures->file && !is_svg(pictures->file))
		return usage_error(command, "--picture %s: a picture is FILE.svg", pictures->file);
	if (pictures->layer != PICTURE_LAYER_MIDDLE && !pictures->file)
		return usage_error(command, "--picture-layer without --picture FILE.svg");
	if (pictures->folder && !*pictures->folder)
		return usage_error(command, "--pictures '': name a folder, . is this one");
	return -1;
}

/* -1: none would replace another, nor what it is made from. */
static int check_names(const struct command *command, const struct place_step *step)
{
	const char *picture = step->pictures.file;

	if (same_file(step->output, step->trace) || same_file(step->output, step->unseen))
		return usage_error(command, "-o %s is a trace that is read", step->output);
	if (same_file(picture, step->trace) || same_file(picture, step->unseen))
		return usage_error(command, "--picture %s is a trace that is read", picture);
	if (same_file(step->output, picture))
		return usage_error(command, "-o %s is the picture, too", step->output);
	return -1;
}

int cmd_place(const struct command *command, int argc, char **argv)
{
	struct place_step step = {
		.label = "place", .measure_label = "measure", .gap = 16,
		.memory = PLACEMENT_DEFAULT_MEMORY,
		.effort = ORDER_BEST_DEFAULT_EFFORT, .stop = &stop,
		.replay = step_place_replay(), .pictures.layer = PICTURE_LAYER_MIDDLE,
	};
	const char *method = "best";
	bool json = false;
	const struct option_spec specs[] = {
		{ "output", 'o', OPTION_STRING, &step.output, "PLACEMENT: the file to write" },
		{ "method", 0, OPTION_STRING, &method,
		  "NAME: best, linked, frequency, random or identity (best)" },
		{ "effort", 0, OPTION_U32, &step.effort,
		  "N: of best, 0 to 3; each takes about three times as long (2)" },
		{ "copies", 0, OPTION_REAL, &step.copies,
		  "R: of best: store this share of the bundles again, beside others (0)" },
		{ "unseen", 0, OPTION_STRING, &step.unseen,
		  "TRACE: measure on this (default: every 10th chunk, which placing "
		  "does not see)" },
		{ "gap", 0, OPTION_U32, &step.gap,
		  "N: bundles read over in the second table (16)" },
		{ "cache-ratio", 0, OPTION_REAL, &step.replay.cache_ratio,
		  "R: share of all bundles in DRAM, for best and the device time (0.05)" },
		{ "a-us", 0, OPTION_REAL, &step.replay.cost.a_us,
		  "US: device cost of an I/O, for that (8.5)" },
		{ "b-us-per-mib", 0, OPTION_REAL, &step.replay.cost.b_us_per_mib,
		  "US: device cost of a MiB, for that (540)" },
		{ "bundle-bytes", 0, OPTION_U32, &step.replay.bundle_bytes,
		  "N: size of a bundle, for that (what an OPT model of the trace's shape has)" },
		{ "seed", 0, OPTION_U64, &step.seed, "S: of the random order (0)" },
		{ "picture", 0, OPTION_STRING, &step.pictures.file,
		  "FILE.svg: draw a layer before and after, from unseen tokens" },
		{ "picture-layer", 0, OPTION_U32, &step.pictures.layer,
		  "N: which one (the middle one)" },
		{ "pictures", 0, OPTION_STRING, &step.pictures.folder,
		  "DIR: draw every layer, as DIR/layer-NN.svg" },
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
		return usage_error(command, "--method %s: has to be best, linked, frequency, "
				   "random or identity", method);
	step.method = (enum order_method)parsed;
	if (step.effort >= ORDER_BEST_EFFORTS)
		return usage_error(command, "--effort %u: has to be 0 to %d", step.effort,
				   ORDER_BEST_EFFORTS - 1);
	if (!(step.copies >= 0 && step.copies <= 1))
		return usage_error(command, "--copies %g: has to be from 0 to 1", step.copies);
	if (step.copies > 0 && step.method != ORDER_BEST)
		return usage_error(command, "--copies %g: are placed by the method best only",
				   step.copies);
	if (order_replay_check(&step.replay, &err) < 0)
		return usage_error(command, "%s", err.message);
	status = check_pictures(command, &step.pictures);
	if (status < 0)
		status = check_names(command, &step);
	if (status >= 0)
		return status;
	if (step.method == ORDER_BEST)
		stop_on_interrupt();
	return place(&step, json, &err) < 0 ? report_failure(&err) : EXIT_DONE;
}
