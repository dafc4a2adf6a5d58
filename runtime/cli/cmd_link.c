// SPDX-License-Identifier: GPL-2.0-only
/*
 * colink link: from a checkpoint to a linked file in one go. What lies between
 * (the imported model, the trace, placement and predictor) is kept in a folder
 * beside the output while it is needed, and removed in the end, also when the
 * work fails or is interrupted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/engine.h"
#include "cli/steps.h"
#include "model/model_file.h"

struct link_options {
	const char *source;
	const char *output;
	struct string_list texts;
	uint64_t max_tokens;
	double copies;
	struct train_options train;
	uint32_t threads;
	bool json;
};

enum scratch_file {
	SCRATCH_MODEL,
	SCRATCH_TRACE,
	SCRATCH_PLACEMENT,
	SCRATCH_PREDICTOR,
	SCRATCH_FILES,
};

/* A signal handler has to find these, so they are the one thing kept globally. */
static struct {
	char *folder;
	char *files[SCRATCH_FILES];
	/* The names under which these and the output are written (base/file.h). */
	char *unfinished[SCRATCH_FILES + 1];
} scratch;

/* Only unlink() and rmdir(), which signal handlers may call. */
static void scratch_remove(void)
{
	for (int i = 0; i < SCRATCH_FILES; i++)
		if (scratch.files[i])
			unlink(scratch.files[i]);
	for (int i = 0; i < SCRATCH_FILES + 1; i++)
		if (scratch.unfinished[i])
			unlink(scratch.unfinished[i]);
	if (scratch.folder)
		rmdir(scratch.folder);
}

static void remove_and_die(int signal_number)
{
	scratch_remove();
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

/* What the parent had ignored (nohup, a job in the background) stays ignored. */
static void remove_on(int signal_number)
{
	if (signal(signal_number, remove_and_die) == SIG_IGN)
		signal(signal_number, SIG_IGN);
}

static void scratch_free(void)
{
	for (int i = 0; i < SCRATCH_FILES; i++)
		free(scratch.files[i]);
	for (int i = 0; i < SCRATCH_FILES + 1; i++)
		free(scratch.unfinished[i]);
	free(scratch.folder);
	memset(&scratch, 0, sizeof(scratch));
}

/* A name put together from parts; NULL when there is no memory for it. */
static char *name(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *name(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	return text;
}

static bool scratch_name(const char *output)
{
	static const char *const names[SCRATCH_FILES] = { "model.gguf", "trace", "placement",
							  "predictor" };
	long pid = getpid();
	bool complete;

	scratch.folder = name("%s.link-%ld", output, pid);
	scratch.unfinished[SCRATCH_FILES] = name("%s.tmp-%ld", output, pid);
	complete = scratch.folder && scratch.unfinished[SCRATCH_FILES];
	for (int i = 0; i < SCRATCH_FILES && complete; i++) {
		scratch.files[i] = name("%s/%s", scratch.folder, names[i]);
		scratch.unfinished[i] = name("%s/%s.tmp-%ld", scratch.folder, names[i], pid);
		complete = scratch.files[i] && scratch.unfinished[i];
	}
	return complete;
}

static int scratch_create(const char *output, struct error *err)
{
	if (!scratch_name(output))
		return error_no_memory(err, output);
	if (mkdir(scratch.folder, 0777) < 0)
		return error_set(err, -errno, "%s: cannot create: %s", scratch.folder,
				 strerror(errno));
	remove_on(SIGINT);
	remove_on(SIGTERM);
	remove_on(SIGHUP);
	return 0;
}

/* What placing is to measure by; and does the rank fit, before long work? */
static int look_at_model(const char *model, uint32_t rank, struct place_step *place,
			 struct error *err)
{
	struct model_file *file;
	int ret;

	ret = model_file_open(model, &file, err);
	if (ret < 0)
		return ret;
	place->replay.bundle_bytes = model_bundle_stride(&file->config);
	place->gap = (uint32_t)(device_break_even_bytes(place->replay.cost) /
				place->replay.bundle_bytes);
	if (rank > file->config.d_model)
		ret = error_set(err, -EINVAL,
				"--rank %u: at most the model's width, %u, is possible", rank,
				file->config.d_model);
	model_file_close(file);
	return ret;
}

enum link_step {
	STEP_IMPORT,
	STEP_TRACE,
	STEP_PLACE,
	STEP_TRAIN,
	STEP_PACK,
	LINK_STEPS,
};

static const char *const step_names[LINK_STEPS] = { "import", "trace", "place", "train", "pack" };

struct link_result {
	double seconds[LINK_STEPS];
	struct record_result record;
	struct place_report place;
	struct train_report *train;
};

/* A missing text should not show only after a long import. */
static int check_texts(const struct string_list *texts, struct error *err)
{
	for (size_t i = 0; i < texts->count; i++) {
		uint64_t size;
		int fd = file_open_read(texts->values[i], &size, err);

		if (fd < 0)
			return fd;
		close(fd);
	}
	return 0;
}

static int do_steps(const struct link_options *options, struct link_result *result,
		    struct error *err)
{
	struct trace_step trace = {
		.label = "2/5 trace",
		.model = scratch.files[SCRATCH_MODEL],
		.texts = &options->texts,
		.output = scratch.files[SCRATCH_TRACE],
		.inputs = true,
		.max_tokens = options->max_tokens,
		.threads = options->threads,
	};
	struct place_step place = {
		.label = "3/5 place",
		.measure_label = "3/5 measure",
		.trace = scratch.files[SCRATCH_TRACE],
		.method = ORDER_BEST,
		.effort = ORDER_BEST_DEFAULT_EFFORT,
		.copies = options->copies,
		.replay = step_place_replay(),
		/* Tracing has taken hours: what there is is tried. */
		.memory = UINT64_MAX,
		.output = scratch.files[SCRATCH_PLACEMENT],
		.threads = options->threads,
	};
	struct train_step train = {
		.label = "4/5 train",
		.model = scratch.files[SCRATCH_MODEL],
		.trace = scratch.files[SCRATCH_TRACE],
		.options = options->train,
		.output = scratch.files[SCRATCH_PREDICTOR],
		.threads = options->threads,
	};
	double mark = clock_ms();
	int ret;

	ret = step_import("1/5 import", options->source, trace.model, err);
	result->seconds[STEP_IMPORT] = clock_lap_s(&mark);
	if (ret == 0)
		ret = look_at_model(trace.model, train.options.rank, &place, err);
	if (ret == 0)
		ret = step_trace(&trace, &result->record, err);
	result->seconds[STEP_TRACE] = clock_lap_s(&mark);
	if (ret == 0)
		ret = step_place(&place, &result->place, err);
	result->seconds[STEP_PLACE] = clock_lap_s(&mark);
	if (ret == 0)
		ret = step_train(&train, &result->train, err);
	result->seconds[STEP_TRAIN] = clock_lap_s(&mark);
	if (ret == 0)
		ret = step_pack("5/5 pack", trace.model, place.output, train.output,
				options->output, err);
	result->seconds[STEP_PACK] = clock_lap_s(&mark);
	return ret;
}

static json_t *seconds_json(const struct link_result *result)
{
	json_t *object = json_object();

	for (int i = 0; i < LINK_STEPS; i++)
		json_object_set_new(object, step_names[i], json_real(result->seconds[i]));
	return object;
}

static json_t *link_json(const struct link_options *options, const struct link_result *result)
{
	return json_pack("{s:o, s:o, s:I, s:f, s:o, s:o}",
		"output", json_text(options->output),
		"seconds", seconds_json(result),
		"tokens", (json_int_t)result->record.n_tokens,
		"ffn_active_share", result->record.active_share,
		"place", place_report_json(&result->place),
		"train", train_report_json(result->train));
}

static int link_model(const struct link_options *options, struct error *err)
{
	struct link_result result = { 0 };
	int ret;

	ret = output_file_check(options->output, err);
	if (ret == 0)
		ret = check_texts(&options->texts, err);
	if (ret == 0)
		ret = scratch_create(options->output, err);
	if (ret == 0)
		ret = do_steps(options, &result, err);
	scratch_remove();
	scratch_free();
	if (ret < 0)
		goto out;
	if (options->json) {
		ret = print_json(link_json(options, &result), err);
	} else {
		show_place_report(&result.place);
		printf("\n");
		show_train_report(result.train);
		printf("\n%s: linked from %llu tokens, of whose neurons %.2f %% fire;",
		       options->output, (unsigned long long)result.record.n_tokens,
		       100 * result.record.active_share);
		for (int i = 0; i < LINK_STEPS; i++)
			printf(" %s %.1f s%s", step_names[i], result.seconds[i],
			       i + 1 < LINK_STEPS ? "," : "\n");
		ret = finish_output(err);
	}
out:
	placement_report_free(result.place.placement);
	train_report_free(result.train);
	return ret;
}

int cmd_link(const struct command *command, int argc, char **argv)
{
	struct link_options options = { .train.ratio = TRAIN_DEFAULT_RATIO };
	const struct option_spec specs[] = {
		{ "output", 'o', OPTION_STRING, &options.output, "OUT: the linked file to write" },
		{ "text", 0, OPTION_STRINGS, &options.texts,
		  "FILE: text like that of later use, to learn from (repeatable)" },
		{ "tokens", 0, OPTION_U64, &options.max_tokens, "N: of the text; 0: all (0)" },
		{ "copies", 0, OPTION_REAL, &options.copies,
		  "R: store this share of the bundles again, beside others (0)" },
		{ "rank", 0, OPTION_U32, &options.train.rank,
		  "R: of the predictor (a quarter of the width)" },
		{ "ratio", 0, OPTION_REAL, &options.train.ratio,
		  "X: neurons to ask for, as a multiple of those that fire (1.5)" },
		{ "threads", 't', OPTION_U32, &options.threads, "N: threads (one per CPU)" },
		{ "json", 0, OPTION_FLAG, &options.json, "print one JSON object" },
	};
	struct error err = { 0 };
	int status;

	status = options_parse(command, specs, COUNT_OF(specs), argc, argv, &options.source, 1);
	if (status < 0 && (!options.output || !options.texts.count))
		status = usage_error(command, "%s is missing",
				     options.texts.count ? "-o OUT" : "--text FILE");
	if (status < 0 && !(options.train.ratio > 0))
		status = usage_error(command, "--ratio %g: has to be above 0", options.train.ratio);
	if (status < 0 && !(options.copies >= 0 && options.copies <= 1))
		status = usage_error(command, "--copies %g: has to be from 0 to 1", options.copies);
	if (status < 0)
		status = link_model(&options, &err) < 0 ? report_failure(&err) : EXIT_DONE;
	string_list_free(&options.texts);
	return status;
}
