/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Causal multi-head attention over a cache of keys and values. Heads may share keys
 * and values (grouped-query attention, arXiv 2305.13245): n_kv_heads divides n_heads,
 * and each of them serves n_heads / n_kv_heads neighbouring heads of queries.
 */
#ifndef COLINK_INFER_ATTENTION_H
#define COLINK_INFER_ATTENTION_H

#include <stddef.h>

#include "infer/linear.h"

struct attention_shape {
	size_t n_heads;
	size_t n_kv_heads;
	size_t d_head;
};

/*
 * out[t] = attention of query t, which stands at position first + t and sees
 * positions 0 .. first + t. Shapes: queries and out (n_tokens, n_heads * d_head),
 * keys and values (first + n_tokens, n_kv_heads * d_head). `scores` is scratch:
 * (n_tokens, n_heads, first + n_tokens). Queries are scaled here.
 */
void attention(const struct compute *compute, const struct attention_shape *shape, float *out,
	       const float *queries, const float *keys, const float *values, float *scores,
	       size_t first, size_t n_tokens);

#endif
