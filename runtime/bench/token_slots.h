/* SPDX-License-Identifier: GPL-2.0-only */
/* Which slots of a linked file fire, token by token: a trace seen through a placement. */
#ifndef COLINK_BENCH_TOKEN_SLOTS_H
#define COLINK_BENCH_TOKEN_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/model_file.h"
#include "placement/trace.h"

struct token_slots {
	uint32_t first; /* token of the trace */
	uint32_t n_tokens;
	uint32_t n_layers;
	uint32_t n_slots; /* per layer */
	uint64_t *sets; /* (n_tokens, n_layers, bits_words(n_slots)) */
};

/* -EINVAL, with trace_path, for the trace of another model. */
int token_slots_check(const struct model_file *file, const struct trace *trace,
		      const char *trace_path, struct error *err);

/*
 * Of the tokens of a trace from the one numbered `first` on, n_tokens at most. Fails as
 * token_slots_check() does. The caller calls token_slots_free().
 */
int token_slots_read(const struct model_file *file, const struct trace *trace,
		     const char *trace_path, uint32_t first, uint32_t n_tokens,
		     struct token_slots *slots, struct error *err);
void token_slots_free(struct token_slots *slots);

/* The slots of one token and layer, a set of base/bits.h. */
const uint64_t *token_slots_of(const struct token_slots *slots, uint32_t token, uint32_t layer);

#endif
