/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which source a run is best off with, by what there is on this machine, by the memory that is
 * left for the page cache, and by what reads cost. Documentation/inference.rst has the rule.
 */
#ifndef COLINK_STORAGE_SOURCE_CHOICE_H
#define COLINK_STORAGE_SOURCE_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/device.h"

struct source_situation {
	const char *path; /* of the file that bundles are read from */
	uint64_t bundle_bytes; /* of all bundles */
	uint32_t stride; /* bytes of one */
	struct device_cost cost;
	double cache_ratio; /* share of the bundles that a source past the page cache keeps */
	uint64_t room_bytes; /* memory that page cache can have when the program has its own */
	bool sweeps; /* every token wants all bundles, of which an LRU list keeps none in time */
	bool limited; /* the run is to stay within a budget, which page cache is not in */
};

struct source_choice {
	const char *name; /* for source_open(): "kernel", "mmap", or "auto" */
	char reason[160]; /* one phrase */
};

/* Whether the file system keeps the file in memory, where "auto" is mmap whatever else is so. */
bool source_is_in_memory(const char *path);

/*
 * Opens /dev/colink to see whether it can be had, and closes it; reads nothing. "auto" leaves
 * the choice between uring and pread to source_open().
 */
void source_choose(const struct source_situation *situation, struct source_choice *choice);

#endif
