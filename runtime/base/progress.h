/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long-running work reports how far it is. The work calls progress_report()
 * at least about ten times a second; who shows it, and where, is the caller's
 * business (cli/ draws a bar when stderr is a terminal).
 */
#ifndef COLINK_BASE_PROGRESS_H
#define COLINK_BASE_PROGRESS_H

#include <stddef.h>

struct progress {
	/* `done` of `total`, in the step's own unit; called from one thread. */
	void (*report)(struct progress *progress, double done, double total);
	/*
	 * What begins now, in a few words: "layer 3: counting"; to be followed by a report.
	 * NULL: nobody wants to know. The text need not outlive the call.
	 */
	void (*describe)(struct progress *progress, const char *doing);
};

/* `progress` may be NULL: nobody is watching. */
static inline void progress_report(struct progress *progress, double done, double total)
{
	if (progress)
		progress->report(progress, done, total);
}

static inline void progress_describe(struct progress *progress, const char *doing)
{
	if (progress && progress->describe)
		progress->describe(progress, doing);
}

#endif
