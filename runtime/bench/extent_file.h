/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file to read extents of: each page holds its own number, so that what was read can
 * be checked; it is mapped, and can be taken out of the page cache. It has no name, so
 * that nothing is left of it when the benchmark is killed. One thread at a time may use it.
 */
#ifndef COLINK_BENCH_EXTENT_FILE_H
#define COLINK_BENCH_EXTENT_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EXTENT_PAGE 4096

/* Bytes of the file, in whole pages. */
struct extent {
	uint64_t offset;
	uint64_t bytes;
};

struct extent_file {
	char *path; /* for messages */
	int fd; /* for reading and writing */
	uint64_t bytes;
	const uint8_t *map;
};

/* Reads that the device below a file has completed. */
struct device_reads {
	uint64_t ios;
	uint64_t bytes;
};

/*
 * Make the file in a directory, of `bytes` in whole pages, synced. Where it could not be
 * measured, since the page cache keeps it or the device has no statistics, that shows
 * before much is written. The caller calls extent_file_remove().
 */
int extent_file_create(const char *directory, uint64_t bytes, struct extent_file *file,
		       struct error *err);
/* Unmap and close, with which it is gone. One that is all zero is allowed. */
void extent_file_remove(struct extent_file *file);

/* Take all of it out of the page cache; -EBUSY when a page stays. */
int extent_file_evict(const struct extent_file *file, struct error *err);

/* How much of it is in the page cache. */
int extent_file_resident(const struct extent_file *file, uint64_t *bytes, struct error *err);

/* Touch every page of the extents through the mapping, in order; -EIO at a wrong one. */
int extent_file_use(const struct extent_file *file, const struct extent *extents, size_t n,
		    struct error *err);

/* -ENODATA where the device has no statistics. */
int extent_file_device_reads(const struct extent_file *file, struct device_reads *reads,
			     struct error *err);

#endif
