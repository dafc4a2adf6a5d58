/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPU time, of this process and of the kernel's own threads: work that a program has
 * the kernel do for it may be done by either.
 */
#ifndef COLINK_BASE_CPU_TIME_H
#define COLINK_BASE_CPU_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct cpu_time;

/* Start to count. The caller calls cpu_time_free(). */
int cpu_time_begin(struct cpu_time **time, struct error *err);

/*
 * Nanoseconds since then: of all threads of this process, and of the kernel's threads
 * together; *kernel_known is false where the kernel does not count those. Other programs
 * that have the kernel work for them are counted there too.
 */
int cpu_time_end(struct cpu_time *time, uint64_t *process_ns, uint64_t *kernel_ns,
		 bool *kernel_known, struct error *err);
void cpu_time_free(struct cpu_time *time);

#endif
