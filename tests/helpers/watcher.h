/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watches a progress; fails the test when it goes back or its total changes, or when what is
 * described is not followed by a report.
 */
#ifndef COLINK_TESTS_HELPERS_WATCHER_H
#define COLINK_TESTS_HELPERS_WATCHER_H

#include <stdbool.h>

#include "base/progress.h"

struct watcher {
	struct progress progress; /* give this to the work */
	double done; /* as reported last */
	double total;
	bool described; /* and not reported since */
	int calls;
	char doing[512]; /* all that was described, each followed by ", " */
};

struct watcher make_watcher(void);

#endif
