// SPDX-License-Identifier: GPL-2.0-only
/*
 * After a prefetch exactly the pages asked for are resident, with their content, and
 * the disk has read no more than them. A second one reads nothing.
 */
#include "colink_test.h"

#define PAGES 1024

FIXTURE(residency) {
	struct rig rig;
};

FIXTURE_SETUP(residency)
{
	rig_open(&self->rig, disk(), PAGES * PAGE);
}

FIXTURE_TEARDOWN(residency)
{
	rig_close(&self->rig);
}

/* Is every page of the extents resident, and no other? */
static bool exactly(const struct test_file *file, const struct colink_extent *extents, int n)
{
	__u8 want[PAGES] = { 0 }, vector[PAGES];
	int i;

	for (i = 0; i < n; i++)
		memset(&want[extents[i].first / PAGE], 1,
		       (extents[i].first + extents[i].count + PAGE - 1) / PAGE -
			       extents[i].first / PAGE);
	resident(file, vector);
	return !memcmp(want, vector, PAGES);
}

TEST_F(residency, scattered)
{
	struct colink_extent extents[] = {
		pages_extent(3, 1), pages_extent(10, 16), pages_extent(100, 64),
		pages_extent(500, 2), pages_extent(PAGES - 1, 1),
	};
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 5);
	struct disk_reads before = disk_reads(self->rig.file.fd), after;
	int i;

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	after = disk_reads(self->rig.file.fd);
	EXPECT_TRUE(exactly(&self->rig.file, extents, 5));
	EXPECT_EQ(5, args.result.extents);
	EXPECT_EQ(0, args.result.refused);
	EXPECT_EQ(0, args.result.pages_resident);
	EXPECT_EQ(84, args.result.pages_issued);
	EXPECT_EQ(0, args.result.pages_given_up);
	EXPECT_EQ(0, args.result.gap_bytes);
	EXPECT_EQ(5, args.result.ios);
	EXPECT_EQ(84 * PAGE, after.bytes - before.bytes);
	EXPECT_EQ(5, after.ios - before.ios);
	for (i = 100; i < 164; i++)
		EXPECT_EQ(content(i), self->rig.file.map[i * PAGE]);
	EXPECT_EQ(after.bytes, disk_reads(self->rig.file.fd).bytes);
}

TEST_F(residency, bytes_touch_whole_pages)
{
	struct colink_extent extents[] = {
		bytes_extent(PAGE - 1, 1), /* page 0 */
		bytes_extent(5 * PAGE - 1, 2), /* pages 4 and 5 */
		bytes_extent(9 * PAGE, PAGE), /* page 9 */
		bytes_extent(20 * PAGE + 1, PAGE), /* pages 20 and 21 */
		bytes_extent(30 * PAGE, 0), /* none */
	};
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 5);

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_TRUE(exactly(&self->rig.file, extents, 4));
	EXPECT_EQ(5, args.result.extents);
	EXPECT_EQ(6, args.result.pages_issued);
	EXPECT_EQ(4, args.result.ios);
}

TEST_F(residency, slots_of_layers)
{
	struct colink_layer layers[] = { { 2 * PAGE, 1024, 64 }, { 512 * PAGE, 3 * PAGE, 100 } };
	struct colink_extent extents[] = {
		{ .layer = 1, .first = 10, .count = 2 },
		{ .layer = 0, .first = 6, .count = 3 },
	};
	struct colink_extent same[] = { pages_extent(542, 6), bytes_extent(14 * 1024, 3 * 1024) };
	int region = register_layers(self->rig.device, self->rig.file.fd, layers, 2);
	struct colink_prefetch args = prefetch_args(region, extents, 2);

	ASSERT_LT(0, region);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(2, args.result.extents);
	EXPECT_TRUE(exactly(&self->rig.file, same, 2));
}

TEST_F(residency, outside_the_geometry)
{
	struct colink_layer layer = { 0, PAGE, 8 };
	struct colink_extent extents[] = {
		{ .layer = 0, .first = 7, .count = 1 }, { .layer = 0, .first = 8, .count = 0 },
		{ .layer = 0, .first = 7, .count = 2 }, { .layer = 0, .first = 9, .count = 0 },
		{ .layer = 1, .first = 0, .count = 1 }, { .layer = 0, .first = 1, .count = -1 },
		{ .layer = COLINK_BYTES, .first = -1, .count = 1 },
		{ .layer = COLINK_BYTES, .first = 1, .count = -1 },
	};
	int region = register_layers(self->rig.device, self->rig.file.fd, &layer, 1);
	struct colink_prefetch args = prefetch_args(region, extents, 8);

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(2, args.result.extents);
	EXPECT_EQ(6, args.result.refused);
	EXPECT_EQ(1, count_resident(&self->rig.file));
	args = prefetch_args(region, &extents[2], 6);
	EXPECT_EQ(-ERANGE, prefetch(self->rig.device, &args));
	EXPECT_EQ(6, args.result.refused);
	args = prefetch_args(region, NULL, 0);
	EXPECT_EQ(0, prefetch(self->rig.device, &args));
}

TEST_F(residency, second_reads_nothing)
{
	struct colink_extent extents[] = { pages_extent(7, 40), pages_extent(200, 30) };
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 2);
	struct disk_reads before, after;

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	before = disk_reads(self->rig.file.fd);
	args = prefetch_args(self->rig.region, extents, 2);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	after = disk_reads(self->rig.file.fd);
	EXPECT_EQ(0, after.ios - before.ios);
	EXPECT_EQ(2, args.result.extents);
	EXPECT_EQ(70, args.result.pages_resident);
	EXPECT_EQ(0, args.result.pages_issued);
	EXPECT_EQ(0, args.result.ios);
}

TEST_F(residency, only_what_is_missing)
{
	struct colink_extent some[] = { pages_extent(0, 5), pages_extent(20, 5) };
	struct colink_extent all = pages_extent(0, 40);
	struct colink_prefetch args = prefetch_args(self->rig.region, some, 2);
	struct disk_reads before, after;

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	before = disk_reads(self->rig.file.fd);
	args = prefetch_args(self->rig.region, &all, 1);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	after = disk_reads(self->rig.file.fd);
	EXPECT_TRUE(exactly(&self->rig.file, &all, 1));
	EXPECT_EQ(10, args.result.pages_resident);
	EXPECT_EQ(30, args.result.pages_issued);
	EXPECT_EQ(2, args.result.ios);
	EXPECT_EQ(30 * PAGE, after.bytes - before.bytes);
}

TEST_HARNESS_MAIN
