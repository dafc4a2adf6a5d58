// SPDX-License-Identifier: GPL-2.0-only
/*
 * Those who read and write a file by O_DIRECT, past the page cache, are not affected by its
 * being prefetched: they bring nothing in, they see what is on the disk, and what they
 * write is what everybody reads from then on.
 */
#include <pthread.h>

#include "colink_test.h"

#define PAGES 256
#define ROUNDS 100

FIXTURE(direct_io) {
	struct rig rig;
	int direct;
	__u8 *buffer;		/* of the whole file */
};

FIXTURE_SETUP(direct_io)
{
	rig_open(&self->rig, disk(), PAGES * PAGE);
	self->direct = open(self->rig.file.path, O_RDWR | O_DIRECT);
	need(self->direct >= 0, "O_DIRECT");
	need(!posix_memalign((void **)&self->buffer, PAGE, PAGES * PAGE), "memory");
}

FIXTURE_TEARDOWN(direct_io)
{
	free(self->buffer);
	close(self->direct);
	rig_close(&self->rig);
}

static bool read_right(int direct, __u8 *buffer)
{
	size_t i;

	if (pread(direct, buffer, PAGES * PAGE, 0) != PAGES * PAGE)
		return false;
	for (i = 0; i < PAGES; i++)
		if (buffer[i * PAGE] != content(i) || buffer[i * PAGE + PAGE - 1] != content(i))
			return false;
	return true;
}

static int prefetch_pages(const struct rig *rig, size_t first, size_t n)
{
	struct colink_extent extent = pages_extent(first, n);
	struct colink_prefetch args = prefetch_args(rig->region, &extent, 1);

	return prefetch(rig->device, &args);
}

TEST_F(direct_io, reads_bring_nothing_in)
{
	EXPECT_TRUE(read_right(self->direct, self->buffer));
	EXPECT_EQ(0, count_resident(&self->rig.file));
	ASSERT_EQ(0, prefetch_pages(&self->rig, 10, 20));
	EXPECT_TRUE(read_right(self->direct, self->buffer));
	EXPECT_EQ(20, count_resident(&self->rig.file));
}

/* The region's own descriptor may be such a one: a prefetch is a matter of the page cache. */
TEST_F(direct_io, region_of_a_direct_descriptor)
{
	struct rig rig = self->rig;

	rig.region = register_file(rig.device, self->direct);
	ASSERT_LT(0, rig.region);
	ASSERT_EQ(0, prefetch_pages(&rig, 10, 20));
	EXPECT_EQ(20, count_resident(&rig.file));
	EXPECT_EQ(content(12), rig.file.map[12 * PAGE]);
	EXPECT_TRUE(read_right(self->direct, self->buffer));
}

struct reader {
	int direct;
	__u8 *buffer;
	int wrong;
};

static void *read_again_and_again(void *data)
{
	struct reader *reader = data;
	int i;

	for (i = 0; i < ROUNDS; i++)
		reader->wrong += !read_right(reader->direct, reader->buffer);
	return NULL;
}

TEST_F(direct_io, reads_while_prefetching)
{
	struct reader reader = { .direct = self->direct, .buffer = self->buffer };
	struct colink_extent all = pages_extent(0, PAGES);
	struct colink_drop drop = {
		.size = sizeof(drop),
		.region = self->rig.region,
		.n_extents = 1,
		.extents = (unsigned long)&all,
	};
	pthread_t thread;
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, read_again_and_again, &reader));
	for (i = 0; i < ROUNDS; i++) {
		EXPECT_EQ(0, prefetch_pages(&self->rig, i % 7, PAGES / 2));
		EXPECT_EQ(0, ioctl(self->rig.device, COLINK_DROP, &drop));
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, reader.wrong);
}

TEST_F(direct_io, writes_are_seen)
{
	ASSERT_EQ(0, prefetch_pages(&self->rig, 0, PAGES));
	memset(self->buffer, 255, 10 * PAGE);
	ASSERT_EQ(10 * PAGE, pwrite(self->direct, self->buffer, 10 * PAGE, 20 * PAGE));
	ASSERT_EQ(0, prefetch_pages(&self->rig, 0, PAGES));
	EXPECT_EQ(content(19), self->rig.file.map[19 * PAGE]);
	EXPECT_EQ(255, self->rig.file.map[20 * PAGE]);
	EXPECT_EQ(255, self->rig.file.map[29 * PAGE]);
	EXPECT_EQ(content(30), self->rig.file.map[30 * PAGE]);
}

/* Each round writes all pages anew, with its number. */
static void *write_again_and_again(void *data)
{
	struct reader *writer = data;
	int i;

	for (i = 1; i <= ROUNDS; i++) {
		memset(writer->buffer, i, PAGES * PAGE);
		writer->wrong += pwrite(writer->direct, writer->buffer, PAGES * PAGE, 0) !=
				 PAGES * PAGE;
	}
	return NULL;
}

TEST_F(direct_io, writes_while_prefetching)
{
	struct reader writer = { .direct = self->direct, .buffer = self->buffer };
	pthread_t thread;
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, write_again_and_again, &writer));
	for (i = 0; i < ROUNDS; i++)
		EXPECT_EQ(0, prefetch_pages(&self->rig, i % 7, PAGES / 2));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, writer.wrong);
	ASSERT_EQ(0, prefetch_pages(&self->rig, 0, PAGES));
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(ROUNDS, self->rig.file.map[i * PAGE]);
}

TEST_HARNESS_MAIN
