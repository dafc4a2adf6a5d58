// SPDX-License-Identifier: GPL-2.0-only
#include "library/read_limit.h"

#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#define DEFAULT_BYTES ((uint64_t)128 << 10)
#define LEAST_BYTES 4096

/* 0: not told. */
static uint64_t bytes_told(const char *sys, const char *format, dev_t device)
{
	unsigned long long kib = 0;
	char name[PATH_MAX], path[PATH_MAX];
	FILE *file;

	snprintf(name, sizeof(name), format, major(device), minor(device));
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", sys, name) >= sizeof(path))
		return 0;
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%llu", &kib) != 1 || kib > UINT32_MAX)
		kib = 0;
	fclose(file);
	return kib << 10;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t read_limit_bytes(const char *sys, dev_t device)
{
	uint64_t bytes = bytes_told(sys, "class/bdi/%u:%u/read_ahead_kb", device);

	bytes = larger(bytes, bytes_told(sys, "dev/block/%u:%u/queue/max_sectors_kb", device));
	/* A partition has its disk's. */
	bytes = larger(bytes, bytes_told(sys, "dev/block/%u:%u/../queue/max_sectors_kb", device));
	if (bytes == 0)
		return DEFAULT_BYTES;
	return larger(bytes, LEAST_BYTES);
}
