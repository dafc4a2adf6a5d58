// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file that is truncated, grown or deleted while it is prefetched.
 */
#include <pthread.h>
#include <sys/eventfd.h>

#include "colink_test.h"

#define PAGES 512
#define ROUNDS 200

FIXTURE(truncation) {
	struct rig rig;
};

FIXTURE_SETUP(truncation)
{
	rig_open(&self->rig, disk(), PAGES * PAGE);
}

FIXTURE_TEARDOWN(truncation)
{
	rig_close(&self->rig);
}

static void *truncate_again_and_again(void *data)
{
	const struct rig *rig = data;
	__u64 state = 1234567;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		need(!ftruncate(rig->file.fd, random_next(&state) % (PAGES * PAGE)), "ftruncate");
		sched_yield();
		need(!ftruncate(rig->file.fd, PAGES * PAGE), "ftruncate");
	}
	return NULL;
}

TEST_F(truncation, while_prefetching)
{
	struct colink_extent extents[PAGES / 2];
	pthread_t thread;
	__u8 zeros[PAGE];
	int i;

	memset(zeros, 0, PAGE);
	for (i = 0; i < PAGES / 2; i++)
		extents[i] = pages_extent(2 * i, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, truncate_again_and_again, &self->rig));
	for (i = 0; i < ROUNDS; i++) {
		struct colink_prefetch args = prefetch_args(self->rig.region, extents, PAGES / 2);

		args.flags = i % 2 ? COLINK_WAIT : 0;
		args.gap_bytes = i % 3 ? 0 : PAGE;
		EXPECT_EQ(0, prefetch(self->rig.device, &args));
	}
	pthread_join(thread, NULL);

	/* No stale page has survived: the file is as if nobody had prefetched. */
	ASSERT_EQ(0, ftruncate(self->rig.file.fd, PAGE));
	ASSERT_EQ(0, ftruncate(self->rig.file.fd, PAGES * PAGE));
	for (i = 1; i < PAGES; i++)
		EXPECT_EQ(0, memcmp(zeros, &self->rig.file.map[i * PAGE], PAGE));
}

TEST_F(truncation, deleted)
{
	struct colink_extent extent = pages_extent(0, PAGES);
	struct colink_prefetch args = prefetch_args(self->rig.region, &extent, 1);

	ASSERT_EQ(0, unlink(self->rig.file.path));
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(PAGES, count_resident(&self->rig.file));
}

/* Only the region holds the file when it is read. */
TEST_F(truncation, deleted_and_closed)
{
	struct test_file other = self->rig.file;
	struct colink_extent extent = pages_extent(0, PAGES);
	struct colink_prefetch args;
	int region;

	snprintf(other.path, sizeof(other.path), "%s/other-%d", disk(), getpid());
	other.fd = open(other.path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ASSERT_LE(0, other.fd);
	ASSERT_EQ(0, ftruncate(other.fd, PAGES * PAGE));
	region = register_file(self->rig.device, other.fd);
	ASSERT_LT(0, region);
	close(other.fd);
	unlink(other.path);
	args = prefetch_args(region, &extent, 1);
	args.flags = 0;
	EXPECT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(PAGES, args.result.pages_issued);
	EXPECT_EQ(0, ioctl(self->rig.device, COLINK_UNREGISTER, region));
}

TEST_HARNESS_MAIN
