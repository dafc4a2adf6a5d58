// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/watcher.h"

#include "helpers/test.h"

static void watch(struct progress *progress, double done, double total)
{
	struct watcher *watcher = (struct watcher *)progress; /* its first member */

	assert_true(done >= watcher->done);
	assert_true(watcher->calls == 0 || total == watcher->total);
	watcher->done = done;
	watcher->total = total;
	watcher->calls++;
}

struct watcher make_watcher(void)
{
	return (struct watcher){ .progress.report = watch };
}
