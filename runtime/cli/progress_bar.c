// SPDX-License-Identifier: GPL-2.0-only
#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

#define BAR_WIDTH 30
#define SECONDS_BETWEEN_DRAWINGS 0.1
/* Before this share is done, an estimate would only jump about. */
#define SHARE_BEFORE_ESTIMATE 0.02

static void draw(struct progress_bar *bar, double share)
{
	double elapsed = now_seconds() - bar->started;
	int full = (int)(share * BAR_WIDTH);

	fprintf(stderr, "\r%-10s [", bar->step);
	for (int i = 0; i < BAR_WIDTH; i++)
		fputc(i < full ? '#' : '.', stderr);
	fprintf(stderr, "] %3.0f %%", share * 100);
	if (share >= SHARE_BEFORE_ESTIMATE) {
		int left = (int)(elapsed / share * (1 - share) + 0.5);

		fprintf(stderr, ", %d:%02d left in this step \033[K", left / 60, left % 60);
	}
}

static void bar_report(struct progress *progress, double done, double total)
{
	struct progress_bar *bar = (struct progress_bar *)progress;
	double now = now_seconds();

	if (!bar->terminal || now - bar->drawn < SECONDS_BETWEEN_DRAWINGS || total <= 0)
		return;
	bar->drawn = now;
	draw(bar, done / total);
}

void progress_begin(struct progress_bar *bar, const char *step)
{
	bar->progress.report = bar_report;
	bar->step = step;
	bar->started = now_seconds();
	bar->drawn = 0;
	bar->terminal = isatty(STDERR_FILENO);
}

void progress_end(struct progress_bar *bar, bool done)
{
	if (!bar->terminal)
		return;
	fprintf(stderr, "\r\033[K");
	if (done)
		fprintf(stderr, "%-10s %6.1f s\n", bar->step, now_seconds() - bar->started);
}
