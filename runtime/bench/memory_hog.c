// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench/memory_hog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The sum of what follows `name` in the lines of a file of /proc that begin so. */
static int sum_of_lines(const char *path, const char *const *names, size_t n, uint64_t *sum,
			struct error *err)
{
	FILE *file = fopen(path, "re");
	char line[256], word[64];
	uint64_t value;

	if (!file)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	*sum = 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %63s %" SCNu64, word, &value) != 2)
			continue;
		for (size_t i = 0; i < n; i++)
			if (!strcmp(word, names[i]))
				*sum += value;
	}
	fclose(file);
	return 0;
}

int memory_available(uint64_t *bytes, struct error *err)
{
	static const char *const spare[] = {
		"MemFree:", "Active(file):", "Inactive(file):", "SReclaimable:",
	};
	static const char *const of_processors[] = { "count:" };
	static const char *const kept[] = { "low" };
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t kib = 0, free_pages = 0, low_pages = 0, bytes_there;
	int ret;

	ret = sum_of_lines("/proc/meminfo", spare, 4, &kib, err);
	if (ret == 0)
		ret = sum_of_lines("/proc/zoneinfo", of_processors, 1, &free_pages, err);
	if (ret == 0)
		ret = sum_of_lines("/proc/zoneinfo", kept, 1, &low_pages, err);
	if (ret < 0)
		return ret;
	bytes_there = (kib << 10) + free_pages * page;
	*bytes = bytes_there > low_pages * page ? bytes_there - low_pages * page : 0;
	return 0;
}

int memory_hog_take(struct memory_hog *hog, uint64_t leave_bytes, struct error *err)
{
	uint64_t available = 0;
	int ret;

	*hog = (struct memory_hog){ 0 };
	ret = memory_available(&available, err);
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
