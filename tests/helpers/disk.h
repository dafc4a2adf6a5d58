/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of benchmarks need of the disk that they run on. */
#ifndef COLINK_TESTS_HELPERS_DISK_H
#define COLINK_TESTS_HELPERS_DISK_H

/*
 * Skip the test where a file in the folder cannot be taken out of the page cache, or its
 * device has no statistics: on tmpfs, or overlayfs.
 */
void need_disk(const char *folder);

#endif
