/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Gates of which a known share opens, and a predictor that foretells which: the gate's matrix
 * is a product of two thin random ones, gate = up . down. For an input x of unit mean square
 * without a direction of its own, down . x is normal in each of `rank` directions, so that
 *
 *   - each neuron's gate . x is normal with one known deviation: a threshold (fatrelu) opens
 *     the share that is asked for;
 *   - gates of two neurons correlate by the angle between their rows of `up`, which is random:
 *     0 on average, 1 / sqrt(rank) in size. Nobody is anyone's friend, and none is hot;
 *   - up . (down . x) - threshold is above 0 where the gate opens. That is the predictor's form
 *     (infer/predict.h): how well it foretells depends only on how near to x its own input is.
 */
#ifndef COLINK_SYNTH_SYNTH_GATE_H
#define COLINK_SYNTH_SYNTH_GATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SYNTH_GATE_MAX_RANK 1024

struct synth_gate {
	uint32_t d_model, n_ffn, rank;
	float threshold; /* of all layers */
	uint16_t *down; /* (rank, d_model) f16 */
	uint16_t *up; /* (n_ffn, rank) f16 */
	float *panels; /* `down` for the product: (panels of columns, rank, columns) */
};

/*
 * `share` of the gates open, above 0 and below 0.5. Draw before use. The caller calls
 * synth_gate_free(), which takes NULL.
 */
int synth_gate_create(uint32_t d_model, uint32_t n_ffn, uint32_t rank, double share,
		      struct synth_gate **gate, struct error *err);
void synth_gate_free(struct synth_gate *gate);

/* A layer: the same seed draws the same again. */
void synth_gate_draw(struct synth_gate *gate, uint64_t seed);

/* Rows of `n` neurons of the layer from `first` on, f16, each `stride` elements after the last. */
void synth_gate_rows(const struct synth_gate *gate, uint32_t first, uint32_t n, uint16_t *rows,
		     size_t stride);

#endif
