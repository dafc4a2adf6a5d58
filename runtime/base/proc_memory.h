/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel says of this process's memory: /proc/self/status (proc_pid_status(5)). */
#ifndef COLINK_BASE_PROC_MEMORY_H
#define COLINK_BASE_PROC_MEMORY_H

#include <stdint.h>

struct proc_memory {
	uint64_t resident_bytes; /* VmRSS: at this moment, code and mapped files included */
	uint64_t peak_bytes; /* VmHWM: the most that this was since the program began */
};

/* Of all threads. -ENODATA where the kernel does not say; *memory is 0 after a failure. */
int proc_memory_read(struct proc_memory *memory);

#endif
