/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rows of bytes over tokens, and what placing a segment between two neighbours costs by
 * them: the inner loops of arrangement.c, compiled for several instruction sets. All give
 * the same numbers.
 *
 * Costs are small integers: a gap of g bundles costs g * step, at most `io`. A row says for
 * each token what the gap from a place to the nearest wanted bundle costs, so that a byte is
 * enough and the sum of two rows is what the gap across a junction costs.
 */
#ifndef COLINK_PLACEMENT_GAP_ROWS_H
#define COLINK_PLACEMENT_GAP_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows are a multiple of this long, and begin at one. */
#define GAP_ROW_ALIGN 64

struct gap_cost {
	uint8_t step; /* of each bundle of a gap, 1 to io or so */
	uint8_t io; /* of an I/O: the most that a gap costs; 1 to 127, so that two fit a byte */
};

/* Neighbours on their way to another place: by token, where in them a wanted bundle is. */
struct gap_segment {
	uint8_t *before; /* what the bundles before the first wanted one cost */
	uint8_t *behind; /* and those behind the last */
	uint8_t *any; /* 0xff where one is wanted at all, else 0: the other two say nothing */
	uint8_t *scratch; /* for whatever is judged with it */
	uint32_t n_slots;
};

struct gap_rows {
	const char *name;

	/*
	 * The row of a place from that of its neighbour: 0 where the bundle is wanted, which
	 * is where `row` is 0 already, else one step more than the neighbour's. Has it changed?
	 */
	bool (*follow)(uint8_t *row, const uint8_t *neighbour, struct gap_cost cost, size_t n);

	/* One more slot at the segment's end; it is wanted where `row` is 0. */
	void (*append)(struct gap_segment *segment, const uint8_t *row, struct gap_cost cost,
		       size_t n);

	/*
	 * What tokens [begin, end) cost more when the segment stands between a place whose row to
	 * the left is `left` and one whose row to the right is `right`. Never negative.
	 */
	uint64_t (*insertion)(const uint8_t *left, const uint8_t *right,
			      const struct gap_segment *segment, bool reversed,
			      struct gap_cost cost, size_t begin, size_t end);

	/*
	 * What reading a bundle between such places costs, itself included: one more bundle, and
	 * two gaps, rather than one gap that is longer by the bundle; never negative, and below
	 * io + step. Of tokens that want it (`row` is 0); the others' bytes stay.
	 */
	void (*reading)(uint8_t *cost_of, const uint8_t *row, const uint8_t *left,
			const uint8_t *right, struct gap_cost cost, size_t n);

	/* 0 where that cost is less than `reading`, else io: the row of who then wants it. */
	void (*cheaper)(uint8_t *row, const uint8_t *left, const uint8_t *right,
			const uint8_t *reading, struct gap_cost cost, size_t n);

	/* What that is less, summed; minus how much gaps grow by one more bundle within them. */
	int64_t (*copy_gain)(const uint8_t *left, const uint8_t *right, const uint8_t *reading,
			     struct gap_cost cost, size_t n);

	/*
	 * Of tokens that want the bundle (`row` is 0): the gap before it, `distance`. Then distance
	 * is that behind the bundle.
	 */
	uint64_t (*pass)(uint8_t *distance, const uint8_t *row, struct gap_cost cost, size_t n);

	/* What the gaps between two places cost. */
	uint64_t (*junction)(const uint8_t *left, const uint8_t *right, struct gap_cost cost, size_t n);

	/* Of tokens that want the bundle (`row` is 0): the gap before it, by its neighbour's. */
	uint64_t (*gaps_before)(const uint8_t *row, const uint8_t *neighbour, size_t n);
};

/* The best of this CPU; "portable" by that name. NULL when the CPU cannot. */
const struct gap_rows *gap_rows_pick(void);
const struct gap_rows *gap_rows_named(const char *name);

#endif
