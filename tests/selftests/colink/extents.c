// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extents in any order, overlapping, many: the same pages come in, each read once.
 */
#include "colink_test.h"

#define PAGES 16384

FIXTURE(extents) {
	struct rig rig;
	struct colink_extent *extents;
	__u8 *want;
};

FIXTURE_SETUP(extents)
{
	rig_open(&self->rig, disk(), PAGES * PAGE);
	self->extents = calloc(COLINK_MAX_EXTENTS + 1, sizeof(*self->extents));
	self->want = calloc(PAGES, 1);
	need(self->extents && self->want, "calloc");
}

FIXTURE_TEARDOWN(extents)
{
	free(self->extents);
	free(self->want);
	rig_close(&self->rig);
}

/* Ask, and compare with the pages wanted. */
static void expect_wanted(struct __test_metadata *_metadata, const struct rig *rig,
			  const struct colink_extent *extents, __u32 n, const __u8 *want)
{
	struct colink_prefetch args = prefetch_args(rig->region, extents, n);
	struct disk_reads before = disk_reads(rig->file.fd), after;
	size_t i, pages = 0, ios = 0;
	__u8 have[PAGES];

	for (i = 0; i < PAGES; i++) {
		pages += want[i];
		ios += want[i] && !(i && want[i - 1]);
	}
	ASSERT_EQ(0, prefetch(rig->device, &args));
	after = disk_reads(rig->file.fd);
	EXPECT_EQ(n, args.result.extents);
	EXPECT_EQ(0, args.result.refused);
	EXPECT_EQ(pages, args.result.pages_issued);
	EXPECT_EQ(0, args.result.pages_resident);
	EXPECT_EQ(ios, args.result.ios);
	EXPECT_EQ(pages * PAGE, after.bytes - before.bytes);
	EXPECT_EQ(pages, resident(&rig->file, have));
	EXPECT_EQ(0, memcmp(want, have, PAGES));
}

TEST_F(extents, backwards)
{
	int i;

	for (i = 0; i < 100; i++) {
		self->extents[i] = pages_extent(4 * (99 - i), 2);
		memset(&self->want[4 * i], 1, 2);
	}
	expect_wanted(_metadata, &self->rig, self->extents, 100, self->want);
}

TEST_F(extents, neighbours_are_joined)
{
	self->extents[0] = pages_extent(20, 10);
	self->extents[1] = pages_extent(10, 10);
	self->extents[2] = bytes_extent(30 * PAGE, 100);
	self->extents[3] = bytes_extent(30 * PAGE + 100, 100);
	memset(&self->want[10], 1, 21);
	expect_wanted(_metadata, &self->rig, self->extents, 4, self->want);
}

TEST_F(extents, one_within_another)
{
	self->extents[0] = pages_extent(10, 100);
	self->extents[1] = pages_extent(20, 10);
	self->extents[2] = pages_extent(10, 100);
	self->extents[3] = pages_extent(100, 20);
	memset(&self->want[10], 1, 110);
	expect_wanted(_metadata, &self->rig, self->extents, 4, self->want);
}

TEST_F(extents, at_random)
{
	__u64 state = 2463534242;
	int i;

	for (i = 0; i < 3000; i++) {
		__u64 first = random_next(&state) % ((PAGES - 16) * PAGE);
		__u64 count = random_next(&state) % (8 * PAGE) + 1;

		self->extents[i] = bytes_extent(first, count);
		memset(&self->want[first / PAGE], 1, (first + count - 1) / PAGE - first / PAGE + 1);
	}
	expect_wanted(_metadata, &self->rig, self->extents, 3000, self->want);
}

TEST_F(extents, as_many_as_there_can_be)
{
	__u64 state = 88172645463325252;
	int i;

	for (i = 0; i < COLINK_MAX_EXTENTS; i++) {
		__u64 page = random_next(&state) % (PAGES / 2) * 2;

		self->extents[i] = pages_extent(page, 1);
		self->want[page] = 1;
	}
	expect_wanted(_metadata, &self->rig, self->extents, COLINK_MAX_EXTENTS, self->want);
}

TEST_F(extents, one_too_many)
{
	struct colink_prefetch args =
		prefetch_args(self->rig.region, self->extents, COLINK_MAX_EXTENTS + 1);

	EXPECT_EQ(-EINVAL, prefetch(self->rig.device, &args));
}

TEST_HARNESS_MAIN
