// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench/memory_hog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static int available_bytes(uint64_t *bytes, struct error *err)
{
	FILE *file = fopen("/proc/meminfo", "re");
	uint64_t kib = 0;
	char line[128];

	if (!file)
		return error_set(err, -errno, "/proc/meminfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
			break;
	fclose(file);
	if (!kib)
		return error_set(err, -ENODATA, "/proc/meminfo does not say what is available");
	*bytes = kib << 10;
	return 0;
}

int memory_hog_take(struct memory_hog *hog, uint64_t leave_bytes, struct error *err)
{
	uint64_t available = 0;
	int ret;

	*hog = (struct memory_hog){ 0 };
	ret = available_bytes(&available, err);
	if (ret < 0)
		return ret;
	if (available <= leave_bytes)
		return error_set(err, -ENOMEM,
				 "only %" PRIu64 " MiB of memory are available, less than the %"
				 PRIu64 " MiB to be left", available >> 20, leave_bytes >> 20);
	hog->bytes = available - leave_bytes;
	hog->memory = mmap(NULL, hog->bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (hog->memory == MAP_FAILED || mlock(hog->memory, hog->bytes)) {
		ret = error_set(err, -errno, "cannot lock %zu MiB of memory: %s",
				hog->bytes >> 20, strerror(errno));
		if (hog->memory != MAP_FAILED)
			munmap(hog->memory, hog->bytes);
		hog->memory = NULL;
	}
	return ret;
}

void memory_hog_release(struct memory_hog *hog)
{
	if (hog->memory)
		munmap(hog->memory, hog->bytes);
	hog->memory = NULL;
}
