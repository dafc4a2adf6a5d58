// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the module did since it was loaded: /sys/kernel/debug/colink/counters, a line
 * "name value" each. Beside it, regions: those there are now (colink_regions_show()).
 * Without debugfs the module counts all the same, for nobody.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "private.h"

static atomic_long_t counters[COLINK_COUNTERS];
static struct dentry *directory;

static const char *const names[COLINK_COUNTERS] = {
	[COLINK_COUNT_REQUESTS] = "requests",
	[COLINK_COUNT_EXTENTS] = "extents",
	[COLINK_COUNT_EXTENTS_REFUSED] = "extents_refused",
	[COLINK_COUNT_PAGES_RESIDENT] = "pages_resident",
	[COLINK_COUNT_PAGES_READ] = "pages_read",
	[COLINK_COUNT_PAGES_GIVEN_UP] = "pages_given_up",
	[COLINK_COUNT_GAP_PAGES] = "gap_pages",
	[COLINK_COUNT_IOS] = "ios",
	[COLINK_COUNT_PAGES_DROPPED] = "pages_dropped",
	[COLINK_COUNT_BPF_QUEUED] = "bpf_queued",
	[COLINK_COUNT_BPF_REFUSED] = "bpf_refused",
	[COLINK_COUNT_BPF_DROPPED] = "bpf_dropped",
};

void colink_count(enum colink_counter counter, unsigned long by)
{
	atomic_long_add(by, &counters[counter]);
}

static int counters_show(struct seq_file *file, void *unused)
{
	int i;

	for (i = 0; i < COLINK_COUNTERS; i++)
		seq_printf(file, "%s %lu\n", names[i],
			   (unsigned long)atomic_long_read(&counters[i]));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counters);

static int regions_show(struct seq_file *file, void *unused)
{
	colink_regions_show(file);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(regions);

void colink_counters_init(void)
{
	directory = debugfs_create_dir("colink", NULL);
	debugfs_create_file("counters", 0400, directory, NULL, &counters_fops);
	debugfs_create_file("regions", 0400, directory, NULL, &regions_fops);
}

void colink_counters_exit(void)
{
	debugfs_remove(directory);
}
