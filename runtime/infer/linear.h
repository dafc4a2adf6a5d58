/* SPDX-License-Identifier: GPL-2.0-only */
/* Dense layers and norms over a batch of tokens, shared out to threads. */
#ifndef COLINK_INFER_LINEAR_H
#define COLINK_INFER_LINEAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/thread_pool.h"
#include "infer/kernels.h"

/* What computes: a set of kernels and the threads to run them on. */
struct compute {
	const struct kernels *kernels;
	struct thread_pool *pool;
};

/* How many items of `flops` each make it worth to wake another thread. */
size_t compute_grain(size_t flops);

/*
 * out[t] = weights . x[t] + bias for every token t.
 * weights (n_out, n_in) f16; bias (n_out) or NULL; x (n_tokens, n_in); out (n_tokens, n_out).
 */
void linear(const struct compute *compute, float *out, const uint16_t *weights, const float *bias,
	    const float *x, size_t n_tokens, size_t n_out, size_t n_in);

/* Layer norm of each of n_tokens vectors of n elements; out may be x. */
void layer_norm(float *out, const float *x, const float *weight, const float *bias, float epsilon,
		size_t n_tokens, size_t n);

/* RMSNorm (arXiv 1910.07467), likewise: no mean is subtracted and nothing added. */
void rms_norm(float *out, const float *x, const float *weight, float epsilon, size_t n_tokens,
	      size_t n);

#endif
