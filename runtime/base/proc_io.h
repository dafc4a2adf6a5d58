/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel counts of this process's reads: /proc/self/io (proc_pid_io(5)). */
#ifndef COLINK_BASE_PROC_IO_H
#define COLINK_BASE_PROC_IO_H

#include <stdint.h>

struct proc_io {
	uint64_t rchar; /* bytes that read calls returned, from the page cache or not */
	uint64_t syscr; /* read calls */
	uint64_t read_bytes; /* bytes that came from storage */
};

/* Of all threads since the process began. -ENODATA where the kernel does not count them. */
int proc_io_read(struct proc_io *counts);

#endif
