/* SPDX-License-Identifier: GPL-2.0-only */
/* A trace of a model that does not exist: activations by synth_activity.h, layer by layer. */
#ifndef COLINK_SYNTH_SYNTH_TRACE_H
#define COLINK_SYNTH_SYNTH_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "synth/shape.h"

struct synth_trace_options {
	const struct model_shape *shape;
	uint64_t tokens;
	uint64_t skip; /* so many tokens of the sequence come before the first */
	uint64_t seed; /* of everything: the same seed gives the same sequence of tokens */
	bool independent; /* the control: neurons know nothing of each other */
};

/* The id of the model of this shape and seed, by which its traces are known to be its own. */
uint64_t synth_model_id(const struct model_shape *shape, uint64_t seed);

/* Progress counts tokens. */
int synth_trace_write(const char *path, const struct synth_trace_options *options,
		      struct progress *progress, struct error *err);

#endif
