// SPDX-License-Identifier: GPL-2.0-only
/* colink stat: what disks and page cache do, live or as JSON. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/stat_report.h"
#include "kernel/io_stat.h"

/* How often it looks for newly registered files. */
#define SECONDS_BETWEEN_LOOKS 0.1
#define MAX_INTERVAL 86400.0

struct stat_options {
	double interval;
	uint32_t count; /* 0: until it is stopped */
	bool json;
};

struct stat_run {
	const struct stat_options *options;
	struct io_statistics *stat;
	struct io_stat_snapshot *before;
	struct io_stat_snapshot *now;
	json_t *samples;
	sigset_t stop;
	double begin;
	double shown; /* seconds since begin, of the last interval's end */
	bool stopped;
	bool in_place;
};

/* Until so many seconds since begin, or until a signal says to stop. */
static int wait_until(struct stat_run *run, double end, struct error *err)
{
	double left;
	int ret = 0;

	while (ret == 0 && !run->stopped && (left = end - (now_seconds() - run->begin)) > 0) {
		struct timespec pause;

		if (left > SECONDS_BETWEEN_LOOKS)
			left = SECONDS_BETWEEN_LOOKS;
		pause = (struct timespec){ .tv_nsec = (long)(left * 1e9) };
		run->stopped = sigtimedwait(&run->stop, NULL, &pause) > 0;
		ret = io_stat_refresh(run->stat, err);
	}
	return ret;
}

/* What happened since the last time. The first snapshot is all zeros, as the counters were. */
static int report(struct stat_run *run, struct error *err)
{
	struct io_stat_snapshot *before = run->before;
	struct stat_interval interval = { .before = before, .now = run->now };
	json_t *sample;
	int ret;

	ret = io_stat_read(run->stat, run->now, err);
	if (ret < 0)
		return ret;
	interval.end = now_seconds() - run->begin;
	interval.seconds = interval.end - run->shown;
	run->shown = interval.end;
	if (run->options->json) {
		sample = stat_sample_json(&interval);
		if (!sample || json_array_append_new(run->samples, sample))
			return error_no_memory(err, "samples");
	} else {
		stat_show(&interval, io_stat_missing(run->stat), run->in_place);
		ret = finish_output(err);
	}
	run->before = run->now;
	run->now = before;
	return ret;
}

static int watch(struct stat_run *run, struct error *err)
{
	const struct stat_options *options = run->options;
	int ret = 0;

	run->begin = now_seconds();
	for (uint32_t n = 1; ret == 0 && !run->stopped; n++) {
		ret = wait_until(run, n * options->interval, err);
		if (ret == 0)
			ret = report(run, err);
		if (n == options->count)
			break;
	}
	if (ret < 0 || !options->json)
		return ret;
	json_incref(run->samples);
	return print_json(stat_json(run->before, run->shown, options->interval,
				    io_stat_missing(run->stat), run->samples), err);
}

/* Blocked signals wait for sigtimedwait(), so that none is missed. */
static void block_stop_signals(struct stat_run *run)
{
	sigemptyset(&run->stop);
	sigaddset(&run->stop, SIGINT);
	sigaddset(&run->stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &run->stop, NULL);
}

static int run_stat(const struct stat_options *options, char **files, size_t n_files,
		    struct error *err)
{
	struct stat_run run = {
		.options = options,
		.before = calloc(1, sizeof(*run.before)),
		.now = calloc(1, sizeof(*run.now)),
		.samples = json_array(),
		.in_place = isatty(STDOUT_FILENO),
	};
	int ret;

	if (run.before && run.now && run.samples) {
		block_stop_signals(&run);
		ret = io_stat_open((const char *const *)files, n_files, &run.stat, err);
	} else {
		ret = error_no_memory(err, "counters");
	}
	if (ret == 0)
		ret = watch(&run, err);
	io_stat_close(run.stat);
	json_decref(run.samples);
	free(run.now);
	free(run.before);
	return ret;
}

int cmd_stat(const struct command *command, int argc, char **argv)
{
	struct stat_options options = { .interval = 1 };
	const struct option_spec specs[] = {
		{ "interval", 0, OPTION_REAL, &options.interval, "S: seconds between two looks (1)" },
		{ "count", 0, OPTION_U32, &options.count, "N: looks; 0: until it is stopped (0)" },
		{ "json", 0, OPTION_FLAG, &options.json, "print one JSON object at the end" },
	};
	struct error err = { 0 };
	size_t n_files;
	char **files;
	int status;

	status = options_parse_any(command, specs, COUNT_OF(specs), argc, argv, &files, &n_files);
	if (status >= 0)
		return status;
	if (!(options.interval >= SECONDS_BETWEEN_LOOKS && options.interval <= MAX_INTERVAL))
		return usage_error(command, "--interval %g: has to be from %g to %g seconds",
				   options.interval, SECONDS_BETWEEN_LOOKS, MAX_INTERVAL);
	return run_stat(&options, files, n_files, &err) < 0 ? report_failure(&err) : EXIT_DONE;
}
