/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which device a file lies on, by a name that is the same after the next boot. Numbers
 * (8:0) and the kernel's names (sda) are given in the order in which devices are found;
 * what a device says of itself stays.
 *
 *	first of these that there is		of
 *	wwid					SCSI, UFS, NVMe
 *	dm/uuid, md/uuid			device mapper, RAID: their cost is not the disk's
 *	serial number, with the model		NVMe, MMC, virtio
 *	size in sectors and file system's id	whatever has no name of its own
 *
 * A file system without a block device of its own (btrfs, NFS, overlayfs) is looked up in
 * the mounts: where it is mounted from a block device that one counts, else the mount's
 * source and type do.
 */
#ifndef COLINK_STORAGE_DEVICE_IDENTITY_H
#define COLINK_STORAGE_DEVICE_IDENTITY_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define DEVICE_IDENTITY_SIZE 256
#define DEVICE_NAME_SIZE 64

/* Texts are printable ASCII, without blanks at their ends. */
struct device_identity {
	char id[DEVICE_IDENTITY_SIZE]; /* the stable name, e.g. "wwid:eui.0025385b71b0a1c2" */
	char name[DEVICE_NAME_SIZE]; /* the kernel's name today, e.g. "nvme0n1" */
	char model[DEVICE_NAME_SIZE]; /* may be empty */
};

/* The device of a file or directory. Fails when there is no such path. Thread-safe. */
int device_identity_of(const char *path, struct device_identity *identity, struct error *err);

/* What the kernel says of where a file lies. */
struct device_place {
	dev_t device; /* stat(2), st_dev */
	uint64_t mount; /* statx(2), stx_mnt_id (Linux 5.8); 0: not known */
	uint64_t file_system; /* statfs(2), f_fsid; 0: not known */
};

/* The same for a place, below roots other than /sys and /proc: for tests. Finds some name. */
void device_identity_at(const char *sys, const char *proc, const struct device_place *place,
			struct device_identity *identity);

#endif
