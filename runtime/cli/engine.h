/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands that compute with a model share: options, opening, reporting. */
#ifndef COLINK_CLI_ENGINE_H
#define COLINK_CLI_ENGINE_H

#include <math.h>

#include "base/cpu_time.h"
#include "base/proc_io.h"
#include "cli/cli.h"
#include "infer/memory_budget.h"
#include "infer/session.h"
#include "infer/usage.h"
#include "storage/source_choice.h"

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

/* Append the specs of these options to `specs`; returns the new count. */
size_t engine_add_specs(struct engine_options *options, struct option_spec *specs, size_t n);
#define ENGINE_SPECS 12 /* how many that are */

/* -1, or EXIT_USAGE after one line on what is wrong. */
int engine_check(const struct command *command, const struct engine_options *options);

struct bundle_store_options engine_store_options(const struct engine_options *options,
						 struct device_cost cost);

struct engine {
	struct proc_io before; /* what the kernel had counted when the session was opened */
	bool kernel_counts; /* that is known */
	struct cpu_time *cpu_time; /* since then */
	bool chosen; /* the source was left to us */
	struct source_choice choice;
	struct device_cost cost; /* what reads are planned by */
	bool cost_measured; /* on the model's device, by colink bench device; else a phone's */
	struct model *model;
	struct session *session;
	struct usage *usage;
	uint64_t budget; /* or ENGINE_NO_BUDGET */
	struct memory_parts planned;
};

/* What a command is going to do with a model. */
struct engine_work {
	enum session_mode mode;
	uint32_t max_tokens; /* as in struct session_options */
	uint64_t bytes; /* of DRAM that it will take besides the session */
};

/*
 * First open the model, whose config and tokenizer may then be used, and see what is known of
 * its device; then load the weights, if they fit into the budget, and open a session that
 * counts its usage; in the end, close. Results of no use are told on stderr, and ignored.
 */
int engine_open(const char *path, struct engine *engine, struct error *err);
int engine_start(struct engine *engine, const struct engine_options *options,
		 const struct engine_work *work, struct error *err);
void engine_close(struct engine *engine);

/* A text of the user as token ids; refused when it has none. The caller frees *ids. */
int engine_encode(const struct model *model, const char *text, bool add_bos, uint32_t **ids,
		  size_t *count, struct error *err);

/* All files one after the other as token ids, without bos. */
int engine_encode_files(const struct tokenizer *tokenizer, const struct string_list *files,
			uint32_t **ids, size_t *count, struct error *err);

/*
 * What the source says of itself and, where it was left to us, why it is this one, for people.
 * The caller frees it; NULL when there is no memory.
 */
char *engine_describe_source(const struct engine *engine);

/*
 * "io": {...}: what the session read, per token over all its tokens. "kernel" in it
 * is what /proc/self/io counted for the whole process in the same time.
 */
json_t *engine_io_json(const struct engine *engine, const struct bundle_store_stats *stats);

/*
 * "memory": {...}: the budget, what was planned to stay within it, and the most that the
 * process has had up to now: call it late.
 */
json_t *engine_memory_json(const struct engine *engine);

/* The same in one line for people, on stderr. */
void engine_show_memory(const struct engine *engine);

/* "device": {...}: by which cost reads were planned in the end. */
json_t *engine_device_json(const struct engine *engine);

/* Bytes from storage as a share of all bundles, once per token. */
double engine_read_share(const struct engine *engine, const struct bundle_store_stats *stats);

#endif
