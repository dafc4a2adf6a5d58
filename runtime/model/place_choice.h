/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which places a token's neurons are read from, when some have several (model/places.h):
 * between neurons and the plan of the reads (storage/plan.h), for each token and layer.
 *
 * To be least is what the chosen positions cost a device beside their own bytes: for each two of
 * them that are next to each other, the bundles between, or an I/O if that is cheaper. The best
 * choice is hard to find (tests do, of few neurons); what is done takes a microsecond and is
 * within a per cent of it as long as few neurons have copies: first all that have one place
 * only, then each of the others, by index, where it costs least given what is chosen; and
 * these once or twice again, now that all are chosen.
 */
#ifndef COLINK_MODEL_PLACE_CHOICE_H
#define COLINK_MODEL_PLACE_CHOICE_H

#include <stdint.h>

#include "base/error.h"
#include "model/places.h"

/* What choosing needs memory for: any number of layers and tokens, one at a time. */
struct place_choice {
	uint32_t *neurons; /* (n_neurons): wanted ones that have several places */
	uint32_t *chosen; /* (n_neurons): the position of each of these */
};

/* For layers of up to n_neurons. The caller calls place_choice_free(). Fails with -ENOMEM. */
int place_choice_create(uint32_t n_neurons, struct place_choice *choice, struct error *err);
void place_choice_free(struct place_choice *choice);

/*
 * `wanted` is a set of neurons (base/bits.h), `positions` becomes the set of n_positions to read:
 * one place of each of these. io_bundles is what an I/O costs, in bundles: a / (b * stride). The
 * same arguments give the same positions. Allocates nothing.
 */
void place_choice_make(struct place_choice *choice, const struct places *places,
		       const uint64_t *wanted, double io_bundles, uint64_t *positions);

#endif
