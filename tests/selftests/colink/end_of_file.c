// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nothing is read, nor kept, beyond the end of the file.
 */
#include "colink_test.h"

/* The last page, number 99, is in the file by 10 bytes. */
#define PAGES 100
#define BYTES ((PAGES - 1) * PAGE + 10)

FIXTURE(end_of_file) {
	struct rig rig;
};

FIXTURE_SETUP(end_of_file)
{
	rig_open(&self->rig, disk(), BYTES);
}

FIXTURE_TEARDOWN(end_of_file)
{
	rig_close(&self->rig);
}

/* Pages of the file in the page cache by the file system's count, those beyond its end too. */
static size_t cached(const struct rig *rig)
{
	size_t beyond = 64;
	__u8 *map = mmap(NULL, (PAGES + beyond) * PAGE, PROT_READ, MAP_SHARED, rig->file.fd, 0);
	__u8 vector[PAGES + 64];
	size_t i, n = 0;

	need(map != MAP_FAILED && !mincore(map, (PAGES + beyond) * PAGE, vector), "mincore");
	for (i = 0; i < PAGES + beyond; i++)
		n += vector[i] & 1;
	munmap(map, (PAGES + beyond) * PAGE);
	return n;
}

TEST_F(end_of_file, across)
{
	struct colink_extent extent = pages_extent(90, 1000);
	struct colink_prefetch args = prefetch_args(self->rig.region, &extent, 1);

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(1, args.result.extents);
	EXPECT_EQ(10, args.result.pages_issued);
	EXPECT_EQ(10, cached(&self->rig));
	EXPECT_EQ(content(99), self->rig.file.map[99 * PAGE + 9]);
	EXPECT_EQ(0, self->rig.file.map[99 * PAGE + 10]);
}

TEST_F(end_of_file, last_byte)
{
	struct colink_extent extent = bytes_extent(BYTES - 1, 1);
	struct colink_prefetch args = prefetch_args(self->rig.region, &extent, 1);

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(1, args.result.pages_issued);
	EXPECT_EQ(1, cached(&self->rig));
}

TEST_F(end_of_file, beyond)
{
	struct colink_extent extents[] = {
		bytes_extent(BYTES, PAGE), pages_extent(PAGES, 10), bytes_extent(1ULL << 62, 1),
	};
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 3);

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(3, args.result.extents);
	EXPECT_EQ(0, args.result.pages_issued);
	EXPECT_EQ(0, cached(&self->rig));
}

/* The gap to something beyond the end is not read. */
TEST_F(end_of_file, no_collapse_across)
{
	struct colink_extent extents[] = { pages_extent(98, 1), pages_extent(PAGES + 1, 1) };
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 2);

	args.gap_bytes = 16 * PAGE;
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(1, args.result.pages_issued);
	EXPECT_EQ(1, cached(&self->rig));
}

TEST_F(end_of_file, empty_file)
{
	struct colink_extent extent = pages_extent(0, 10);
	struct colink_prefetch args = prefetch_args(self->rig.region, &extent, 1);

	ASSERT_EQ(0, ftruncate(self->rig.file.fd, 0));
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(0, args.result.pages_issued);
}

/* The size counts when it is asked, not when the file was registered. */
TEST_F(end_of_file, grown)
{
	struct colink_extent extent = pages_extent(0, 2 * PAGES);
	struct colink_prefetch args = prefetch_args(self->rig.region, &extent, 1);

	ASSERT_EQ(0, ftruncate(self->rig.file.fd, (PAGES + 20) * PAGE));
	evict(&self->rig.file);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(PAGES + 20, args.result.pages_issued + args.result.pages_resident);
	EXPECT_EQ(PAGES + 20, cached(&self->rig));
}

TEST_HARNESS_MAIN
