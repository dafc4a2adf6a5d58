/* SPDX-License-Identifier: GPL-2.0-only */
/* One layer of a trace in memory, as a bit matrix. */
#ifndef COLINK_PLACEMENT_ACTIVITY_H
#define COLINK_PLACEMENT_ACTIVITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "placement/trace.h"

struct activity {
	uint32_t n_neurons;
	uint64_t n_tokens;
	uint64_t *fired; /* (n_tokens, bits_words(n_neurons)) */
};

enum activity_part {
	ACTIVITY_SEEN, /* the tokens to place and train on */
	ACTIVITY_UNSEEN, /* the tokens to measure on */
	ACTIVITY_ALL,
};

/* Whether a chunk is of that part of the trace, and how many tokens the part has. */
bool activity_has_chunk(const struct trace *trace, uint32_t chunk, enum activity_part part);
uint64_t activity_tokens(const struct trace *trace, enum activity_part part);

/* The whole part at once. The caller calls activity_free(). */
int activity_load(const struct trace *trace, uint32_t layer, enum activity_part part,
		  struct activity *activity, struct error *err);
void activity_free(struct activity *activity);

#endif
