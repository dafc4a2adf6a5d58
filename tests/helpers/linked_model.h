/* SPDX-License-Identifier: GPL-2.0-only */
/* A small linked model and a trace of it, for the tests of benchmarks. */
#ifndef COLINK_TESTS_HELPERS_LINKED_MODEL_H
#define COLINK_TESTS_HELPERS_LINKED_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "placement/activity.h"

#define LINKED_MODEL_ID 7
#define LINKED_LAYERS 3
#define LINKED_SLOTS 100 /* per layer: more than a word of a set */
#define LINKED_TOKENS 20

struct linked_model {
	uint32_t neuron[LINKED_SLOTS]; /* of each slot */
	struct activity layers[LINKED_LAYERS]; /* what is in the trace, by neuron */
	char *model;
	char *trace; /* in chunks of 6, 6, 6 and 2 tokens */
};

/* The files are in the folder. */
void linked_model_make(struct linked_model *linked, const char *folder);
void linked_model_free(struct linked_model *linked);

/* Whether what is in a slot fires for a token. */
bool linked_model_fires(const struct linked_model *linked, uint32_t token, uint32_t layer,
			uint32_t slot);

#endif
