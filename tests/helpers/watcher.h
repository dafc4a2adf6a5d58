/* SPDX-License-Identifier: GPL-2.0-only */
/* Watches a progress; fails the test when it goes back or its total changes. */
#ifndef COLINK_TESTS_HELPERS_WATCHER_H
#define COLINK_TESTS_HELPERS_WATCHER_H

#include "base/progress.h"

struct watcher {
	struct progress progress; /* give this to the work */
	double done; /* as reported last */
	double total;
	int calls;
};

struct watcher make_watcher(void);

#endif
