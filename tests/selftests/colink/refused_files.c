// SPDX-License-Identifier: GPL-2.0-only
/*
 * What cannot be registered: all but regular files with a page cache, open for reading.
 */
#include <sys/socket.h>

#include "colink_test.h"

FIXTURE(refused_files) {
	struct rig rig;
};

FIXTURE_SETUP(refused_files)
{
	rig_open(&self->rig, disk(), PAGE);
}

FIXTURE_TEARDOWN(refused_files)
{
	rig_close(&self->rig);
}

/* What registering that path, opened so, returns. */
static int register_path(const struct rig *rig, const char *path, int flags)
{
	int fd = open(path, flags, 0600), result;

	need(fd >= 0, path);
	result = register_file(rig->device, fd);
	close(fd);
	return result;
}

TEST_F(refused_files, write_only)
{
	EXPECT_EQ(-EBADF, register_path(&self->rig, self->rig.file.path, O_WRONLY));
}

TEST_F(refused_files, path_only)
{
	EXPECT_EQ(-EBADF, register_path(&self->rig, self->rig.file.path, O_PATH));
}

TEST_F(refused_files, read_only_is_enough)
{
	EXPECT_LT(0, register_path(&self->rig, self->rig.file.path, O_RDONLY));
}

TEST_F(refused_files, direct_io_is_no_hindrance)
{
	EXPECT_LT(0, register_path(&self->rig, self->rig.file.path, O_RDONLY | O_DIRECT));
}

TEST_F(refused_files, no_file)
{
	EXPECT_EQ(-EBADF, register_file(self->rig.device, -1));
	EXPECT_EQ(-EBADF, register_file(self->rig.device, 999));
}

TEST_F(refused_files, directory)
{
	EXPECT_EQ(-EINVAL, register_path(&self->rig, disk(), O_RDONLY | O_DIRECTORY));
}

TEST_F(refused_files, pipe)
{
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	EXPECT_EQ(-EINVAL, register_file(self->rig.device, ends[0]));
}

TEST_F(refused_files, socket)
{
	EXPECT_EQ(-EINVAL, register_file(self->rig.device, socket(AF_UNIX, SOCK_STREAM, 0)));
}

TEST_F(refused_files, devices)
{
	EXPECT_EQ(-EINVAL, register_path(&self->rig, "/dev/vda", O_RDONLY));
	EXPECT_EQ(-EINVAL, register_path(&self->rig, "/dev/zero", O_RDONLY));
	EXPECT_EQ(-EINVAL, register_file(self->rig.device, self->rig.device));
}

TEST_F(refused_files, no_page_cache_to_fill)
{
	EXPECT_EQ(-EOPNOTSUPP, register_path(&self->rig, "/proc/self/maps", O_RDONLY));
	EXPECT_EQ(-EOPNOTSUPP, register_path(&self->rig, "/sys/kernel/uevent_seqnum", O_RDONLY));
	EXPECT_EQ(-EOPNOTSUPP, register_path(&self->rig, "/tmp/refused", O_RDWR | O_CREAT));
}

/* A region keeps what it needs of the file: closing the descriptor changes nothing. */
TEST_F(refused_files, descriptor_closed_after)
{
	int region = register_path(&self->rig, self->rig.file.path, O_RDONLY);
	struct colink_extent extent = pages_extent(0, 1);
	struct colink_prefetch args = prefetch_args(region, &extent, 1);

	ASSERT_LT(0, region);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(1, args.result.pages_issued);
}

TEST_F(refused_files, geometry)
{
	struct colink_layer good = { 4096, 100, 10 }, bad[] = {
		{ 0, 0, 10 }, { 0, 10, 0 }, { 1ULL << 63, 1, 1 }, { -1, 1, 1 },
		{ (1ULL << 63) - 10, 1, 10 },
	};
	int device = self->rig.device, fd = self->rig.file.fd;
	size_t i;

	EXPECT_LT(0, register_layers(device, fd, &good, 1));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-ERANGE, register_layers(device, fd, &bad[i], 1));
	EXPECT_EQ(-EFAULT, register_layers(device, fd, NULL, 1));
	EXPECT_EQ(-EINVAL, register_layers(device, fd, &good, COLINK_MAX_LAYERS + 1));
}

TEST_HARNESS_MAIN
