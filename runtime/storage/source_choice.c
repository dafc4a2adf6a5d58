// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page cache reads by pages, and keeps what it has room for; a source past it (uring) reads
 * by blocks of the disk, and keeps what its own cache has room for. Which of them reads less is
 * told by the device time of a bundle that neurons are wanted of independently of each other:
 *
 *	share that is not kept * (a + b * bytes read)
 *
 * That firing is not independent makes either cache better than its share, the larger one less
 * so than the smaller one, in proportion.
 */
#include "storage/source_choice.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kernel/kernel_device.h"

/* What direct I/O is aligned to on most disks. */
#define BLOCK 512

bool source_is_in_memory(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* 0, or why the module cannot be used. */
static int try_module(void)
{
	int device, ret = kernel_device_open(&device, NULL);

	if (ret == 0)
		close(device);
	return ret;
}

/* Bytes of a read of one bundle, of which both ends are moved to the next unit. */
static uint64_t read_bytes(uint32_t stride, uint32_t unit)
{
	return stride % unit ? (uint64_t)stride + unit : stride;
}

static double bundle_us(const struct source_situation *situation, double kept, uint32_t unit)
{
	return (1 - kept) *
	       device_time_us(situation->cost, 1, read_bytes(situation->stride, unit));
}

static double share_of_page_cache(const struct source_situation *situation)
{
	if (situation->room_bytes >= situation->bundle_bytes)
		return 1;
	return (double)situation->room_bytes / (double)situation->bundle_bytes;
}

static bool kernel_is_faster(const struct source_situation *situation, double page_cache)
{
	double kept = situation->sweeps && page_cache < 1 ? 0 : page_cache;

	return bundle_us(situation, kept, (uint32_t)sysconf(_SC_PAGESIZE)) <
	       bundle_us(situation, situation->cache_ratio, BLOCK);
}

void source_choose(const struct source_situation *situation, struct source_choice *choice)
{
	double page_cache = share_of_page_cache(situation);
	size_t size = sizeof(choice->reason);
	char *reason = choice->reason;
	int ret = try_module();

	choice->name = "auto";
	if (source_is_in_memory(situation->path)) {
		choice->name = "mmap";
		snprintf(reason, size, "the file is in memory");
	} else if (ret == -EACCES || ret == -EPERM) {
		snprintf(reason, size, "no right to " KERNEL_DEVICE_PATH);
	} else if (ret < 0) {
		snprintf(reason, size, "the module is not loaded");
	} else if (situation->limited) {
		snprintf(reason, size, "the page cache is in no budget");
	} else if (kernel_is_faster(situation, page_cache)) {
		choice->name = "kernel";
		snprintf(reason, size, "the page cache has room for %.0f %% of the bundles",
			 100 * page_cache);
	} else {
		snprintf(reason, size, "the page cache has room for %.0f %% of the bundles only",
			 100 * page_cache);
	}
}
