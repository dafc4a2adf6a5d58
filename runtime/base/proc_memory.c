// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "base/proc_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int proc_memory_read(struct proc_memory *memory)
{
	FILE *file = fopen("/proc/self/status", "re");
	uint64_t resident_kib, peak_kib;
	char line[128];
	int found = 0;

	*memory = (struct proc_memory){ 0 };
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		found += sscanf(line, "VmRSS: %" SCNu64 " kB", &resident_kib) == 1;
		found += sscanf(line, "VmHWM: %" SCNu64 " kB", &peak_kib) == 1;
	}
	fclose(file);
	if (found != 2)
		return -ENODATA;
	memory->resident_bytes = resident_kib << 10;
	memory->peak_bytes = peak_kib << 10;
	return 0;
}
