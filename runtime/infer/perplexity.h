/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Perplexity of a text: its ids are cut into pieces of context - 1 (the last may
 * be shorter); each is predicted from bos and the ids before it in the piece, so
 * that every id is predicted exactly once.
 */
#ifndef COLINK_INFER_PERPLEXITY_H
#define COLINK_INFER_PERPLEXITY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "infer/session.h"

struct perplexity {
	double perplexity;
	double nll; /* nats per token */
	double nll_total;
	uint64_t n_tokens;
};

/*
 * `context` is at most the session's room; 0: all of it. Progress counts tokens.
 */
int perplexity_measure(struct session *session, const struct model *model, const uint32_t *ids,
		       size_t n_ids, uint32_t context, struct progress *progress,
		       struct perplexity *result, struct error *err);

/* Bytes of DRAM that this takes besides the session, in windows of `context` tokens. */
uint64_t perplexity_bytes(uint32_t n_vocab, uint32_t context);

#endif
