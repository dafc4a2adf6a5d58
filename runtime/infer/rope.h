/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rotary positions (RoPE, arXiv 2104.09864): each head of a query or key is taken for
 * d_head / 2 points of a plane, and point i of the token at position p is turned by
 * p * theta^(-2i / d_head). So the product of a query and a key depends on how far
 * apart they stand.
 *
 * Elements 2i and 2i + 1 are a point ("interleaved"), as in GGUF files of the Llama
 * architecture. Checkpoints of Hugging Face pair i with i + d_head / 2 ("half-split",
 * "NeoX"); an import interleaves the rows of their q and k instead.
 */
#ifndef COLINK_INFER_ROPE_H
#define COLINK_INFER_ROPE_H

#include <stddef.h>

/*
 * turns (n_tokens, d_head): at 2i the cosine and at 2i + 1 the sine of the angle of
 * point i, for the tokens at positions first, first + 1, ... The same for all layers.
 * d_head is even.
 */
void rope_turns(float *turns, double theta, size_t d_head, size_t first, size_t n_tokens);

/* Turn x (n_tokens, n_heads * d_head) in place. */
void rope_apply(float *x, const float *turns, size_t n_tokens, size_t n_heads, size_t d_head);

#endif
