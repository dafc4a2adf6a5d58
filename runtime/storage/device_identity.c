// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "storage/device_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define ATTRIBUTE_SIZE 128
#define VALUE_SIZE (DEVICE_IDENTITY_SIZE - 16) /* of an id, after its kind */

/* What others wrote becomes one word or more of printable ASCII. */
static void make_printable(char *text)
{
	size_t length = strlen(text), begin = 0;

	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			text[i] = ' ';
	while (length && text[length - 1] == ' ')
		length--;
	while (begin < length && text[begin] == ' ')
		begin++;
	memmove(text, text + begin, length - begin);
	text[length - begin] = '\0';
}

/* An attribute of a device in sysfs; false when it is not there or empty. */
static bool read_attribute(const char *device, const char *name, char value[ATTRIBUTE_SIZE])
{
	char path[PATH_MAX];
	FILE *file;
	size_t n;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", device, name) >= sizeof(path))
		return false;
	file = fopen(path, "re");
	if (!file)
		return false;
	n = fread(value, 1, ATTRIBUTE_SIZE - 1, file);
	fclose(file);
	value[n] = '\0';
	make_printable(value);
	return value[0];
}

static void set_id(struct device_identity *identity, const char *kind, const char *value)
{
	snprintf(identity->id, sizeof(identity->id), "%s:%s", kind, value);
}

static bool find_unique_name(const char *device, struct device_identity *identity)
{
	static const struct {
		const char *attribute, *kind;
	} unique[] = {
		{ "wwid", "wwid" },
		{ "device/wwid", "wwid" },
		{ "dm/uuid", "dm" },
		{ "md/uuid", "md" },
	};
	char value[ATTRIBUTE_SIZE];

	for (size_t i = 0; i < sizeof(unique) / sizeof(unique[0]); i++) {
		if (read_attribute(device, unique[i].attribute, value)) {
			set_id(identity, unique[i].kind, value);
			return true;
		}
	}
	return false;
}

/* Two makers may give the same number. MMC calls its model "name". */
static bool find_serial_number(const char *device, struct device_identity *identity)
{
	char serial[ATTRIBUTE_SIZE], named[VALUE_SIZE];

	if (!read_attribute(device, "device/serial", serial) &&
	    !read_attribute(device, "serial", serial))
		return false;
	snprintf(named, sizeof(named), "%s:%s", identity->model, serial);
	set_id(identity, "serial", named);
	return true;
}

static void name_by_size(const char *device, uint64_t file_system, struct device_identity *identity)
{
	char sectors[ATTRIBUTE_SIZE], named[VALUE_SIZE];

	if (!read_attribute(device, "size", sectors))
		strcpy(sectors, "?");
	snprintf(named, sizeof(named), "%s sectors:%016" PRIx64, sectors, file_system);
	set_id(identity, "size", named);
}

/* `path` of a block device in sysfs, links resolved, to that of the disk it is a part of. */
static void go_to_disk(char *path)
{
	char value[ATTRIBUTE_SIZE], *slash = strrchr(path, '/');

	if (read_attribute(path, "partition", value) && slash)
		*slash = '\0';
}

static bool identify_block(const char *sys, dev_t device, uint64_t file_system,
			   struct device_identity *identity)
{
	char link[PATH_MAX], disk[PATH_MAX], model[ATTRIBUTE_SIZE];
	const char *slash;

	if ((size_t)snprintf(link, sizeof(link), "%s/dev/block/%u:%u", sys, major(device),
			     minor(device)) >= sizeof(link) || !realpath(link, disk))
		return false;
	go_to_disk(disk);
	slash = strrchr(disk, '/');
	snprintf(identity->name, sizeof(identity->name), "%.*s", DEVICE_NAME_SIZE - 1,
		 slash ? slash + 1 : disk);
	if (read_attribute(disk, "device/model", model) ||
	    read_attribute(disk, "device/name", model) || read_attribute(disk, "dm/name", model))
		snprintf(identity->model, sizeof(identity->model), "%.*s", DEVICE_NAME_SIZE - 1,
			 model);
	if (!find_unique_name(disk, identity) && !find_serial_number(disk, identity))
		name_by_size(disk, file_system, identity);
	return true;
}

/*
 * "36 35 0:32 / /data rw,noatime shared:1 - btrfs /dev/sda2 rw": proc_pid_mountinfo(5).
 * The type and source of the mount with that id (btrfs has other device numbers here than in
 * stat(2)), or, where it is not known, of the first of that device. The caller frees both.
 */
static bool find_mount(const char *proc, const struct device_place *place, char **type,
		       char **source)
{
	char path[PATH_MAX], *line = NULL;
	bool found = false;
	size_t size = 0;
	FILE *mounts;

	if ((size_t)snprintf(path, sizeof(path), "%s/self/mountinfo", proc) >= sizeof(path))
		return false;
	mounts = fopen(path, "re");
	if (!mounts)
		return false;
	while (!found && getline(&line, &size, mounts) > 0) {
		const char *rest = strstr(line, " - ");
		unsigned int id, above, below;

		if (!rest || sscanf(line, "%u %*u %u:%u", &id, &above, &below) != 3)
			continue;
		if (place->mount ? id == place->mount : makedev(above, below) == place->device)
			found = sscanf(rest, " - %ms %ms", type, source) == 2;
	}
	free(line);
	fclose(mounts);
	return found;
}

static void identify_mount(const char *sys, const char *type, const char *source,
			   uint64_t file_system, struct device_identity *identity)
{
	char named[VALUE_SIZE];
	struct stat status;

	if (stat(source, &status) == 0 && S_ISBLK(status.st_mode) &&
	    identify_block(sys, status.st_rdev, file_system, identity))
		return;
	snprintf(identity->name, sizeof(identity->name), "%s", source);
	make_printable(identity->name);
	snprintf(named, sizeof(named), "%s:%s", type, source);
	make_printable(named);
	set_id(identity, "mount", named);
}

void device_identity_at(const char *sys, const char *proc, const struct device_place *place,
			struct device_identity *identity)
{
	uint64_t file_system = place->file_system;
	dev_t device = place->device;
	char *type = NULL, *source = NULL;

	*identity = (struct device_identity){ 0 };
	if (identify_block(sys, device, file_system, identity))
		return;
	if (find_mount(proc, place, &type, &source)) {
		identify_mount(sys, type, source, file_system, identity);
	} else {
		snprintf(identity->name, sizeof(identity->name), "%u:%u", major(device),
			 minor(device));
		snprintf(identity->id, sizeof(identity->id), "fsid:%016" PRIx64, file_system);
	}
	free(type);
	free(source);
}

int device_identity_of(const char *path, struct device_identity *identity, struct error *err)
{
	struct device_place place = { 0 };
	struct statfs fs;
	struct statx stx;
	struct stat st;

	if (stat(path, &st))
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	place.device = st.st_dev;
	if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &stx) == 0 && stx.stx_mask & STATX_MNT_ID)
		place.mount = stx.stx_mnt_id;
	if (statfs(path, &fs) == 0)
		memcpy(&place.file_system, &fs.f_fsid, sizeof(place.file_system));
	device_identity_at("/sys", "/proc", &place, identity);
	return 0;
}
