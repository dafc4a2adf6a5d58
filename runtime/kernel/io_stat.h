/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What storage and page cache do, as bpf/io_stat.bpf.c counts it: per disk, and per file
 * that is followed.
 *
 * Followed are the files given, and those that are registered with the module, which
 * io_stat_refresh() looks up; once followed, a file is so until io_stat_close(). Without
 * the module, all but registered files and prefetched pages is there.
 *
 * One thread at a time.
 */
#ifndef COLINK_KERNEL_IO_STAT_H
#define COLINK_KERNEL_IO_STAT_H

#include <stddef.h>
#include <stdint.h>

/* The figures: bpf/io_stat.h, not this file. */
#include <io_stat.h>

#include "base/error.h"

struct io_statistics;

#define IO_STAT_NAME_SIZE 256

struct io_stat_disk {
	char name[IO_STAT_NAME_SIZE]; /* as in /sys/block, or major:minor; "": an unused place */
	struct io_figures figures;
};

struct io_stat_file {
	char name[IO_STAT_NAME_SIZE]; /* the path given, or the registered file's last part */
	struct io_figures figures;
	struct io_cache cache;
};

/* All since io_stat_open(). A disk or file keeps its place in later snapshots. */
struct io_stat_snapshot {
	size_t n_disks; /* that did I/O */
	size_t n_files;
	__u64 lost[IO_LOST_COUNTERS];
	__u64 lost_events; /* that came while the same program was busy on that CPU */
	struct io_stat_disk disks[IO_MAX_DISKS];
	struct io_stat_file files[IO_MAX_FILES];
};

/* Load and attach the programs. Follows the n files from the start; none is fine. */
int io_stat_open(const char *const *paths, size_t n, struct io_statistics **stat,
		 struct error *err);

/* Follow files that were registered since, and what the module says, once it is loaded. */
int io_stat_refresh(struct io_statistics *stat, struct error *err);

/*
 * One line that says what cannot be seen at the moment, and why; NULL when nothing is
 * missing. Points to constant text.
 */
const char *io_stat_missing(const struct io_statistics *stat);

int io_stat_read(struct io_statistics *stat, struct io_stat_snapshot *snapshot, struct error *err);

/* NULL is allowed. */
void io_stat_close(struct io_statistics *stat);

#endif
