// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/module_counts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COUNTERS_PATH "/sys/kernel/debug/colink/counters"

int module_counts_read(struct module_counts *counts, struct error *err)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	FILE *file = fopen(COUNTERS_PATH, "re");
	uint64_t value;
	char name[64];

	if (!file)
		return error_set(err, -errno, "%s: %s (debugfs has to be mounted)", COUNTERS_PATH,
				 strerror(errno));
	*counts = (struct module_counts){ 0 };
	while (fscanf(file, "%63s %" SCNu64, name, &value) == 2) {
		if (!strcmp(name, "pages_read"))
			counts->bytes_read = value * page;
		else if (!strcmp(name, "pages_given_up"))
			counts->bytes_given_up = value * page;
	}
	fclose(file);
	return 0;
}
