/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model file of a named shape with random weights: for measuring at sizes of which no
 * checkpoint is at hand. What it says is noise; what it costs is not.
 */
#ifndef COLINK_SYNTH_SYNTH_MODEL_H
#define COLINK_SYNTH_SYNTH_MODEL_H

#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "synth/shape.h"

/*
 * Weights are +-[s, 2s) with s a power of two near 1 / (2 sqrt(d_model)); norms are one,
 * biases 0. Slots are in the order of neurons. A gated model has a larger embedding, gates of
 * which activity.active_share opens in every layer, and a predictor that foretells which
 * (synth_gate.h). Every byte of the weights is written: no file
 * system can leave it out, and few can compress it. The model's id is synth_model_id().
 * Progress counts bytes.
 */
int synth_model_write(const char *path, const struct model_shape *shape, uint64_t seed,
		      struct progress *progress, struct error *err);

#endif
