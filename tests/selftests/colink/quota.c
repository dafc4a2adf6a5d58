// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one opener can have at a time, by the module's parameters.
 */
#include <poll.h>
#include <sys/eventfd.h>

#include "colink_test.h"

#define PAGES 1024

FIXTURE(quota) {
	struct rig rig;
	int event;
};

FIXTURE_SETUP(quota)
{
	rig_open(&self->rig, slow_disk(), PAGES * PAGE);
	self->event = eventfd(0, 0);
}

FIXTURE_TEARDOWN(quota)
{
	rig_close(&self->rig);
}

static void wait_for(int event)
{
	struct pollfd wait = { .fd = event, .events = POLLIN };
	__u64 times;

	need(poll(&wait, 1, 20000) == 1 && read(event, &times, 8) == 8, "eventfd");
}

TEST_F(quota, bytes)
{
	struct colink_extent extents[] = {
		pages_extent(0, 100), pages_extent(200, 100), pages_extent(400, 100),
	};
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 3);
	int before = parameter("max_mib", 1); /* 256 pages */

	EXPECT_EQ(0, prefetch(self->rig.device, &args));
	parameter("max_mib", before);
	EXPECT_EQ(2, args.result.extents);
	EXPECT_EQ(1, args.result.refused);
	EXPECT_EQ(200, args.result.pages_issued);
	EXPECT_EQ(200, count_resident(&self->rig.file));
}

TEST_F(quota, bytes_resident_are_free)
{
	struct colink_extent all = pages_extent(0, PAGES), half = pages_extent(0, PAGES - 256);
	struct colink_prefetch args = prefetch_args(self->rig.region, &half, 1);
	int before;

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	before = parameter("max_mib", 1);
	args = prefetch_args(self->rig.region, &all, 1);
	EXPECT_EQ(0, prefetch(self->rig.device, &args));
	parameter("max_mib", before);
	EXPECT_EQ(0, args.result.refused);
	EXPECT_EQ(PAGES, count_resident(&self->rig.file));
}

TEST_F(quota, bytes_for_one_extent_alone)
{
	struct colink_extent all = pages_extent(0, PAGES);
	struct colink_prefetch args = prefetch_args(self->rig.region, &all, 1);
	int before = parameter("max_mib", 1);

	EXPECT_EQ(-EDQUOT, prefetch(self->rig.device, &args));
	parameter("max_mib", before);
	EXPECT_EQ(1, args.result.refused);
	EXPECT_EQ(0, count_resident(&self->rig.file));
}

/* What is in flight counts, and is given back. */
TEST_F(quota, bytes_in_flight)
{
	struct colink_extent extents[400];
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 200), again;
	int before = parameter("max_mib", 1), i;

	for (i = 0; i < 400; i++)
		extents[i] = pages_extent(2 * i, 1);
	args.flags = 0;
	args.eventfd = self->event;
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(200, args.result.pages_issued);
	again = prefetch_args(self->rig.region, &extents[200], 200);
	again.flags = 0;
	EXPECT_EQ(0, prefetch(self->rig.device, &again));
	EXPECT_EQ(56, again.result.extents);
	EXPECT_EQ(144, again.result.refused);
	wait_for(self->event);
	again = prefetch_args(self->rig.region, &extents[200], 200);
	EXPECT_EQ(0, prefetch(self->rig.device, &again));
	EXPECT_EQ(200, again.result.extents);
	parameter("max_mib", before);
}

TEST_F(quota, requests)
{
	struct colink_extent extents[400], other = pages_extent(1, 1);
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 400);
	int before = parameter("max_requests", 1), i;

	for (i = 0; i < 400; i++)
		extents[i] = pages_extent(2 * i, 1);
	args.flags = 0;
	args.eventfd = self->event;
	EXPECT_EQ(0, prefetch(self->rig.device, &args));
	args = prefetch_args(self->rig.region, &other, 1);
	EXPECT_EQ(-EDQUOT, prefetch(self->rig.device, &args));
	wait_for(self->event);
	EXPECT_EQ(0, prefetch(self->rig.device, &args));
	parameter("max_requests", before);
}

TEST_F(quota, extents)
{
	struct colink_extent extents[] = { pages_extent(0, 1), pages_extent(2, 1) };
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 2);
	int before = parameter("max_extents", 1);

	EXPECT_EQ(-EDQUOT, prefetch(self->rig.device, &args));
	args.n_extents = 1;
	EXPECT_EQ(0, prefetch(self->rig.device, &args));
	parameter("max_extents", before);
}

TEST_F(quota, regions)
{
	int before = parameter("max_regions", 3), second, other = open_device();

	second = register_file(self->rig.device, self->rig.file.fd);
	EXPECT_LT(0, second);
	EXPECT_LT(0, register_file(self->rig.device, self->rig.file.fd));
	EXPECT_EQ(-EDQUOT, register_file(self->rig.device, self->rig.file.fd));
	/* Each opener has its own. */
	EXPECT_LT(0, register_file(other, self->rig.file.fd));
	EXPECT_EQ(0, ioctl(self->rig.device, COLINK_UNREGISTER, second));
	EXPECT_LT(0, register_file(self->rig.device, self->rig.file.fd));
	parameter("max_regions", before);
	close(other);
}

TEST_HARNESS_MAIN
