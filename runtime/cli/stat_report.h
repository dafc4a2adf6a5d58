/* SPDX-License-Identifier: GPL-2.0-only */
/* What `colink stat` shows: a block of text per interval, and one JSON object. */
#ifndef COLINK_CLI_STAT_REPORT_H
#define COLINK_CLI_STAT_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "kernel/io_stat.h"

/* What happened between two snapshots. */
struct stat_interval {
	const struct io_stat_snapshot *before;
	const struct io_stat_snapshot *now;
	double seconds;	 /* between them */
	double end; /* seconds since the start, of `now` */
};

/* One block. In place: over the one before, from the top of the terminal. */
void stat_show(const struct stat_interval *interval, const char *missing, bool in_place);

/* One element of "samples"; NULL when out of memory. */
json_t *stat_sample_json(const struct stat_interval *interval);

/* The whole object. Takes over `samples`. */
json_t *stat_json(const struct io_stat_snapshot *now, double seconds, double interval,
		  const char *missing, json_t *samples);

#endif
