/* SPDX-License-Identifier: GPL-2.0-only */
/* What the module counted since it was loaded, for all who use it (kmod/counters.c). */
#ifndef COLINK_KERNEL_MODULE_COUNTS_H
#define COLINK_KERNEL_MODULE_COUNTS_H

#include <stdint.h>

#include "base/error.h"

struct module_counts {
	uint64_t bytes_read; /* requests that are complete: brought in, gaps included */
	uint64_t bytes_given_up; /* not read: memory was short, the file or the region gone */
};

/* Fails where debugfs is not to be read: not mounted, not allowed, or no module. */
int module_counts_read(struct module_counts *counts, struct error *err);

#endif
