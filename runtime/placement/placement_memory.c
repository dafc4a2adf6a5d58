// SPDX-License-Identifier: GPL-2.0-only
/*
 * What placing takes at its most: while a layer is counted, or while its order is
 * searched and measured. Only the counts are there in both.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/amount.h"
#include "base/bits.h"
#include "base/proc_memory.h"
#include "placement/arrangement.h"
#include "placement/order_copies.h"
#include "placement/placement.h"

/* Code that runs for the first time, stacks, what malloc() keeps. */
#define PROGRAM_BYTES (UINT64_C(2) << 20)
#define THREAD_BYTES (UINT64_C(128) << 10)

/* Tokens that a search should have rows of, at least. */
#define LEAST_ROW_TOKENS 1024
/* By how much a program's first pages differ from one start to the next. */
#define VARIATION_BYTES (UINT64_C(512) << 10)

/* What device time takes, when the counts are gone: tokens, at most so much; and of each neuron. */
#define REPLAY_MOST_BYTES (UINT64_C(32) << 20)
#define REPLAY_BYTES 100

/* For each neuron: of the result and the report; and of the search or a measurement. */
#define RESULT_BYTES 36
#define SEARCH_BYTES 64
/* For each copy: of the result, and for each position when it is measured. */
#define COPY_BYTES 48

struct need {
	uint64_t counts;
	uint64_t counting;
	uint64_t searching; /* ORDER_BEST: all but rows */
	uint64_t measuring;
	uint64_t reporting; /* without counts */
	uint64_t others;
};

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t searching(const struct trace *trace, uint32_t n_copies)
{
	uint32_t n = trace_get_shape(trace)->n_neurons;
	uint64_t tokens = activity_tokens(trace, ACTIVITY_SEEN);
	uint64_t copies;

	if (tokens > ORDER_BEST_MOST_TOKENS)
		tokens = ORDER_BEST_MOST_TOKENS;
	copies = n_copies ? order_copies_bytes(n, n_copies, tokens) : 0;
	return amount_sum(amount_product(tokens, bits_words(n) * sizeof(uint64_t)),
			  amount_sum(most(order_best_bytes(n, tokens), copies),
				     trace_largest_block(trace)));
}

static struct need find_need(const struct trace *trace, const struct placement_options *options,
			     unsigned int n_threads)
{
	const struct trace_shape *shape = trace_get_shape(trace);
	const struct trace *unseen = options->unseen;
	const struct trace *measured = unseen ? unseen : trace;
	uint64_t tokens = activity_tokens(measured, unseen ? ACTIVITY_ALL : ACTIVITY_UNSEEN);
	uint64_t set = bits_words(shape->n_neurons) * sizeof(uint64_t);
	uint64_t all_layers = shape->n_layers;
	struct proc_memory now;

	proc_memory_read(&now);
	return (struct need){
		.counts = coactivation_bytes(shape->n_neurons,
					     activity_tokens(trace, ACTIVITY_SEEN)),
		.counting = coactivation_count_bytes(trace, n_threads),
		.searching = options->method == ORDER_BEST ?
				     searching(trace, options->n_copies) : 0,
		.measuring = amount_sum(
			amount_product(tokens, set),
			amount_sum(trace_largest_block(measured),
				   (uint64_t)shape->n_neurons * SEARCH_BYTES)),
		.reporting = least(REPLAY_MOST_BYTES, amount_product(all_layers, set * tokens)) +
			     all_layers * shape->n_neurons * REPLAY_BYTES,
		.others = now.resident_bytes + PROGRAM_BYTES + n_threads * THREAD_BYTES +
			  (uint64_t)shape->n_layers *
				  ((uint64_t)shape->n_neurons * RESULT_BYTES +
				   (uint64_t)options->n_copies * COPY_BYTES),
	};
}

/* The rows of a search, if there is one, are as few as make sense. */
static uint64_t total(const struct need *need, uint32_t n_positions)
{
	uint64_t search = need->searching ?
				  amount_sum(need->searching,
					     arrangement_bytes(n_positions, LEAST_ROW_TOKENS)) : 0;

	return amount_sum(need->others,
			  most(need->reporting,
			       amount_sum(need->counts, most(search, most(need->counting,
									  need->measuring)))));
}

static double mib(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

int placement_check_memory(const struct trace *trace, struct placement_options *options,
			   unsigned int n_threads, uint64_t memory, struct error *err)
{
	struct need need = find_need(trace, options, n_threads);
	uint64_t bytes = total(&need, trace_get_shape(trace)->n_neurons + options->n_copies);

	if (bytes <= memory) {
		if (need.searching)
			options->best.memory = memory - need.counts - need.others - need.searching;
		return 0;
	}
	bytes = amount_sum(bytes, VARIATION_BYTES);
	return error_set(err, -ENOMEM,
			 "placing layers of %u neurons from %llu tokens does not fit into %llu bytes "
			 "of memory; at least %llu (%.1f MiB) are needed: %.1f for the program and "
			 "its results, %.1f for counts of pairs and what is done with them, or to "
			 "report; allow that much%s",
			 trace_get_shape(trace)->n_neurons,
			 (unsigned long long)activity_tokens(trace, ACTIVITY_SEEN),
			 (unsigned long long)memory, (unsigned long long)bytes, mib(bytes),
			 mib(need.others), mib(bytes - need.others),
			 activity_tokens(trace, ACTIVITY_SEEN) > UINT16_MAX
				 ? ", or place from at most 65535 tokens, whose counts take half"
				 : "");
}
