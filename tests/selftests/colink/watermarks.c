// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine that is short of memory, though no group is at a limit: speculative requests
 * stand back before the kernel would begin to reclaim, wanted ones get what they ask.
 */
#include <limits.h>

#include "colink_test.h"

#define MIB (1024 * 1024)
#define FILE_MIB 32
#define PER_CPU_PAGES "/proc/sys/vm/percpu_pagelist_high_fraction"

FIXTURE(watermarks) {
	struct rig rig;
};

FIXTURE_SETUP(watermarks)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	rig_open(&self->rig, disk(), FILE_MIB * MIB);
	/* Nothing shall be left that kswapd could free to relieve the shortage. */
	need(fd >= 0 && write(fd, "3", 1) == 1, "drop_caches");
	close(fd);
	/* Processors keep few free pages of their own: they take up to 8 MiB in one go. */
	write_text(PER_CPU_PAGES, "10000");
}

FIXTURE_TEARDOWN(watermarks)
{
	write_text(PER_CPU_PAGES, "0");
	rig_close(&self->rig);
}

/*
 * Free pages that anybody may have, of the zone that has most, over its low watermark and
 * what it reserves to allocations that could not be had elsewhere (negative: below).
 */
static long spare_pages(void)
{
	long free_pages = 0, low = 0, managed = 0, reserve = 0, cma, value, most = LONG_MIN;
	FILE *file = fopen("/proc/zoneinfo", "r");
	char line[256];

	need(file, "/proc/zoneinfo");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " pages free %ld", &value) == 1)
			free_pages = value;
		else if (sscanf(line, " low %ld", &value) == 1)
			low = value;
		else if (sscanf(line, " managed %ld", &value) == 1)
			managed = value;
		else if (sscanf(line, " protection: (%*d, %*d, %*d, %ld", &reserve) != 1 &&
			 sscanf(line, " nr_free_cma %ld", &cma) == 1 && managed &&
			 free_pages - cma - low - reserve > most)
			most = free_pages - cma - low - reserve;
	}
	fclose(file);
	need(most != LONG_MIN, "/proc/zoneinfo");
	return most;
}

/* Take memory, to be kept until the test ends, until no more than that is spare. */
static void fill_memory(long spare)
{
	long left;
	void *memory;

	while ((left = spare_pages() - spare) > 0) {
		size_t bytes = (left < 1024 ? left : 1024) * PAGE;

		memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);
		need(memory != MAP_FAILED && !madvise(memory, bytes, MADV_NOHUGEPAGE), "mmap");
		memset(memory, 1, bytes);
	}
}

/* The kernel reclaims what others have, after a while: until there is nothing more. */
static void fill_until_it_stays(long spare)
{
	int tries;

	for (tries = 0; tries < 20; tries++) {
		fill_memory(spare);
		usleep(200000);
		if (spare_pages() <= spare)
			break;
	}
}

/* How often, since the machine started, a task had to reclaim memory, or tried. */
static unsigned long long reclaims(const char *prefix)
{
	FILE *file = fopen("/proc/vmstat", "r");
	unsigned long long value, sum = 0;
	char name[64];

	need(file, "/proc/vmstat");
	while (fscanf(file, "%63s %llu", name, &value) == 2)
		if (!strncmp(name, prefix, strlen(prefix)))
			sum += value;
	fclose(file);
	return sum;
}

static struct colink_result ask(const struct rig *rig, int from_mib, int mib, __u32 flags)
{
	struct colink_extent extent = bytes_extent((__u64)from_mib * MIB, (__u64)mib * MIB);
	struct colink_prefetch args = prefetch_args(rig->region, &extent, 1);

	args.flags = COLINK_WAIT | flags;
	need(!prefetch(rig->device, &args), "COLINK_PREFETCH");
	return args.result;
}

/* A speculative request where so many pages are spare: again, should there be more by then. */
static struct colink_result ask_when_short(const struct rig *rig, long spare, int mib)
{
	struct colink_result result;
	int tries;

	for (tries = 0; tries < 10; tries++) {
		unsigned long long by_kswapd;

		evict(&rig->file);
		fill_until_it_stays(spare);
		by_kswapd = reclaims("pgscan_kswapd");
		result = ask(rig, 0, mib, COLINK_SPECULATIVE);
		if (result.pages_given_up && by_kswapd == reclaims("pgscan_kswapd"))
			return result;
	}
	ksft_print_msg("kswapd scanned, or memory was never short\n");
	return (struct colink_result){ 0 };
}

TEST_F(watermarks, back_off)
{
	unsigned long long stalls, scanned;
	struct colink_result result;

	/* As much as there is room for, and not so much that kswapd has to begin. */
	fill_until_it_stays(12 * MIB / PAGE);
	stalls = reclaims("allocstall");
	scanned = reclaims("pgscan_direct");
	result = ask_when_short(&self->rig, 12 * MIB / PAGE, FILE_MIB);
	TH_LOG("%llu pages read, %llu given up, %ld spare then",
	       result.pages_issued - result.pages_given_up, result.pages_given_up, spare_pages());
	if (!result.pages_issued && spare_pages() >= 0)
		SKIP(return, "the kernel goes on finding memory to reclaim");
	EXPECT_EQ(FILE_MIB * MIB / PAGE, result.pages_issued);
	EXPECT_LT(4 * MIB / PAGE, result.pages_issued - result.pages_given_up);
	EXPECT_LT(0, result.pages_given_up);
	EXPECT_EQ(result.pages_issued - result.pages_given_up, count_resident(&self->rig.file));
	EXPECT_LE(0, spare_pages());

	/* Nothing at all where there is none. */
	result = ask_when_short(&self->rig, 0, 4);
	if (!result.pages_issued && spare_pages() >= 0)
		SKIP(return, "the kernel goes on finding memory to reclaim");
	EXPECT_EQ(4 * MIB / PAGE, result.pages_given_up);
	EXPECT_EQ(0, count_resident(&self->rig.file));
	EXPECT_EQ(stalls, reclaims("allocstall"));
	EXPECT_EQ(scanned, reclaims("pgscan_direct"));

	/*
	 * What is wanted is read, as far as the kernel finds memory: there is little to
	 * reclaim, readahead's allocations do not insist, and some pages may go again.
	 */
	result = ask(&self->rig, 0, 4, 0);
	EXPECT_LT(result.pages_given_up, 2 * MIB / PAGE);
	EXPECT_LT(1 * MIB / PAGE, count_resident(&self->rig.file));
}

TEST_HARNESS_MAIN
