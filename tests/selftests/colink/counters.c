// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counters in debugfs and the trace events agree with what a call returned and
 * with what the disk did.
 */
#include "colink_test.h"

#define PAGES 1024
#define EVENTS "/sys/kernel/tracing/events/colink/enable"
#define TRACE "/sys/kernel/tracing/trace"

FIXTURE(counters) {
	struct rig rig;
};

FIXTURE_SETUP(counters)
{
	rig_open(&self->rig, disk(), PAGES * PAGE);
}

FIXTURE_TEARDOWN(counters)
{
	rig_close(&self->rig);
}

/* Pages 0-3 and 6-7 with the gap between them, page 1 being resident, and one extent refused. */
static struct colink_result mixed_request(const struct rig *rig)
{
	struct colink_extent first = pages_extent(1, 1), extents[] = {
		pages_extent(0, 4), pages_extent(6, 2), { .layer = 5, .first = 0, .count = 1 },
	};
	struct colink_prefetch args = prefetch_args(rig->region, &first, 1);

	need(!prefetch(rig->device, &args), "COLINK_PREFETCH");
	args = prefetch_args(rig->region, extents, 3);
	args.gap_bytes = 2 * PAGE;
	need(!prefetch(rig->device, &args), "COLINK_PREFETCH");
	return args.result;
}

TEST_F(counters, of_the_module)
{
	static const char *const names[] = {
		"requests", "extents", "extents_refused", "pages_resident",
		"pages_read", "pages_given_up", "gap_pages", "ios",
	};
	unsigned long want[] = { 2, 3, 1, 1, 8, 0, 2, 3 }, before[ARRAY_SIZE(names)];
	struct disk_reads disk = disk_reads(self->rig.file.fd), after;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		before[i] = module_counter(names[i]);
	mixed_request(&self->rig);
	after = disk_reads(self->rig.file.fd);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		TH_LOG("%s: %lu before, %lu now", names[i], before[i], module_counter(names[i]));
		EXPECT_EQ(want[i], module_counter(names[i]) - before[i]);
	}
	EXPECT_EQ(8 * PAGE, after.bytes - disk.bytes);
	EXPECT_EQ(3, after.ios - disk.ios);
}

/* Lines of the trace that have both words. */
static int traced(const char *event, const char *words)
{
	FILE *file = fopen(TRACE, "r");
	char line[512];
	int n = 0;

	need(file, TRACE);
	while (fgets(line, sizeof(line), file))
		n += strstr(line, event) && strstr(line, words);
	fclose(file);
	return n;
}

TEST_F(counters, traced)
{
	write_text(TRACE, "");
	write_text(EVENTS, "1");
	mixed_request(&self->rig);
	write_text(EVENTS, "0");
	EXPECT_EQ(2, traced("colink_queue:", "wanted"));
	EXPECT_EQ(1, traced("colink_queue:", "extents=2 refused=1 resident=1 pages=7 ios=2"));
	EXPECT_EQ(3, traced("colink_issue:", "ino="));
	EXPECT_EQ(1, traced("colink_issue:", "first=2 pages=6"));
	EXPECT_EQ(3, traced("colink_want:", "ino="));
	EXPECT_EQ(1, traced("colink_want:", "first=0 pages=4"));
	EXPECT_EQ(1, traced("colink_want:", "first=6 pages=2"));
	EXPECT_EQ(2, traced("colink_complete:", "given_up=0"));
}

TEST_HARNESS_MAIN
