/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file that a device is measured by: one that is there, which is only read, or one
 * made for it, nameless and full of random bytes, so that no file system and no disk can
 * keep less of it than its size. One thread at a time may use it.
 */
#ifndef COLINK_BENCH_DEVICE_FILE_H
#define COLINK_BENCH_DEVICE_FILE_H

#include <stdint.h>

#include "base/error.h"

struct device_file {
	char *path; /* as the user knows it, for messages */
	char open_path[40]; /* how it can be opened again while `fd` is open */
	int fd;
	uint64_t bytes;
};

/*
 * Open the file, or make one in the folder, of `bytes` or, on a slow disk, of what could be
 * written within `seconds`, but at least `least_bytes`. -EINVAL for a file that is smaller
 * than that. What was written is synced. The caller calls device_file_close().
 */
int device_file_open(const char *path, uint64_t bytes, uint64_t least_bytes, double seconds,
		     uint64_t seed, struct device_file *file, struct error *err);

/* With which one that was made is gone. */
void device_file_close(struct device_file *file);

/* Take it out of the page cache, as far as nobody else uses it. */
void device_file_evict(const struct device_file *file);

#endif
