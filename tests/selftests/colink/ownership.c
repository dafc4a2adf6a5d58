// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region is its opener's alone, from when it is registered to when it is not.
 */
#include <signal.h>
#include <sys/wait.h>

#include "colink_test.h"

FIXTURE(ownership) {
	struct rig rig;
	struct colink_extent extent;
};

FIXTURE_SETUP(ownership)
{
	rig_open(&self->rig, disk(), 16 * PAGE);
	self->extent = pages_extent(0, 4);
}

FIXTURE_TEARDOWN(ownership)
{
	rig_close(&self->rig);
}

static int prefetch_region(int device, const struct colink_extent *extent, int region)
{
	struct colink_prefetch args = prefetch_args(region, extent, 1);

	return prefetch(device, &args);
}

static int drop_region(int device, const struct colink_extent *extent, int region)
{
	struct colink_drop args = {
		.size = sizeof(args),
		.region = region,
		.n_extents = 1,
		.extents = (unsigned long)extent,
	};

	return errno_of(ioctl(device, COLINK_DROP, &args));
}

static int unregister(int device, int region)
{
	return errno_of(ioctl(device, COLINK_UNREGISTER, region));
}

TEST_F(ownership, never_registered)
{
	int unknown[] = { 0, -1, self->rig.region + 1, 1 << 30 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		EXPECT_EQ(-ENOENT, prefetch_region(self->rig.device, &self->extent, unknown[i]));
		EXPECT_EQ(-ENOENT, drop_region(self->rig.device, &self->extent, unknown[i]));
		EXPECT_EQ(-ENOENT, unregister(self->rig.device, unknown[i]));
	}
	EXPECT_EQ(0, count_resident(&self->rig.file));
}

TEST_F(ownership, unregistered)
{
	EXPECT_EQ(0, unregister(self->rig.device, self->rig.region));
	EXPECT_EQ(-ENOENT, unregister(self->rig.device, self->rig.region));
	EXPECT_EQ(-ENOENT, prefetch_region(self->rig.device, &self->extent, self->rig.region));
	EXPECT_EQ(0, count_resident(&self->rig.file));
}

TEST_F(ownership, of_another_opener)
{
	int other = open_device();

	EXPECT_EQ(-ENOENT, prefetch_region(other, &self->extent, self->rig.region));
	EXPECT_EQ(-ENOENT, drop_region(other, &self->extent, self->rig.region));
	EXPECT_EQ(-ENOENT, unregister(other, self->rig.region));
	EXPECT_EQ(0, count_resident(&self->rig.file));
	EXPECT_EQ(0, prefetch_region(self->rig.device, &self->extent, self->rig.region));
	EXPECT_EQ(-ENOENT, drop_region(other, &self->extent, self->rig.region));
	EXPECT_EQ(4, count_resident(&self->rig.file));
}

/* An id is not given to another region at once, where an old user could mean it. */
TEST_F(ownership, ids_are_not_used_again_soon)
{
	int region, i;

	for (i = 0; i < 10; i++) {
		region = register_file(self->rig.device, self->rig.file.fd);
		EXPECT_LT(self->rig.region, region);
		EXPECT_EQ(0, unregister(self->rig.device, region));
	}
}

/* Does debugfs list the region, with the file that it is of? */
static bool listed(int region, const struct stat *file)
{
	unsigned int id, layers, dev_major, dev_minor;
	FILE *list = fopen("/sys/kernel/debug/colink/regions", "r");
	unsigned long inode;
	bool found = false;
	char name[256];

	need(list, "regions in debugfs");
	while (fscanf(list, "%u %u:%u %lu %u %255[^\n]", &id, &dev_major, &dev_minor, &inode,
		      &layers, name) == 6)
		found |= id == region && inode == file->st_ino && !layers &&
			 makedev(dev_major, dev_minor) == file->st_dev &&
			 !strncmp(name, "colink-", 7);
	fclose(list);
	return found;
}

/* A region can be ended, by a guess of its id, before its registering has returned. */
TEST_F(ownership, ended_while_registered)
{
	volatile int *latest = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int region, status, i;
	pid_t child;

	need(latest != MAP_FAILED, "mmap");
	*latest = self->rig.region;
	child = fork();
	if (!child)
		for (;;)
			unregister(self->rig.device, *latest + 1);
	for (i = 0; i < 3000; i++) {
		region = register_file(self->rig.device, self->rig.file.fd);
		EXPECT_LT(*latest, region);
		unregister(self->rig.device, region);
		*latest = region;
	}
	kill(child, SIGKILL);
	ASSERT_EQ(child, waitpid(child, &status, 0));
}

/* Whoever follows a file in BPF is told how to know it. */
TEST_F(ownership, device_and_inode)
{
	struct colink_register args = { .size = sizeof(args), .fd = self->rig.file.fd };
	struct stat file;
	int region;

	need(!fstat(self->rig.file.fd, &file), "fstat");
	region = ioctl(self->rig.device, COLINK_REGISTER, &args);
	ASSERT_LT(0, region);
	EXPECT_EQ(file.st_ino, args.inode);
	EXPECT_EQ(major(file.st_dev) << 20 | minor(file.st_dev), args.device);
	EXPECT_TRUE(listed(region, &file));
	EXPECT_EQ(0, unregister(self->rig.device, region));
	EXPECT_FALSE(listed(region, &file));
	EXPECT_TRUE(listed(self->rig.region, &file));
}

/* Sent to another process, the open device goes on being the same opener. */
TEST_F(ownership, inherited_by_a_child)
{
	int status;
	pid_t child = fork();

	if (!child)
		_exit(prefetch_region(self->rig.device, &self->extent, self->rig.region) ? 1 : 0);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(4, count_resident(&self->rig.file));
}

static bool become_nobody(void)
{
	return !setgid(65534) && !setuid(65534);
}

/* Who was given an open device may use it, but has no more of others' regions than anybody. */
TEST_F(ownership, of_another_user)
{
	int other = open_device(), status;
	pid_t child = fork();

	if (!child)
		_exit(!become_nobody() ||
		      prefetch_region(other, &self->extent, self->rig.region) != -ENOENT ||
		      drop_region(other, &self->extent, self->rig.region) != -ENOENT ||
		      unregister(other, self->rig.region) != -ENOENT);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, count_resident(&self->rig.file));
	EXPECT_EQ(0, prefetch_region(self->rig.device, &self->extent, self->rig.region));
}

TEST_F(ownership, unprivileged)
{
	int status;
	pid_t child = fork();

	if (!child) {
		if (!become_nobody())
			_exit(2);
		_exit(open("/dev/colink", O_RDWR) < 0 && errno == EACCES ? 0 : 1);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
