/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How fast scattered extents of a file come into the page cache, by each method there
 * is. Every measurement starts with none of the file resident and ends when every page
 * of the extents has been touched through a mapping. All methods take turns in one
 * process, in an order drawn anew for each repeat, so that whatever else the machine
 * does hits all alike. Documentation/benchmarks.rst.
 */
#ifndef COLINK_BENCH_PREFETCH_BENCH_H
#define COLINK_BENCH_PREFETCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "bench/extent_case.h"

struct prefetch_bench_options {
	const char *directory; /* where the file is made: on the disk to measure */
	uint64_t file_bytes; /* in whole pages; extent_case_file_bytes() of each case fit */
	uint64_t gap_bytes; /* the module's limit of collapse */
	uint64_t seed; /* of places of extents and of the order of methods */
	uint32_t repeats;
	const char *const *methods; /* names of those to measure (n_methods); 0: all */
	size_t n_methods;
	const struct extent_case *cases; /* (n_cases); 0: those of Documentation/benchmarks.rst */
	size_t n_cases;
};

struct prefetch_sample {
	double wall_ms; /* from the call to when all is used */
	double call_ms; /* of it, in the call(s) that ask */
	double cpu_ms; /* both of the following */
	double process_cpu_ms;
	double kernel_cpu_ms; /* of the kernel's own threads */
	double ios; /* that the device completed */
	double bytes;
};

struct prefetch_result {
	const char *method;
	struct extent_case shape;
	struct prefetch_sample *samples; /* (repeats) */
};

struct prefetch_results {
	struct prefetch_result *results; /* (n), the methods of a case together */
	size_t n;
	bool kernel_cpu_known;
	char missing[ERROR_MESSAGE_SIZE]; /* why the module was not measured; "" if it was */
};

/* -EINVAL for options that make no sense, whatever the directory is. */
int prefetch_bench_check(const struct prefetch_bench_options *options, struct error *err);

/*
 * Measure. Methods that cannot be had here are left out; when that is all of them, this
 * fails with -ENODEV. The caller calls prefetch_results_free() after 0.
 */
int prefetch_bench(const struct prefetch_bench_options *options, struct prefetch_results *results,
		   struct progress *progress, struct error *err);
void prefetch_results_free(struct prefetch_results *results);

#endif
