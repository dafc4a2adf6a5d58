// SPDX-License-Identifier: GPL-2.0-only
/* Devices of all kinds, in a /sys and a /proc that the test makes. */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "storage/device_identity.h"

#define FILE_SYSTEM 0x1234

/* A folder of that path below `root`, with all above it. */
static void make_path(const char *root, const char *path)
{
	char *whole;

	for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
		const char *end = strchr(slash + 1, '/');
		int length = end ? (int)(end - path) : (int)strlen(path);

		assert_true(asprintf(&whole, "%s/%.*s", root, length, path) > 0);
		assert_true(mkdir(whole, 0700) == 0 || errno == EEXIST);
		free(whole);
	}
}

static void set_attribute(const struct folder *sys, const char *device, const char *name,
			  const char *value)
{
	char *path, *folder;

	assert_true(asprintf(&path, "%s/%s", device, name) > 0);
	folder = strndup(path, (size_t)(strrchr(path, '/') - path));
	make_path(sys->path, folder);
	free(folder);
	free(path);
	assert_true(asprintf(&path, "%s/%s/%s", sys->path, device, name) > 0);
	write_file(path, value, strlen(value));
	free(path);
}

/* /sys/dev/block/M:N to the device of that path. */
static void add_block(const struct folder *sys, unsigned int minor_number, const char *device)
{
	char *link, *target;

	make_path(sys->path, device);
	make_path(sys->path, "dev/block");
	assert_true(asprintf(&link, "%s/dev/block/8:%u", sys->path, minor_number) > 0);
	assert_true(asprintf(&target, "../../%s", device) > 0);
	assert_int_equal(symlink(target, link), 0);
	free(target);
	free(link);
}

static struct device_identity identity_on(const struct folder *root, dev_t device, uint64_t mount)
{
	const struct device_place place = { device, mount, FILE_SYSTEM };
	struct device_identity identity;

	device_identity_at(root->path, root->path, &place, &identity);
	return identity;
}

static struct device_identity identity_of(const struct folder *root, dev_t device)
{
	return identity_on(root, device, 0);
}

static void a_wwid_names_a_device(void **state)
{
	const struct folder *sys = *state;
	struct device_identity identity;

	add_block(sys, 0, "devices/block/nvme0n1");
	set_attribute(sys, "devices/block/nvme0n1", "wwid", "eui.0025385b71b0a1c2\n");
	set_attribute(sys, "devices/block/nvme0n1", "device/serial", "S5GXNX0\n");
	set_attribute(sys, "devices/block/nvme0n1", "device/model", "A\tflash disk     \n");
	identity = identity_of(sys, makedev(8, 0));
	assert_string_equal(identity.id, "wwid:eui.0025385b71b0a1c2");
	assert_string_equal(identity.name, "nvme0n1");
	assert_string_equal(identity.model, "A flash disk");
}

/* Also one of a partition, which has a number of its own. */
static void a_partition_is_its_disk(void **state)
{
	const struct folder *sys = *state;
	struct device_identity disk, partition;

	add_block(sys, 0, "devices/block/sda");
	add_block(sys, 1, "devices/block/sda/sda1");
	set_attribute(sys, "devices/block/sda", "device/wwid", "naa.5000c500a1b2c3d4\n");
	set_attribute(sys, "devices/block/sda/sda1", "partition", "1\n");
	disk = identity_of(sys, makedev(8, 0));
	partition = identity_of(sys, makedev(8, 1));
	assert_string_equal(disk.id, "wwid:naa.5000c500a1b2c3d4");
	assert_string_equal(partition.id, disk.id);
	assert_string_equal(partition.name, "sda");
}

/* An encrypted disk does not cost what the disk below costs. */
static void a_mapped_device_is_itself(void **state)
{
	const struct folder *sys = *state;
	struct device_identity identity;

	add_block(sys, 0, "devices/virtual/block/dm-0");
	set_attribute(sys, "devices/virtual/block/dm-0", "dm/uuid", "CRYPT-LUKS2-7a\n");
	set_attribute(sys, "devices/virtual/block/dm-0", "dm/name", "home\n");
	identity = identity_of(sys, makedev(8, 0));
	assert_string_equal(identity.id, "dm:CRYPT-LUKS2-7a");
	assert_string_equal(identity.model, "home");
}

static void a_serial_number_comes_with_the_model(void **state)
{
	const struct folder *sys = *state;

	add_block(sys, 0, "devices/block/mmcblk0");
	set_attribute(sys, "devices/block/mmcblk0", "device/serial", "0x00c0ffee\n");
	set_attribute(sys, "devices/block/mmcblk0", "device/name", "SD64G\n");
	assert_string_equal(identity_of(sys, makedev(8, 0)).id, "serial:SD64G:0x00c0ffee");
	add_block(sys, 1, "devices/block/vda");
	set_attribute(sys, "devices/block/vda", "serial", "disk-7");
	assert_string_equal(identity_of(sys, makedev(8, 1)).id, "serial::disk-7");
}

/* As virtio disks often are: the serial number is there, and empty. */
static void without_any_size_and_file_system_have_to_do(void **state)
{
	const struct folder *sys = *state;

	add_block(sys, 0, "devices/block/vda");
	set_attribute(sys, "devices/block/vda", "serial", "");
	set_attribute(sys, "devices/block/vda", "size", "528000\n");
	assert_string_equal(identity_of(sys, makedev(8, 0)).id,
			    "size:528000 sectors:0000000000001234");
}

/* The folder is /proc, too. */
static void set_mounts(const struct folder *root, const char *mounts)
{
	char *path;

	make_path(root->path, "self");
	path = path_in(root->path, "self/mountinfo");
	write_file(path, mounts, strlen(mounts));
	free(path);
}

static void other_file_systems_are_found_by_their_mount(void **state)
{
	const struct folder *root = *state;
	struct device_identity identity;

	set_mounts(root, "25 1 0:20 / /proc rw - proc proc rw\n"
			 "nonsense\n"
			 "36 35 0:32 / /data rw shared:1 master:2 - nfs4 server:/models rw\n"
			 "37 35 0:40 /sub /more rw - btrfs /dev/no-such-disk rw\n");
	identity = identity_of(root, makedev(0, 32));
	assert_string_equal(identity.id, "mount:nfs4:server:/models");
	assert_string_equal(identity.name, "server:/models");
	identity = identity_of(root, makedev(0, 33));
	assert_string_equal(identity.id, "fsid:0000000000001234");
	assert_string_equal(identity.name, "0:33");
	identity = identity_on(root, makedev(0, 41), 37);
	assert_string_equal(identity.id, "mount:btrfs:/dev/no-such-disk");
}

static void hostile_names_stay_one_line(void **state)
{
	const struct folder *sys = *state;
	struct device_identity identity;
	char model[1000];

	memset(model, 'm', sizeof(model));
	model[sizeof(model) - 1] = '\0';
	add_block(sys, 0, "devices/block/sda");
	set_attribute(sys, "devices/block/sda", "wwid", "\x1b[2J\n\"x\xff\n");
	set_attribute(sys, "devices/block/sda", "device/model", model);
	identity = identity_of(sys, makedev(8, 0));
	assert_string_equal(identity.id, "wwid:[2J \"x");
	assert_int_equal(strlen(identity.model), DEVICE_NAME_SIZE - 1);
}

static void this_folder_has_a_device(void **state)
{
	const struct folder *folder = *state;
	struct device_identity by_folder, by_file;
	struct error err;

	assert_ok(device_identity_of(folder->path, &by_folder, &err), &err);
	assert_true(by_folder.id[0] && by_folder.name[0]);
	write_file(folder->file, "x", 1);
	assert_ok(device_identity_of(folder->file, &by_file, &err), &err);
	assert_string_equal(by_file.id, by_folder.id);
	unlink(folder->file);
	assert_refused_with(device_identity_of(folder->file, &by_file, &err), &err, folder->file,
			    "No such file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(a_wwid_names_a_device),
		folder_test(a_partition_is_its_disk),
		folder_test(a_mapped_device_is_itself),
		folder_test(a_serial_number_comes_with_the_model),
		folder_test(without_any_size_and_file_system_have_to_do),
		folder_test(other_file_systems_are_found_by_their_mount),
		folder_test(hostile_names_stay_one_line),
		folder_test(this_folder_has_a_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
