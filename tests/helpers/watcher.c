// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/watcher.h"

#include <stdio.h>
#include <string.h>

#include "helpers/test.h"

static void watch(struct progress *progress, double done, double total)
{
	struct watcher *watcher = (struct watcher *)progress; /* its first member */

	assert_true(done >= watcher->done);
	assert_true(watcher->calls == 0 || total == watcher->total);
	watcher->done = done;
	watcher->total = total;
	watcher->calls++;
	watcher->described = false;
}

static void note(struct progress *progress, const char *doing)
{
	struct watcher *watcher = (struct watcher *)progress;
	size_t used = strlen(watcher->doing);

	assert_false(watcher->described);
	watcher->described = true;
	snprintf(watcher->doing + used, sizeof(watcher->doing) - used, "%s, ", doing);
}

struct watcher make_watcher(void)
{
	return (struct watcher){ .progress = { watch, note } };
}
