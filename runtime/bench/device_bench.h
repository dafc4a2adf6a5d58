/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an I/O costs on a device, as the engine sees it: random reads through a source
 * (storage/source.h), so many submitted at once and waited for, of several sizes at several
 * queue depths. A pair of size and depth is a cell; every round measures each cell for some
 * milliseconds, in an order drawn anew, until the time is over. So whatever else the machine
 * does is spread over all of them, and what each took is a median over the rounds.
 *
 * The chosen depth is the smallest one that brings small reads (up to 64 KiB) to 90 % of the
 * most I/Os per second there were, on the mean. The cost is fitted to all samples with that
 * many reads in flight, or with as many bytes as that many reads of 64 KiB have.
 *
 * Limits. O_DIRECT passes the page cache, but nothing passes a cache in the disk, or one of
 * a virtual machine's host. The file is larger than what disks have as cache for data; a
 * host's cache may hold all of it. Where there is no O_DIRECT pages are dropped before each
 * sample. That the reads came from storage is checked by the kernel's count (proc_io.h).
 */
#ifndef COLINK_BENCH_DEVICE_BENCH_H
#define COLINK_BENCH_DEVICE_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "storage/device.h"

#define DEVICE_BENCH_CELLS 64
#define DEVICE_BENCH_ROUNDS 128
/* A smaller file is too easily cached as a whole. */
#define DEVICE_BENCH_LEAST_BYTES (UINT64_C(64) << 20)

struct device_bench_options {
	const char *path; /* a file to be read, or the folder in which one is made */
	const char *source; /* see source_open() */
	uint64_t file_bytes; /* of the file that is made, at least DEVICE_BENCH_LEAST_BYTES */
	double seconds; /* of measuring; on slow devices one round may take longer */
	uint64_t seed; /* of places and order */
};

struct device_cell {
	uint32_t bytes; /* of each read */
	uint32_t depth; /* most reads in flight */
	uint32_t n_reads; /* in the next sample */
	uint32_t n_samples;
	double us[DEVICE_BENCH_ROUNDS]; /* (n_samples), ascending: time of a sample / its reads */
	double median_us;
};

struct device_result {
	struct device_cost cost;
	uint32_t queue_depth; /* the chosen one */
	uint64_t file_bytes; /* that there were to read from */
	double seconds; /* with the making of the file */
	char source[256]; /* what the source says of itself, at the largest depth */
	uint32_t n_cells;
	struct device_cell cells[DEVICE_BENCH_CELLS]; /* by size, then by depth */
};

/* -EINVAL for options that make no sense, whatever the path is. */
int device_bench_check(const struct device_bench_options *options, struct error *err);

/*
 * Measure. -ENODATA when the kernel counted less from storage than was read: tmpfs, holes,
 * pages that stay in the page cache. Needs about 20 MiB of memory.
 */
int device_bench(const struct device_bench_options *options, struct device_result *result,
		 struct progress *progress, struct error *err);

/*
 * The cell of a size at the chosen depth, or at the largest measured where that is less. NULL
 * for a size that was not measured.
 */
const struct device_cell *device_result_cell(const struct device_result *result, uint32_t bytes);

/*
 * The rest of device_bench(), once the cells have their samples: medians, depth and cost.
 * For it to be tested without a device.
 */
int device_result_fit(struct device_result *result, struct error *err);

#endif
