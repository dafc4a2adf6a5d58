/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What bringing the bundles of a token into memory costs, by the engine with and without
 * its parts, and by its opponents. The tokens are those of a trace that placing has not seen;
 * files, reads and copies are real, and nothing is computed. Methods take turns in one
 * process, in an order drawn anew for each repeat, and begin with empty caches and nothing of
 * the file in the page cache. Documentation/io.rst.
 */
#ifndef COLINK_BENCH_IO_BENCH_H
#define COLINK_BENCH_IO_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "bench/io_inputs.h"
#include "bench/memory_group.h"
#include "bench/read_log.h"
#include "storage/device.h"

struct io_bench_options {
	/* For io_inputs_read(). */
	const char *model; /* its geometry and bytes, not its weights, matter */
	const char *trace; /* of the same model */
	uint32_t tokens; /* to replay, at most */
	uint32_t bundle_bytes; /* for io_inputs_shrink(); 0: as they are */
	uint32_t effort; /* of the search for the order best */
	double copies; /* share of the bundles, for full+copies; 0: not measured */
	uint32_t mmap_tokens; /* of these, the first ones, by methods that map the file */

	uint32_t repeats;
	double cache_ratio; /* share of all bundles in DRAM, 0 to 1 */
	struct device_cost cost; /* by which reads are planned */
	uint32_t queue_depth; /* most reads in flight */
	uint64_t seed; /* of the order of methods */
	const char *const *methods; /* names of those to measure (n_methods); 0: all */
	size_t n_methods;
	/*
	 * Gets the reads of the first repeat; NULL: nobody wants them. Of one method, given by
	 * its name, that does not map the file.
	 */
	struct read_log *reads;
	struct memory_controller_sources groups; /* MEMORY_CONTROLLER_SOURCES but in a test */
};

/* One method's replay of all tokens. All are over the tokens, in doubles for their medians. */
struct io_sample {
	double mean_ms; /* of the I/O times of tokens */
	double median_ms;
	double p99_ms;
	double reads; /* per token */
	double bytes; /* per token */
	double effective_mb_s; /* wanted bytes, cached or not, by the I/O time */
	double run_length; /* bundles that had to be read, by runs of them */
	double cache_hit_share;
	double predicted_ms; /* per token, by the device cost */
	double bookkeeping_share; /* of the I/O time */
};

struct io_result {
	const char *name;
	uint64_t cache_bytes; /* of DRAM for bundles that stay from token to token, at most */
	uint32_t tokens; /* replayed by this method, the first ones */
	struct io_sample *samples; /* (repeats) */
	double *io_ms; /* (repeats, tokens) */
};

/* A method that was asked for and cannot be had here. */
struct io_missing {
	const char *name;
	char why[ERROR_MESSAGE_SIZE];
};

struct io_results {
	struct io_result *results; /* (n) */
	size_t n;
	struct io_missing *missing; /* (n_missing) */
	size_t n_missing;
	uint32_t tokens; /* replayed */
	uint64_t placed_tokens;
	uint32_t n_layers;
	uint32_t n_neurons; /* per layer */
	uint32_t stride; /* bytes of a bundle */
	uint32_t n_copies; /* per layer, that full+copies has */
	uint64_t bundle_bytes; /* of all */
	double wanted_bytes_per_token;
	uint32_t read_ahead_kib; /* of the device; 0 where it is not known */
	char source[256]; /* what the engine reads by, in words */
};

/* -EINVAL for options that make no sense, whatever the files are. */
int io_bench_check(const struct io_bench_options *options, struct error *err);

/*
 * What to read for options that were checked: no layout and no copies but those of the methods
 * to measure, since searching them takes longest. Progress is left to the caller.
 */
struct io_inputs_options io_bench_inputs(const struct io_bench_options *options);

/*
 * Measure, with inputs read by what io_bench_inputs() says. What cannot be had here is left
 * out; when that is all, this fails with -ENODEV. Progress counts replays. Starts processes:
 * call it from a program with one thread. The caller calls io_results_free() after 0.
 */
int io_bench(const struct io_bench_options *options, const struct io_inputs *inputs,
	     struct io_results *results, struct progress *progress, struct error *err);
void io_results_free(struct io_results *results);

#endif
