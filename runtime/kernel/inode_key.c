// SPDX-License-Identifier: GPL-2.0-only
/*
 * btrfs shows a device of its own for each subvolume in stat(2). The file system's is in
 * /proc/self/mountinfo, where the mount that the file was opened on is found by its id.
 */
#include "kernel/inode_key.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <linux/magic.h>

static bool mount_of(int fd, unsigned int *mount)
{
	char path[64], line[128];
	bool found = false;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	if (!info)
		return false;
	while (!found && fgets(line, sizeof(line), info))
		found = sscanf(line, "mnt_id: %u", mount) == 1;
	fclose(info);
	return found;
}

/* Lines are "id parent major:minor ..."; one that is longer than the buffer is read in parts. */
static bool device_of_mount(unsigned int mount, struct inode_key *key)
{
	FILE *info = fopen("/proc/self/mountinfo", "re");
	bool found = false, begins = true;
	char part[256];
	unsigned int id;

	if (!info)
		return false;
	while (!found && fgets(part, sizeof(part), info)) {
		found = begins && sscanf(part, "%u %*u %u:%u ", &id, &key->major, &key->minor) == 3 &&
			id == mount;
		begins = strchr(part, '\n');
	}
	fclose(info);
	return found;
}

int inode_key_find(int fd, const char *path, struct inode_key *key, struct error *err)
{
	struct statfs file_system;
	unsigned int mount;
	struct stat st;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &file_system) < 0)
		return error_set(err, -errno, "%s: cannot stat: %s", path, strerror(errno));
	if (file_system.f_type == OVERLAYFS_SUPER_MAGIC)
		return error_set(err, -EOPNOTSUPP, "%s: is on overlayfs, whose files the kernel reads "
				 "under another inode; name the file in the directory below", path);
	key->inode = st.st_ino;
	if (!mount_of(fd, &mount) || !device_of_mount(mount, key)) {
		key->major = major(st.st_dev);
		key->minor = minor(st.st_dev);
	}
	return 0;
}
