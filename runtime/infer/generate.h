/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading a prompt, then making tokens one by one. */
#ifndef COLINK_INFER_GENERATE_H
#define COLINK_INFER_GENERATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "infer/sampler.h"
#include "infer/session.h"

/* Append all tokens, in batches as large as the session takes. */
int generate_prompt(struct session *session, const uint32_t *ids, size_t n_ids, struct error *err);

struct generate_options {
	uint32_t n_tokens; /* most tokens to make */
	uint32_t eos; /* stop after this id; TOKEN_NONE: never */
	struct sampler_options sampler;
	/* Called with each token as it is made; 0 goes on, a negative errno ends it. */
	int (*token)(void *arg, uint32_t id);
	void *arg;
};

/*
 * Make tokens after what the session has read (at least one token). ids has room
 * for n_tokens; *n_made is how many were made, eos included. Ends early at eos and
 * when the context is full. The last token made is not fed back.
 */
int generate_tokens(struct session *session, uint32_t n_vocab,
		    const struct generate_options *options, uint32_t *ids, uint32_t *n_made,
		    struct error *err);

/* Bytes of DRAM that generate_tokens() takes besides the session, at most. */
uint64_t generate_bytes(uint32_t n_vocab);

#endif
