/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much memory a run takes, and how it stays within a given amount. All of it is known
 * from the file's header, before any weights are read: sizes are those that the allocations
 * themselves go by (model_weights_bytes(), session_plan_memory()), but for the program and
 * the kernel, for which there are allowances.
 *
 * Of a budget, what is left after all else is the bundle cache's. All else is: with the least
 * staging, and the usual batch, which is halved as often as it has to be to fit. Of what is
 * left then, half goes to the staging until that is as large as usual: a cache saves reads,
 * staging lets more of them be in flight, and without either the other is of little use.
 *
 * In the budget is all memory of the process itself (VmHWM stays below it), and what the
 * kernel keeps for it in its memory cgroup. The page cache is not: pages of files that pread
 * reads, and of those that mmap maps.
 */
#ifndef COLINK_INFER_MEMORY_BUDGET_H
#define COLINK_INFER_MEMORY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/proc_memory.h"
#include "infer/session.h"

/* Bytes. */
struct memory_parts {
	uint64_t program; /* code, libraries, vocabulary, stacks; what the caller takes */
	uint64_t weights; /* in memory all the time, the predictor's included */
	uint64_t keys_values;
	uint64_t scratch; /* of a batch, of layers in flight, and while opening */
	uint64_t staging; /* that bundles are read to */
	uint64_t cache; /* bundles in it */
	uint64_t tables; /* of the cache */
	uint64_t kernel; /* tables of pages, queues; not in VmHWM */
};

/* What does not depend on the options. */
struct memory_base {
	struct proc_memory now; /* with the model opened, without weights; zeros: not known */
	uint64_t caller_bytes; /* what the caller will take: logits, text */
};

/* AMOUNT_MOST (base/amount.h) when it is too large to be counted. */
uint64_t memory_parts_sum(const struct memory_parts *parts);

/*
 * Who takes memory: a session and its model or, with these two NULL, a store of the file's
 * bundles by itself. All of it stays in place while this is used.
 */
struct memory_user {
	const struct model_file *file;
	struct bundle_store_options *store; /* the session's, where there is one */
	const struct model *model;
	struct session_options *session;
};

struct memory_user memory_user_session(const struct model *model,
				       struct session_options *options);

/* What is taken with these options. Fails as session_plan_memory() does. */
int memory_plan(const struct memory_user *user, const struct memory_base *base,
		struct memory_parts *parts, struct error *err);

struct memory_budget {
	uint64_t bytes;
	/*
	 * The options' cache_ratio is a wish, and refused if it does not fit. Otherwise it is
	 * overwritten. A max_batch other than 0 is a wish in any case.
	 */
	bool keep_cache_ratio;
};

/*
 * Choose max_batch, staging_bytes and cache_ratio of the user's options so that all fits, and
 * say what is planned in *parts. Fails with -ENOMEM for a budget that cannot be met; the message
 * says how much is needed at least, and for what.
 */
int memory_fit(const struct memory_user *user, const struct memory_budget *budget,
	       const struct memory_base *base, struct memory_parts *parts, struct error *err);

#endif
