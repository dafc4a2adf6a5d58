// SPDX-License-Identifier: GPL-2.0-only
/*
 * The whole file mapped, as llama.cpp and others read weights: a read is done at
 * once, and whoever touches the data pays for the page fault and for what the
 * kernel's readahead adds to it. Here as the yardstick for the other sources.
 *
 * What was read is what the kernel counted for this process: major faults, and
 * read_bytes of /proc/self/io. Another part of the program that reads files at the
 * same time is counted along.
 */
#define _GNU_SOURCE
#include "storage/source_ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/proc_io.h"
#include "storage/source_mapping.h"

struct mapping {
	char *bytes;
	struct source_counts at_start;
	bool counted; /* at_start is known */
};

static int process_counts(struct source_counts *counts)
{
	struct proc_io io;
	struct rusage usage;
	int ret = proc_io_read(&io);

	if (ret < 0)
		return ret;
	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return -errno;
	*counts = (struct source_counts){
		.reads = (uint64_t)usage.ru_majflt,
		.bytes = io.read_bytes,
	};
	return 0;
}

/* Says what is in use. */
static int set_read_ahead(struct source *source, char *bytes, struct error *err)
{
	char *text = source->description;
	size_t size = sizeof(source->description);

	if (!source->own_read_ahead) {
		snprintf(text, size, "mmap, default readahead");
	} else if (source->read_ahead_kib) {
		snprintf(text, size, "mmap, readahead of %u KiB", source->read_ahead_kib);
	} else {
		snprintf(text, size, "mmap, MADV_RANDOM");
		return source_map_random(source, bytes, err);
	}
	return 0;
}

static int mmap_start(struct source *source, struct error *err)
{
	struct mapping *mapping = calloc(1, sizeof(*mapping));
	int ret;

	if (!mapping)
		return error_no_memory(err, "a mapping");
	ret = source_map(source, &mapping->bytes, err);
	if (ret < 0) {
		free(mapping);
		return ret;
	}
	ret = set_read_ahead(source, mapping->bytes, err);
	if (ret < 0) {
		source_unmap(source, mapping->bytes);
		free(mapping);
		return ret;
	}
	mapping->counted = process_counts(&mapping->at_start) == 0;
	source->state = mapping;
	return 0;
}

static void mmap_stop(struct source *source)
{
	struct mapping *mapping = source->state;

	source_unmap(source, mapping->bytes);
	free(mapping);
}

static int mmap_submit(struct source *source, struct source_read *reads, uint32_t n_reads,
		       struct error *err)
{
	const struct mapping *mapping = source->state;
	int ret = source_place_reads(source, mapping->bytes, reads, n_reads, err);

	for (uint32_t i = 0; i < n_reads; i++)
		reads[i].done = reads[i].data != NULL;
	return ret;
}

static int mmap_wait(struct source *source, const struct source_read *reads, uint32_t n_reads,
		     struct error *err)
{
	(void)reads;
	(void)n_reads;
	return source_failure(source, err);
}

static int mmap_get_counts(const struct source *source, struct source_counts *counts,
			   struct error *err)
{
	const struct mapping *mapping = source->state;
	int ret = mapping->counted ? process_counts(counts) : -ENODATA;

	if (ret < 0)
		return error_set(err, ret,
				 "/proc/self/io: no read_bytes (%s); without them it is not known "
				 "what a mapped file cost",
				 strerror(-ret));
	counts->reads -= mapping->at_start.reads;
	counts->bytes -= mapping->at_start.bytes;
	return 0;
}

const struct source_ops source_mmap_ops = {
	.name = "mmap",
	.zero_copy = true,
	.start = mmap_start,
	.stop = mmap_stop,
	.submit = mmap_submit,
	.wait = mmap_wait,
	.get_counts = mmap_get_counts,
};
