/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The feed-forward block, computed on bundles as they arrive from flash:
 *   out[t] += sum over slots s wanted by t of a[s] * down[s]
 * where, of x = x[t] and with over(v) = v where v > threshold and 0 elsewhere,
 *   a[s] = over(up[s] . x + bias[s])                   plain: bundles of up, down
 *   a[s] = over(gate[s] . x) * (up[s] . x)             gated: of gate, up, down
 *   a[s] = over(gate[s] . x) * relu(up[s] . x)         gated, with relu on both
 * A slot fires for a token when a[s] is not 0.
 *
 * Slots are summed in ascending order, so the result does not depend on how they
 * are spread over windows, nor on threads. A token costs the first product only for
 * (about) the slots that it wants, that with a gated model's up only for those whose
 * gate is open, and the last only for those that fire: of a batch, too, little is
 * computed where little is wanted.
 */
#ifndef COLINK_INFER_FFN_H
#define COLINK_INFER_FFN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "infer/linear.h"
#include "storage/bundle_store.h"

enum ffn_form {
	FFN_PLAIN,
	FFN_GATED,
	FFN_GATED_BOTH, /* relu on both */
};

struct ffn_batch {
	enum ffn_form form;
	float threshold; /* 0 or more; 0 is relu */
	size_t n_tokens;
	size_t d_model;
	size_t n_slots; /* of the whole layer */
	const float *x; /* (n_tokens, d_model) */
	const float *up_bias; /* (n_slots); NULL: none, as in gated models */
	const uint64_t *wanted; /* (n_tokens, bits_words(n_slots)); NULL: all */
	bool measure; /* compute what is not wanted as well, to know what would fire */
	uint64_t *fired; /* same shape, set where a slot fires and is wanted (or to be measured) */
	float *out; /* (n_tokens, d_model), added to */
};

/* Scratch memory for ffn_window(); made once for the largest batch. */
struct ffn_scratch;
int ffn_scratch_create(size_t max_tokens, struct ffn_scratch **scratch, struct error *err);
void ffn_scratch_destroy(struct ffn_scratch *scratch);
uint64_t ffn_scratch_bytes(size_t max_tokens);

/* Add one window's slots. Windows of a layer come in ascending order. */
void ffn_window(const struct compute *compute, const struct ffn_batch *batch,
		const struct bundle_window *window, struct ffn_scratch *scratch);

#endif
