/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An order of neurons that can be changed a little at a time, with what each change costs:
 * exactly, by the tokens themselves.
 *
 * What a token reads costs, beside its wanted bundles and one I/O, for each two of them that
 * are next to each other on disk: the bundles between them if reading over these is cheaper
 * than another I/O, and an I/O otherwise. The cost of an order is the sum of these over all
 * tokens. In bundles, the first I/O of a token included.
 *
 * Moving a segment of neighbours changes that sum at three junctions only; unless it goes no
 * further than a gap reaches, when all between has to be gone through. For the junctions it is
 * enough to know how far, at every token, the nearest wanted bundle is to the left and to the
 * right: two rows of bytes for each neuron (gap_rows.h), which a move changes only as far as
 * a gap may reach.
 *
 * Memory: 2 * n_neurons * n_tokens bytes. Reading is thread-safe while nobody moves anything.
 */
#ifndef COLINK_PLACEMENT_ARRANGEMENT_H
#define COLINK_PLACEMENT_ARRANGEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "placement/activity.h"
#include "placement/gap_rows.h"

struct arrangement {
	uint32_t n_neurons;
	size_t n_tokens; /* rounded up to GAP_ROW_ALIGN; those beyond want nothing */
	struct gap_cost cost;
	uint32_t reach; /* slots: a gap as long costs as much as an I/O */
	const struct gap_rows *rows;
	uint32_t *slot_to_neuron; /* (n_neurons) */
	uint32_t *neuron_to_slot; /* (n_neurons) */
	uint8_t *left; /* (n_neurons, n_tokens): from the neuron's end back to a wanted one */
	uint8_t *right; /* (n_neurons, n_tokens): from its begin on */
	uint8_t *nothing; /* (n_tokens): beyond the first and the last slot */
};

/* Where a segment may go: before `slot`, counted with the segment still where it was. */
struct arrangement_move {
	uint32_t first_slot;
	uint32_t n_slots;
	uint32_t slot;
	bool reversed;
};

/*
 * `wanted` has a bit for each bundle that has to be read; io_bundles says what an I/O costs,
 * in bundles (above 0; more than 127 counts as that). Nothing is kept of the arguments. The
 * caller calls arrangement_free(). Fails with -ENOMEM.
 */
int arrangement_create(const struct activity *wanted, const uint32_t *slot_to_neuron,
		       double io_bundles, struct arrangement **arrangement, struct error *err);
void arrangement_free(struct arrangement *arrangement);

/* Of all tokens, in units of 1 / cost.step bundles. */
uint64_t arrangement_cost(const struct arrangement *arrangement);

/* Bytes that arrangement_create() takes. */
uint64_t arrangement_bytes(uint32_t n_neurons, uint64_t n_tokens);

/* A segment's rows, for n_tokens tokens; the caller calls arrangement_segment_free(). */
int arrangement_segment_create(const struct arrangement *arrangement, struct gap_segment *segment,
			       struct error *err);
void arrangement_segment_free(struct gap_segment *segment);

/* Is the place outside of the segment and of `reach` to its sides: as by arrangement_insertion()? */
bool arrangement_can_move(const struct arrangement *arrangement,
			  const struct arrangement_move *move);

/*
 * What the segment (rows of the move's slots) costs tokens [begin, end) where it is, and
 * where the move takes it to. What a move gains is their difference over all tokens.
 */
uint64_t arrangement_removal(const struct arrangement *arrangement,
			     const struct gap_segment *segment, uint32_t first_slot, size_t begin,
			     size_t end);
uint64_t arrangement_insertion(const struct arrangement *arrangement,
			       const struct gap_segment *segment,
			       const struct arrangement_move *move, size_t begin, size_t end);

/* Is it outside of the segment, but within its reach? */
bool arrangement_is_near(const struct arrangement *arrangement,
			 const struct arrangement_move *move);

/*
 * What a near move gains of tokens [begin, end): all between is gone through, before and
 * after. `scratch` is (n_tokens).
 */
int64_t arrangement_near_gain(const struct arrangement *arrangement,
			      const struct arrangement_move *move, size_t begin, size_t end,
			      uint8_t *scratch);

void arrangement_apply(struct arrangement *arrangement, const struct arrangement_move *move);

/* The row of slots `first_slot` .. added one by one: see struct gap_rows. */
void arrangement_append(const struct arrangement *arrangement, uint32_t slot,
			struct gap_segment *segment);

#endif
