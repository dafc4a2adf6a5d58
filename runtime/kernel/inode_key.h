/* SPDX-License-Identifier: GPL-2.0-only */
/* How BPF programs know a file: by its inode and the device of its file system. */
#ifndef COLINK_KERNEL_INODE_KEY_H
#define COLINK_KERNEL_INODE_KEY_H

#include <stdint.h>

#include "base/error.h"

struct inode_key {
	uint64_t inode;
	uint32_t major; /* of struct super_block, which is not always that of stat(2) */
	uint32_t minor;
};

/* Of the file that is open as `fd`; `path` is for messages. */
int inode_key_find(int fd, const char *path, struct inode_key *key, struct error *err);

#endif
