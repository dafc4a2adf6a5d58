/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a model's bundles are read: by which source, device cost and memory that is planned, and
 * what it took, counted and reported. The same for what computes with them (engine.h) and for
 * what only reads them.
 *
 *	engine_io_open();
 *	engine_io_plan();
 *	open the store, by the options that were planned
 *	engine_io_begin();
 *	read
 *	engine_io_json(), ...
 *	engine_io_close();
 */
#ifndef COLINK_CLI_ENGINE_IO_H
#define COLINK_CLI_ENGINE_IO_H

#include <stdio.h>

#include "base/cpu_time.h"
#include "base/proc_io.h"
#include "cli/engine_options.h"
#include "infer/memory_budget.h"
#include "storage/source_choice.h"

struct engine_io {
	const struct model_file *file;
	const struct bundle_store *store; /* from engine_io_begin() on */
	struct device_cost cost; /* what reads are planned by */
	bool cost_measured; /* on the model's device, by colink bench device; else a phone's */
	bool chosen; /* the source was left to us */
	struct source_choice choice;
	uint64_t budget; /* or ENGINE_NO_BUDGET */
	struct memory_parts planned;
	uint32_t batch; /* tokens that pass a layer together */
	struct proc_io before; /* what the kernel had counted at the beginning */
	bool kernel_counts; /* that is known */
	struct cpu_time *cpu_time; /* since then */
};

/*
 * See what is known of the model's device; the file has to stay open. Results of no use are told
 * on stderr, and ignored.
 */
void engine_io_open(struct engine_io *io, const struct model_file *file);

/*
 * Choose what the options leave open, source, cache and staging, in the user's own options: what
 * fits into the budget, if there is one. caller_bytes of DRAM are what is taken besides. Fails as
 * memory_plan() and memory_fit() do.
 */
int engine_io_plan(struct engine_io *io, const struct engine_options *options,
		   const struct memory_user *user, uint64_t caller_bytes, struct error *err);

/* Begin to count. The store has to stay open until the last report. */
int engine_io_begin(struct engine_io *io, const struct bundle_store *store, struct error *err);

/* Also of one that was never begun, if it is all zeros. */
void engine_io_close(struct engine_io *io);

/*
 * "io": {...}: what the store read, per token over so many tokens. "kernel" in it is what
 * /proc/self/io counted for the whole process in the same time.
 */
json_t *engine_io_json(const struct engine_io *io, const struct bundle_store_stats *stats,
		       uint64_t n_tokens);

/*
 * The same in one line for people: what of it counts, what the source says of itself and, where
 * it was left to us, why it is this one.
 */
void engine_show_io(FILE *out, const struct engine_io *io, const struct bundle_store_stats *stats,
		    uint64_t n_tokens);

/*
 * "memory": {...}: the budget, what was planned to stay within it, and the most that the
 * process has had up to now: call it late.
 */
json_t *engine_memory_json(const struct engine_io *io);

/* The same in one line for people, on stderr. */
void engine_show_memory(const struct engine_io *io);

/* "device": {...}: by which cost reads were planned in the end. */
json_t *engine_device_json(const struct engine_io *io);

/* Bytes from storage as a share of all bundles, once per token. */
double engine_read_share(const struct engine_io *io, const struct bundle_store_stats *stats,
			 uint64_t n_tokens);

#endif
