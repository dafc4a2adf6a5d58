/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of benchmarks need of the disk that they run on. */
#ifndef COLINK_TESTS_HELPERS_DISK_H
#define COLINK_TESTS_HELPERS_DISK_H

/*
 * Skip the test where the folder is not on a block device of its own: there a file cannot
 * be taken out of the page cache (tmpfs), or has no statistics (overlayfs, btrfs).
 */
void need_disk(const char *folder);

#endif
