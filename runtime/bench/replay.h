/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A run without arithmetic: what fires for the tokens of a trace is asked of a bundle store and
 * consumed as a session does it, one token at a time and one layer ahead. Consuming reads a word
 * of every 4 KiB of each bundle, and its last one. In place of computing, the CPU may be kept
 * busy for a given time per layer, half of it for attention, before the next layer is asked for,
 * and half for the FFN, when a layer is consumed.
 *
 * The words of all bundles make a checksum that goes by token, layer and neuron: it is the same
 * for every source, cache, order and number of copies of one model, and tells that each wanted
 * bundle came once, with the right data.
 */
#ifndef COLINK_BENCH_REPLAY_H
#define COLINK_BENCH_REPLAY_H

#include <stdint.h>

#include "base/error.h"
#include "bench/token_slots.h"
#include "model/model_file.h"
#include "placement/trace.h"
#include "storage/bundle_store.h"

/* As many tokens, where nobody says how many. */
#define REPLAY_DEFAULT_TOKENS 128

struct replay_options {
	uint32_t skip; /* tokens of the trace that come before the first */
	uint32_t tokens; /* 0: REPLAY_DEFAULT_TOKENS, or as many as there are */
	uint32_t compute_us; /* of CPU time, for each layer */
};

/* What is replayed. */
struct replay {
	struct token_slots slots;
	uint32_t *neuron; /* (n_layers, n_slots): of each slot */
	uint32_t stride; /* bytes of a bundle */
	uint32_t first; /* token of the trace */
	uint32_t compute_us;
};

struct replay_result {
	double seconds;
	uint64_t checksum;
	uint64_t wanted_bundles;
};

/*
 * Set *tokens to how many tokens of the trace the options ask for. -EINVAL for the trace of
 * another model, -ERANGE if it has fewer; trace_path is for messages.
 */
int replay_tokens(const struct model_file *file, const struct trace *trace,
		  const char *trace_path, const struct replay_options *options, uint32_t *tokens,
		  struct error *err);

/* Bytes of DRAM that replay_read() and what it leaves take, for so many tokens. */
uint64_t replay_bytes(const struct trace *trace, uint32_t tokens);

/* Of `tokens` tokens, as token_slots_read() fails. The caller calls replay_free(). */
int replay_read(const struct model_file *file, const struct trace *trace, const char *trace_path,
		const struct replay_options *options, uint32_t tokens, struct replay *replay,
		struct error *err);
void replay_free(struct replay *replay);

/*
 * All tokens, by a store of the file's bundles that has nothing requested; in the thread that
 * opened it. Fails as the store does.
 */
int replay_run(const struct replay *replay, struct bundle_store *store,
	       struct replay_result *result, struct error *err);

#endif
