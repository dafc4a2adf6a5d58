/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the reads of a run to observations for the estimator of the device cost.
 *
 * When source_wait() has blocked for reads, the device was busy at least since they were
 * submitted, or since the last wait ended, whichever was later: one of them was in flight
 * all that time. What it finished meanwhile, whoever had asked for it, took it that long.
 *
 * That is an observation if the device was the bottleneck, and enough was read for latency
 * not to matter: at least half of the time was waited, and WATCH_LEAST_READS were finished.
 * Reads beyond the queue depth start only in calls to the source; while the caller computes
 * the device may run dry then, which the first of the two rules keeps small.
 *
 * Not thread-safe; for the thread that uses the source.
 */
#ifndef COLINK_STORAGE_DEVICE_WATCH_H
#define COLINK_STORAGE_DEVICE_WATCH_H

#include "storage/device_estimator.h"
#include "storage/source.h"

#define WATCH_LEAST_READS 32

/* A moment, and what a source had finished by then. */
struct device_mark {
	uint64_t ns; /* CLOCK_MONOTONIC */
	uint64_t reads;
	uint64_t bytes;
};

struct device_watch {
	struct device_estimator estimator;
	struct device_mark last_wait; /* when it ended */
};

void device_watch_init(struct device_watch *watch, struct device_cost cost);

/* What the source has finished, now; all zero for a source of mapped files. */
struct device_mark device_mark_now(const struct source *source);

/*
 * A wait is over that began at `begin`, for reads of which the last were submitted at
 * `submitted`. `end` is now.
 */
void device_watch_waited(struct device_watch *watch, const struct device_mark *submitted,
			 uint64_t begin_ns, const struct device_mark *end);

#endif
