/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program that knows nothing of colink: it maps a file of bundles and, for each token
 * of a trace and layer after layer, touches those that fire and computes with them, as
 * llama.cpp or PowerInfer do. How long it waits, by itself and helped by link_prefetch.
 *
 * Ways take turns in one process; each begins with nothing resident. The file has the
 * model's placement and hints, with bundles of any size; what it holds is not weights.
 */
#ifndef COLINK_BENCH_TOUCH_BENCH_H
#define COLINK_BENCH_TOUCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"

struct touch_bench_options {
	const char *model; /* linked */
	const char *trace; /* of the same model, from tokens that its placement did not see */
	const char *directory; /* where the file is made: on the disk to measure */
	uint32_t bundle_bytes; /* a multiple of the page */
	uint32_t tokens; /* of the trace, from its start; at most */
	uint32_t repeats;
	uint64_t leave_bytes; /* memory to leave for the page cache; 0: all there is */
	uint64_t gap_bytes; /* a/b of the device, as in kernel/link_policy.h */
	uint32_t threshold; /* as in struct link_policy; LINK_POLICY_DEFAULT */
	uint32_t max_hot;
	uint32_t read_around;
};

struct touch_sample {
	double stall_ms_per_token; /* in touching pages, from the first byte of each on */
	double compute_ms_per_token;
	double faults_per_token; /* that waited for the disk */
	double ios_per_token;
	double bytes_per_token;
	double prefetched_bytes_per_token; /* of them, by the module */
	double given_up_bytes_per_token; /* that it did not read, since memory was short */
	double resident_bytes; /* of the file, at the end */
};

struct touch_result {
	const char *name;
	struct touch_sample *samples; /* (repeats) */
};

struct touch_results {
	struct touch_result *results; /* (n) */
	size_t n;
	uint32_t tokens; /* that were measured */
	uint64_t file_bytes;
	uint64_t wanted_bytes_per_token; /* bundles that fire */
	char missing[ERROR_MESSAGE_SIZE]; /* why link_prefetch was not measured; "" if it was */
};

/* -EINVAL for options that make no sense, whatever the files are. */
int touch_bench_check(const struct touch_bench_options *options, struct error *err);

/*
 * Measure. Without the module, what needs it is left out. The caller calls
 * touch_results_free() after 0.
 */
int touch_bench(const struct touch_bench_options *options, struct touch_results *results,
		struct progress *progress, struct error *err);
void touch_results_free(struct touch_results *results);

#endif
