/* SPDX-License-Identifier: GPL-2.0-only */
/* How a model is computed with, and how its bundles are read: what the commands share. */
#ifndef COLINK_CLI_ENGINE_OPTIONS_H
#define COLINK_CLI_ENGINE_OPTIONS_H

#include <math.h>

#include "cli/cli.h"
#include "storage/bundle_store.h"
#include "storage/device.h"

struct engine_options {
	const char *io;
	uint32_t read_ahead_kib; /* of io mmap, or ENGINE_READ_AHEAD_OF_DEVICE */
	const char *after_use; /* of io kernel: "keep", "cold" or "drop" */
	double cache_ratio; /* or ENGINE_CACHE_BY_DEFAULT */
	uint64_t memory; /* budget in bytes, or ENGINE_NO_BUDGET */
	const char *cache_policy;
	double cache_hot; /* share of the cache */
	uint32_t threads;
	uint32_t batch;
	uint32_t queue_depth;
	uint64_t gap_bytes; /* or ENGINE_GAP_BY_COST */
	const char *device_cost; /* "fixed" or "refine" */
};

/* No gap was given: it is the break-even of the device cost. */
#define ENGINE_GAP_BY_COST UINT64_MAX
/*
 * No ratio was given (which cannot be NaN): what the budget leaves, or 5 % without one; none
 * where the page cache is the cache.
 */
#define ENGINE_CACHE_BY_DEFAULT ((double)NAN)
#define ENGINE_CACHE_RATIO 0.05 /* of all bundles, where memory is not limited */
#define ENGINE_NO_BUDGET UINT64_MAX

/* No read-ahead was given: mapped files are read as their device has it. */
#define ENGINE_READ_AHEAD_OF_DEVICE UINT32_MAX

/*
 * Defaults: io auto, 5 % of the bundles in DRAM, by the default policy, gaps up to the device
 * cost's break-even.
 */
struct engine_options engine_defaults(void);

/*
 * Append the specs of these options to `specs`; returns the new count. For who does not compute,
 * those of the store alone.
 */
size_t engine_add_specs(struct engine_options *options, struct option_spec *specs, size_t n);
size_t engine_add_store_specs(struct engine_options *options, struct option_spec *specs, size_t n);
#define ENGINE_STORE_SPECS 10 /* how many that are */
#define ENGINE_SPECS (ENGINE_STORE_SPECS + 2)

/* -1, or EXIT_USAGE after one line on what is wrong. */
int engine_check(const struct command *command, const struct engine_options *options);

struct bundle_store_options engine_store_options(const struct engine_options *options,
						 struct device_cost cost);

/* By a source that was named, or chosen: it, and the cache that is its default. */
void engine_set_source(const struct engine_options *options, const char *source,
		       struct bundle_store_options *store);

/* Whether with this source the page cache keeps bundles, so that nobody else has to. */
bool engine_page_cache_keeps(const char *source);

#endif
