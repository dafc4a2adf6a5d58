/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Picking the next token: greedy, or by chance with temperature, top-k and top-p
 * (Holtzman et al., arXiv 1904.09751), in that order. Same seed, same tokens.
 */
#ifndef COLINK_INFER_SAMPLER_H
#define COLINK_INFER_SAMPLER_H

#include <stdint.h>

#include "base/error.h"

struct sampler_options {
	float temperature; /* 0: greedy */
	uint32_t top_k; /* keep the k most likely; 0: all */
	float top_p; /* keep the fewest that reach this probability; 1: all */
	uint64_t seed;
};

struct sampler;

/* -EINVAL for a negative temperature or a top_p outside (0, 1]. */
int sampler_create(const struct sampler_options *options, uint32_t n_vocab,
		   struct sampler **sampler, struct error *err);
void sampler_destroy(struct sampler *sampler);

/* Bytes of DRAM that a sampler takes, at most. */
uint64_t sampler_bytes(uint32_t n_vocab);

/* Of equal logits the lower id wins. `logits` is (n_vocab), all finite. */
uint32_t sampler_pick(struct sampler *sampler, const float *logits);

#endif
