// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gaps are read over up to the limit, to the byte, and only where that saves an I/O.
 */
#include "colink_test.h"

#define PAGES 1024

FIXTURE(collapse) {
	struct rig rig;
};

FIXTURE_SETUP(collapse)
{
	rig_open(&self->rig, disk(), PAGES * PAGE);
}

FIXTURE_TEARDOWN(collapse)
{
	rig_close(&self->rig);
}

/* Pages 10 and 14, three pages between them, with a limit of so many bytes. */
static struct colink_result with_limit(const struct rig *rig, __u64 gap_bytes)
{
	struct colink_extent extents[] = { pages_extent(10, 1), pages_extent(14, 1) };
	struct colink_prefetch args = prefetch_args(rig->region, extents, 2);

	args.gap_bytes = gap_bytes;
	need(!prefetch(rig->device, &args), "COLINK_PREFETCH");
	return args.result;
}

TEST_F(collapse, one_byte_below_the_limit)
{
	struct colink_result result = with_limit(&self->rig, 3 * PAGE - 1);

	EXPECT_EQ(2, result.ios);
	EXPECT_EQ(2, result.pages_issued);
	EXPECT_EQ(0, result.gap_bytes);
	EXPECT_EQ(2, count_resident(&self->rig.file));
}

TEST_F(collapse, at_the_limit)
{
	struct disk_reads before = disk_reads(self->rig.file.fd), after;
	struct colink_result result = with_limit(&self->rig, 3 * PAGE);

	after = disk_reads(self->rig.file.fd);
	EXPECT_EQ(1, result.ios);
	EXPECT_EQ(5, result.pages_issued);
	EXPECT_EQ(3 * PAGE, result.gap_bytes);
	EXPECT_EQ(5, count_resident(&self->rig.file));
	EXPECT_EQ(1, after.ios - before.ios);
	EXPECT_EQ(5 * PAGE, after.bytes - before.bytes);
}

TEST_F(collapse, one_byte_over_the_limit)
{
	struct colink_result result = with_limit(&self->rig, 3 * PAGE + 1);

	EXPECT_EQ(1, result.ios);
	EXPECT_EQ(5, result.pages_issued);
	EXPECT_EQ(3 * PAGE, result.gap_bytes);
}

TEST_F(collapse, never)
{
	struct colink_extent extents[] = { pages_extent(10, 1), pages_extent(12, 1) };
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 2);

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(2, args.result.ios);
	EXPECT_EQ(2, count_resident(&self->rig.file));
}

TEST_F(collapse, any)
{
	struct colink_result result = with_limit(&self->rig, -1);

	EXPECT_EQ(1, result.ios);
	EXPECT_EQ(5, count_resident(&self->rig.file));
}

/* Each gap is measured by itself, however long the range has become. */
TEST_F(collapse, chain)
{
	struct colink_extent extents[100];
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 100);
	int i;

	for (i = 0; i < 100; i++)
		extents[i] = pages_extent(3 * i, 1);
	args.gap_bytes = 2 * PAGE;
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(1, args.result.ios);
	EXPECT_EQ(298, args.result.pages_issued);
	EXPECT_EQ(198 * PAGE, args.result.gap_bytes);
	EXPECT_EQ(298, count_resident(&self->rig.file));
}

/* With a resident page in the gap there are two I/Os in any case. */
TEST_F(collapse, not_over_resident_pages)
{
	struct colink_extent middle = pages_extent(12, 1);
	struct colink_prefetch args = prefetch_args(self->rig.region, &middle, 1);
	struct colink_result result;

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	result = with_limit(&self->rig, 16 * PAGE);
	EXPECT_EQ(2, result.ios);
	EXPECT_EQ(2, result.pages_issued);
	EXPECT_EQ(0, result.gap_bytes);
	EXPECT_EQ(3, count_resident(&self->rig.file));
}

/* What lies before the first extent and behind the last is no gap. */
TEST_F(collapse, nothing_outside)
{
	struct colink_extent extent = pages_extent(500, 1);
	struct colink_prefetch args = prefetch_args(self->rig.region, &extent, 1);

	args.gap_bytes = -1;
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(1, count_resident(&self->rig.file));
}

TEST_HARNESS_MAIN
