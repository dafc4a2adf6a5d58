// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "storage/device_watch.h"

#include <time.h>

/* Of the time, what has to have been waited. */
#define WAITED 0.5

void device_watch_init(struct device_watch *watch, struct device_cost cost)
{
	*watch = (struct device_watch){ 0 };
	device_estimator_init(&watch->estimator, cost);
}

struct device_mark device_mark_now(const struct source *source)
{
	struct device_mark mark = { 0 };
	struct timespec now;

	source_get_finished(source, &mark.reads, &mark.bytes);
	clock_gettime(CLOCK_MONOTONIC, &now);
	mark.ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return mark;
}

void device_watch_waited(struct device_watch *watch, const struct device_mark *submitted,
			 uint64_t begin_ns, const struct device_mark *end)
{
	const struct device_mark *from = &watch->last_wait;
	double busy_ns, waited_ns;

	if (submitted->ns > from->ns)
		from = submitted;
	busy_ns = (double)(end->ns - from->ns);
	waited_ns = (double)(end->ns - begin_ns);
	if (end->reads - from->reads >= WATCH_LEAST_READS && waited_ns >= WAITED * busy_ns)
		device_estimator_observe(&watch->estimator, end->reads - from->reads,
					 end->bytes - from->bytes, busy_ns * 1e-3);
	watch->last_wait = *end;
}
