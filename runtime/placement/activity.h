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

/* Do the tokens of a chunk belong to the part, and how many tokens does it have? */
bool activity_part_has(enum activity_part part, const struct trace *trace, uint32_t chunk);
uint64_t activity_tokens(const struct trace *trace, enum activity_part part);

/* The whole part at once. The caller calls activity_free(). */
int activity_load(const struct trace *trace, uint32_t layer, enum activity_part part,
		  struct activity *activity, struct error *err);

/* Only some chunks of it, evenly spread over the text, if it has more tokens than `most`. */
int activity_load_spread(const struct trace *trace, uint32_t layer, enum activity_part part,
			 uint64_t most, struct activity *activity, struct error *err);
void activity_free(struct activity *activity);

/* For how many tokens each neuron fired. (n_neurons), overwritten. */
void activity_frequency(const struct activity *activity, uint32_t *frequency);

#endif
