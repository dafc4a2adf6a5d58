// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the header says of arguments: sizes of structures, what must be 0, what is
 * unknown. A call that is refused has done nothing.
 */
#include "colink_test.h"

FIXTURE(arguments) {
	struct rig rig;
	struct colink_extent extent;
};

FIXTURE_SETUP(arguments)
{
	rig_open(&self->rig, disk(), 16 * PAGE);
	self->extent = pages_extent(0, 4);
}

FIXTURE_TEARDOWN(arguments)
{
	rig_close(&self->rig);
}

/* A program that is newer than the kernel: the same with 8 bytes more. */
struct newer {
	struct colink_prefetch args;
	__u64 unknown;
};

TEST_F(arguments, of_a_newer_program)
{
	struct newer newer = { prefetch_args(self->rig.region, &self->extent, 1) };

	newer.args.size = sizeof(newer);
	newer.unknown = 1;
	EXPECT_EQ(-E2BIG, prefetch(self->rig.device, &newer.args));
	EXPECT_EQ(0, count_resident(&self->rig.file));
	newer.unknown = 0;
	EXPECT_EQ(0, prefetch(self->rig.device, &newer.args));
	EXPECT_EQ(4, newer.args.result.pages_issued);
	newer.args.size = PAGE + 8;
	EXPECT_EQ(-E2BIG, prefetch(self->rig.device, &newer.args));
}

TEST_F(arguments, too_small)
{
	struct colink_prefetch args = prefetch_args(self->rig.region, &self->extent, 1);
	struct colink_drop drop = { .size = sizeof(drop) - 8, .region = self->rig.region };
	struct colink_register registered = { .size = 8, .fd = self->rig.file.fd };

	args.size -= 8;
	EXPECT_EQ(-EINVAL, prefetch(self->rig.device, &args));
	EXPECT_EQ(-EINVAL, errno_of(ioctl(self->rig.device, COLINK_DROP, &drop)));
	EXPECT_EQ(-EINVAL, errno_of(ioctl(self->rig.device, COLINK_REGISTER, &registered)));
	EXPECT_EQ(0, count_resident(&self->rig.file));
}

TEST_F(arguments, must_be_zero)
{
	struct colink_prefetch good = prefetch_args(self->rig.region, &self->extent, 1), bad;
	struct colink_drop drop = { .size = sizeof(drop), .region = self->rig.region, .flags = 1 };
	struct colink_register registered = {
		.size = sizeof(registered), .fd = self->rig.file.fd, .flags = 1,
	};

	bad = good;
	bad.flags |= 4;
	EXPECT_EQ(-EINVAL, prefetch(self->rig.device, &bad));
	bad = good;
	bad.reserved = 1;
	EXPECT_EQ(-EINVAL, prefetch(self->rig.device, &bad));
	self->extent.reserved = 1;
	EXPECT_EQ(-EINVAL, prefetch(self->rig.device, &good));
	EXPECT_EQ(-EINVAL, errno_of(ioctl(self->rig.device, COLINK_DROP, &drop)));
	EXPECT_EQ(-EINVAL, errno_of(ioctl(self->rig.device, COLINK_REGISTER, &registered)));
	EXPECT_EQ(0, count_resident(&self->rig.file));
}

/* It is known only after the plan: what was planned is given back. */
TEST_F(arguments, no_such_eventfd)
{
	struct colink_prefetch args = prefetch_args(self->rig.region, &self->extent, 1);
	int fds[] = { -2, 999, self->rig.file.fd };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		args.eventfd = fds[i];
		EXPECT_EQ(i < 2 ? -EBADF : -EINVAL, prefetch(self->rig.device, &args));
	}
	EXPECT_EQ(0, count_resident(&self->rig.file));
	args.eventfd = -1;
	EXPECT_EQ(0, prefetch(self->rig.device, &args));
}

TEST_F(arguments, addresses)
{
	struct colink_prefetch args =
		prefetch_args(self->rig.region, (struct colink_extent *)16, 1);

	EXPECT_EQ(-EFAULT, prefetch(self->rig.device, &args));
	EXPECT_EQ(-EFAULT, errno_of(ioctl(self->rig.device, COLINK_PREFETCH, 16)));
	EXPECT_EQ(-EFAULT, errno_of(ioctl(self->rig.device, COLINK_DROP, 16)));
	EXPECT_EQ(-EFAULT, errno_of(ioctl(self->rig.device, COLINK_REGISTER, 16)));
}

TEST_F(arguments, no_such_call)
{
	EXPECT_EQ(-ENOTTY, errno_of(ioctl(self->rig.device, _IO(COLINK_IOC_MAGIC, 4), 0)));
	EXPECT_EQ(-ENOTTY, errno_of(ioctl(self->rig.device, _IO(0, 0), 0)));
}

TEST_HARNESS_MAIN
