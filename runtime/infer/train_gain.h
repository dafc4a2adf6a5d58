/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a neuron's activation is multiplied by on its way to the output: the length of
 * its column of fc2. Of a gated model, what the gate gives is also multiplied by what up
 * does, which is foretold by nothing; so what it is expected to be, over all tokens,
 * stands for it: E|u|, or E[relu(u)] where up goes through relu as well, for u normal
 * with the mean and variance that u = up . y has over the trace.
 */
#ifndef COLINK_INFER_TRAIN_GAIN_H
#define COLINK_INFER_TRAIN_GAIN_H

#include "base/error.h"
#include "infer/train_inputs.h"
#include "infer/train_private.h"
#include "infer/train_weights.h"

/* Fills gain (n_ffn) for the layer whose inputs and weights these are. Fails with -ENOMEM. */
int train_gain(const struct training *training, const struct train_inputs *inputs,
	       const struct train_weights *weights, float *gain, struct error *err);

#endif
