/* SPDX-License-Identifier: GPL-2.0-only */
/* What an order costs: reads and run lengths of an activity, token by token. */
#ifndef COLINK_PLACEMENT_QUALITY_H
#define COLINK_PLACEMENT_QUALITY_H

#include <stdint.h>

#include "base/error.h"
#include "placement/activity.h"

/* Runs of 1, 2-3, 4-7, 8-15 ... bundles: as many classes as the largest layer needs. */
#define RUN_LENGTH_CLASSES 19

struct order_quality {
	double wanted_per_token; /* bundles */
	double reads_per_token;
	double bundles_per_token; /* read ones: wanted and gaps */
	double run_length_mean; /* wanted bundles per run, before collapse */
	uint32_t run_length_max;
	/* Share of the wanted bundles that lie in runs of a class, before collapse. */
	double run_length_shares[RUN_LENGTH_CLASSES];
};

/* The shortest and the longest run of a class. */
static inline uint32_t run_length_class_min(uint32_t class)
{
	return UINT32_C(1) << class;
}

static inline uint32_t run_length_class_max(uint32_t class)
{
	return (UINT32_C(2) << class) - 1;
}

/*
 * Every token reads exactly the neurons that fired, nothing is cached. Gaps of
 * at most `gap` unwanted bundles are read over (0: no collapse).
 */
int order_measure(const struct activity *activity, const uint32_t *slot_to_neuron, uint32_t gap,
		  struct order_quality *quality, struct error *err);

#endif
