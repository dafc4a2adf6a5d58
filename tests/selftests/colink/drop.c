// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dropped: the pages wholly within the extents, and no others.
 */
#include "colink_test.h"

#define PAGES 256

FIXTURE(drop) {
	struct rig rig;
	__u8 vector[PAGES];
};

FIXTURE_SETUP(drop)
{
	struct colink_extent all = pages_extent(0, PAGES);
	struct colink_prefetch args;

	rig_open(&self->rig, disk(), PAGES * PAGE);
	args = prefetch_args(self->rig.region, &all, 1);
	need(!prefetch(self->rig.device, &args), "COLINK_PREFETCH");
}

FIXTURE_TEARDOWN(drop)
{
	rig_close(&self->rig);
}

static int drop(const struct rig *rig, const struct colink_extent *extents, int n, __u64 *dropped)
{
	struct colink_drop args = {
		.size = sizeof(args),
		.region = rig->region,
		.n_extents = n,
		.extents = (unsigned long)extents,
	};
	int result = errno_of(ioctl(rig->device, COLINK_DROP, &args));

	*dropped = args.pages_dropped;
	return result;
}

TEST_F(drop, exactly)
{
	struct colink_extent extents[] = { pages_extent(100, 10), pages_extent(7, 1) };
	unsigned long before = module_counter("pages_dropped");
	__u64 dropped;
	int i;

	ASSERT_EQ(0, drop(&self->rig, extents, 2, &dropped));
	EXPECT_EQ(11, dropped);
	EXPECT_EQ(11, module_counter("pages_dropped") - before);
	EXPECT_EQ(PAGES - 11, resident(&self->rig.file, self->vector));
	EXPECT_FALSE(self->vector[7]);
	for (i = 100; i < 110; i++)
		EXPECT_FALSE(self->vector[i]);
}

TEST_F(drop, whole_pages_only)
{
	struct colink_extent extents[] = {
		bytes_extent(10 * PAGE + 1, 2 * PAGE), /* page 11 */
		bytes_extent(20 * PAGE, PAGE - 1), /* none */
		bytes_extent(30 * PAGE, 100), bytes_extent(30 * PAGE + 100, PAGE - 100), /* 30 */
	};
	__u64 dropped;

	ASSERT_EQ(0, drop(&self->rig, extents, 4, &dropped));
	EXPECT_EQ(2, dropped);
	resident(&self->rig.file, self->vector);
	EXPECT_FALSE(self->vector[11]);
	EXPECT_FALSE(self->vector[30]);
}

/* A fault maps what is resident of some 16 pages around it. */
TEST_F(drop, not_what_is_mapped)
{
	struct colink_extent extent = pages_extent(32, 64);
	__u64 dropped;

	EXPECT_EQ(0, memcmp((__u8[]){ content(41) }, &self->rig.file.map[41 * PAGE], 1));
	ASSERT_EQ(0, drop(&self->rig, &extent, 1, &dropped));
	EXPECT_LE(48, dropped);
	EXPECT_GT(64, dropped);
	resident(&self->rig.file, self->vector);
	EXPECT_TRUE(self->vector[41]);
}

TEST_F(drop, and_again)
{
	struct colink_extent all = pages_extent(0, 10 * PAGES);
	struct colink_prefetch args;
	__u64 dropped;

	ASSERT_EQ(0, drop(&self->rig, &all, 1, &dropped));
	EXPECT_EQ(PAGES, dropped);
	EXPECT_EQ(0, count_resident(&self->rig.file));
	ASSERT_EQ(0, drop(&self->rig, &all, 1, &dropped));
	EXPECT_EQ(0, dropped);
	args = prefetch_args(self->rig.region, &all, 1);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(PAGES, args.result.pages_issued);
}

TEST_HARNESS_MAIN
