/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The feed-forward block, computed on bundles as they arrive from flash:
 *   out[t] += sum over slots s wanted by t of relu(up[s] . x[t] + bias[s]) * down[s]
 * Slots are summed in ascending order, so the result does not depend on how they
 * are spread over windows, nor on threads. A token costs the first product only for
 * (about) the slots that it wants, and the second only for those that fire: of a
 * batch, too, little is computed where little is wanted.
 */
#ifndef COLINK_INFER_FFN_H
#define COLINK_INFER_FFN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "infer/linear.h"
#include "storage/bundle_store.h"

struct ffn_batch {
	size_t n_tokens;
	size_t d_model;
	size_t n_slots; /* of the whole layer */
	const float *x; /* (n_tokens, d_model) */
	const float *up_bias; /* (n_slots) */
	const uint64_t *wanted; /* (n_tokens, bits_words(n_slots)); NULL: all */
	bool measure; /* compute what is not wanted as well, to know what would fire */
	uint64_t *fired; /* same shape, set where relu > 0 and wanted (or to be measured) */
	float *out; /* (n_tokens, d_model), added to */
};

/* Scratch memory for ffn_window(); made once for the largest batch. */
struct ffn_scratch;
int ffn_scratch_create(size_t max_tokens, struct ffn_scratch **scratch, struct error *err);
void ffn_scratch_destroy(struct ffn_scratch *scratch);

/* Add one window's slots. Windows of a layer come in ascending order. */
void ffn_window(const struct compute *compute, const struct ffn_batch *batch,
		const struct bundle_window *window, struct ffn_scratch *scratch);

#endif
