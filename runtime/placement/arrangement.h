/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An order of bundles that can be changed a little at a time, with what each change costs:
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
 * right: two rows of bytes for each bundle (gap_rows.h), which a move changes only as far as
 * a gap may reach.
 *
 * There is a bundle for each neuron, by the same number; and there may be more behind these,
 * copies, which are inserted one by one. A token that wants a neuron wants one of its bundles:
 * which one is the caller's choice. Moving is for arrangements without copies.
 *
 * Memory: 2 * (n_bundles + room for more) * n_tokens bytes. Reading is thread-safe while nobody
 * changes anything.
 */
#ifndef COLINK_PLACEMENT_ARRANGEMENT_H
#define COLINK_PLACEMENT_ARRANGEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "placement/activity.h"
#include "placement/gap_rows.h"

struct arrangement {
	uint32_t n_bundles;
	uint32_t capacity; /* bundles there is room for */
	size_t n_tokens; /* rounded up to GAP_ROW_ALIGN; those beyond want nothing */
	struct gap_cost cost;
	uint32_t reach; /* slots: a gap as long costs as much as an I/O */
	const struct gap_rows *rows;
	uint32_t *slot_to_bundle; /* (capacity) */
	uint32_t *bundle_to_slot; /* (capacity) */
	uint8_t *left; /* (capacity, n_tokens): from the bundle's end back to a wanted one */
	uint8_t *right; /* (capacity, n_tokens): from its begin on */
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
 * in bundles (above 0; more than 127 counts as that). `copies` may be inserted later. Nothing is
 * kept of the arguments. The caller calls arrangement_free(). Fails with -ENOMEM.
 */
int arrangement_create(const struct activity *wanted, const uint32_t *slot_to_neuron,
		       double io_bundles, uint32_t copies, struct arrangement **arrangement,
		       struct error *err);
void arrangement_free(struct arrangement *arrangement);

/* Of all tokens, in units of 1 / cost.step bundles. */
uint64_t arrangement_cost(const struct arrangement *arrangement);

/* Bytes that arrangement_create() takes, for so many bundles, copies included. */
uint64_t arrangement_bytes(uint32_t n_bundles, uint64_t n_tokens);

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

/*
 * What reading the bundle costs each token that wants it, itself included, compared to not
 * reading it: into `reading` (n_tokens, aligned as rows are). Other tokens' bytes stay.
 */
void arrangement_reading(const struct arrangement *arrangement, uint32_t bundle, uint8_t *reading);

/*
 * What all tokens gain by one more bundle before `slot`, if those pay for it for whom it is
 * cheaper than `reading`, what they pay now for the same neuron (0 for who does not want it).
 * The others read over it, or have to go around. Right if no bundle of the neuron is within
 * `reach`.
 */
int64_t arrangement_copy_gain(const struct arrangement *arrangement, uint32_t slot,
			      const uint8_t *reading);

/*
 * Insert that bundle: it gets the number n_bundles, which must be below `capacity`, and is
 * wanted by those tokens for which it is cheaper than `reading`. These have to give up the
 * bundle that they wanted so far.
 */
void arrangement_insert_copy(struct arrangement *arrangement, uint32_t slot,
			     const uint8_t *reading);

/* The bundle is not wanted any more by tokens that want the bundle `instead`. */
void arrangement_give_up(struct arrangement *arrangement, uint32_t bundle, uint32_t instead);

/*
 * Choose anew which bundles are wanted: nobody wants any, then each token that is said wants
 * that bundle, then all rows are put right, before which nothing else may be asked.
 */
void arrangement_want_nothing(struct arrangement *arrangement);
void arrangement_want(struct arrangement *arrangement, uint32_t bundle, size_t token);
void arrangement_renew(struct arrangement *arrangement);

#endif
