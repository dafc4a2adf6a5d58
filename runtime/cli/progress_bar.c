// SPDX-License-Identifier: GPL-2.0-only
#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

#define BAR_WIDTH 30
#define BAR_WIDTH_WHEN_DESCRIBED 20
#define SECONDS_BETWEEN_DRAWINGS 0.1
/* Before this share is done, an estimate would only jump about. */
#define SHARE_BEFORE_ESTIMATE 0.02

static void draw(struct progress_bar *bar)
{
	double elapsed = now_seconds() - bar->started;
	int width = bar->doing[0] ? BAR_WIDTH_WHEN_DESCRIBED : BAR_WIDTH;
	int full = (int)(bar->share * width);

	fprintf(stderr, "\r%-10s [", bar->step);
	for (int i = 0; i < width; i++)
		fputc(i < full ? '#' : '.', stderr);
	fprintf(stderr, "] %3.0f %%", bar->share * 100);
	if (bar->share >= SHARE_BEFORE_ESTIMATE) {
		int left = (int)(elapsed / bar->share * (1 - bar->share) + 0.5);

		fprintf(stderr, ", %d:%02d left%s", left / 60, left % 60,
			bar->doing[0] ? "" : " in this step ");
	}
	if (bar->doing[0])
		fprintf(stderr, ", %s", bar->doing);
	fputs("\033[K", stderr);
	bar->drawn = now_seconds();
}

static void bar_report(struct progress *progress, double done, double total)
{
	struct progress_bar *bar = (struct progress_bar *)progress;

	if (!bar->terminal || total <= 0)
		return;
	bar->share = done / total;
	if (now_seconds() - bar->drawn >= SECONDS_BETWEEN_DRAWINGS)
		draw(bar);
}

/* The report that follows is drawn at once: it may be long before there is another. */
static void bar_describe(struct progress *progress, const char *doing)
{
	struct progress_bar *bar = (struct progress_bar *)progress;

	snprintf(bar->doing, sizeof(bar->doing), "%s", doing);
	bar->drawn = 0;
}

void progress_begin(struct progress_bar *bar, const char *step)
{
	bar->progress.report = bar_report;
	bar->progress.describe = bar_describe;
	bar->step = step;
	bar->doing[0] = '\0';
	bar->started = now_seconds();
	bar->drawn = 0;
	bar->share = 0;
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
