// SPDX-License-Identifier: GPL-2.0-only
#include "placement/arrangement.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/amount.h"
#include "base/bits.h"

#define MAX_IO 127 /* see struct gap_cost */
/* Finer does not matter: a twentieth of an I/O. */
#define MAX_STEP 20

static uint8_t *row_of(const struct arrangement *arrangement, uint8_t *rows, uint32_t slot)
{
	return rows + (size_t)arrangement->slot_to_bundle[slot] * arrangement->n_tokens;
}

/* Of the place before `slot`. */
static const uint8_t *left_of(const struct arrangement *arrangement, uint32_t slot)
{
	return slot ? row_of(arrangement, arrangement->left, slot - 1) : arrangement->nothing;
}

static const uint8_t *right_from(const struct arrangement *arrangement, uint32_t slot)
{
	return slot < arrangement->n_bundles ? row_of(arrangement, arrangement->right, slot)
					     : arrangement->nothing;
}

/*
 * Rows to the left from `slot` on, and to the right from `slot - 1` back, after the order
 * has changed from `slot` to `end`: on as far as a row still changes.
 */
static void renew_left(struct arrangement *arrangement, uint32_t slot, uint32_t end)
{
	for (; slot < arrangement->n_bundles; slot++) {
		bool changed = arrangement->rows->follow(
			row_of(arrangement, arrangement->left, slot), left_of(arrangement, slot),
			arrangement->cost, arrangement->n_tokens);

		if (slot >= end && !changed)
			break;
	}
}

static void renew_right(struct arrangement *arrangement, uint32_t slot, uint32_t begin)
{
	while (slot-- > 0) {
		bool changed = arrangement->rows->follow(
			row_of(arrangement, arrangement->right, slot),
			right_from(arrangement, slot + 1), arrangement->cost,
			arrangement->n_tokens);

		if (slot < begin && !changed)
			break;
	}
}

static void set_cost(struct arrangement *arrangement, double io_bundles)
{
	double step = io_bundles < MAX_IO ? floor(MAX_IO / io_bundles) : 1;
	double io;

	if (step > MAX_STEP)
		step = MAX_STEP;
	io = rint(io_bundles * step);
	arrangement->cost.step = (uint8_t)step;
	arrangement->cost.io = (uint8_t)(io < 1 ? 1 : io > MAX_IO ? MAX_IO : io);
	arrangement->reach = (arrangement->cost.io + arrangement->cost.step - 1u) /
			     arrangement->cost.step;
}

/* Rows that say only what is wanted: 0, or an I/O. */
void arrangement_want_nothing(struct arrangement *arrangement)
{
	size_t bytes = arrangement->n_bundles * arrangement->n_tokens;

	memset(arrangement->left, arrangement->cost.io, bytes);
	memset(arrangement->right, arrangement->cost.io, bytes);
}

void arrangement_want(struct arrangement *arrangement, uint32_t bundle, size_t token)
{
	arrangement->left[bundle * arrangement->n_tokens + token] = 0;
	arrangement->right[bundle * arrangement->n_tokens + token] = 0;
}

void arrangement_renew(struct arrangement *arrangement)
{
	renew_left(arrangement, 0, arrangement->n_bundles);
	renew_right(arrangement, arrangement->n_bundles, 0);
}

static void set_wanted(struct arrangement *arrangement, const struct activity *wanted)
{
	size_t n = wanted->n_neurons, words = bits_words(n);

	arrangement_want_nothing(arrangement);
	for (uint64_t t = 0; t < wanted->n_tokens; t++) {
		const uint64_t *set = wanted->fired + t * words;

		for (size_t i = bits_next(set, n, 0); i < n; i = bits_next(set, n, i + 1))
			arrangement_want(arrangement, (uint32_t)i, t);
	}
}

static size_t row_tokens(uint64_t n_tokens)
{
	return (size_t)amount_round_up(n_tokens ? n_tokens : 1, GAP_ROW_ALIGN);
}

uint64_t arrangement_bytes(uint32_t n_bundles, uint64_t n_tokens)
{
	return 2 * (uint64_t)n_bundles * row_tokens(n_tokens);
}

int arrangement_create(const struct activity *wanted, const uint32_t *slot_to_neuron,
		       double io_bundles, uint32_t copies, struct arrangement **result,
		       struct error *err)
{
	struct arrangement *arrangement = calloc(1, sizeof(*arrangement));
	uint32_t n = wanted->n_neurons;
	size_t capacity = (size_t)n + copies;

	if (!arrangement)
		return error_no_memory(err, "an order of neurons");
	arrangement->n_bundles = n;
	arrangement->capacity = (uint32_t)capacity;
	arrangement->n_tokens = row_tokens(wanted->n_tokens);
	arrangement->rows = gap_rows_pick();
	set_cost(arrangement, io_bundles);
	arrangement->slot_to_bundle = malloc(capacity * sizeof(uint32_t));
	arrangement->bundle_to_slot = malloc(capacity * sizeof(uint32_t));
	arrangement->left = aligned_alloc(GAP_ROW_ALIGN, capacity * arrangement->n_tokens);
	arrangement->right = aligned_alloc(GAP_ROW_ALIGN, capacity * arrangement->n_tokens);
	arrangement->nothing = aligned_alloc(GAP_ROW_ALIGN, arrangement->n_tokens);
	if (!arrangement->slot_to_bundle || !arrangement->bundle_to_slot || !arrangement->left ||
	    !arrangement->right || !arrangement->nothing) {
		arrangement_free(arrangement);
		return error_set(err, -ENOMEM,
				 "out of memory: %llu MiB to search an order of %zu bundles by %llu "
				 "tokens",
				 (unsigned long long)arrangement_bytes((uint32_t)capacity,
								       wanted->n_tokens) >> 20,
				 capacity, (unsigned long long)wanted->n_tokens);
	}
	for (uint32_t slot = 0; slot < n; slot++) {
		arrangement->slot_to_bundle[slot] = slot_to_neuron[slot];
		arrangement->bundle_to_slot[slot_to_neuron[slot]] = slot;
	}
	memset(arrangement->nothing, arrangement->cost.io, arrangement->n_tokens);
	set_wanted(arrangement, wanted);
	arrangement_renew(arrangement);
	*result = arrangement;
	return 0;
}

void arrangement_free(struct arrangement *arrangement)
{
	if (!arrangement)
		return;
	free(arrangement->slot_to_bundle);
	free(arrangement->bundle_to_slot);
	free(arrangement->left);
	free(arrangement->right);
	free(arrangement->nothing);
	free(arrangement);
}

uint64_t arrangement_cost(const struct arrangement *arrangement)
{
	uint64_t cost = 0;

	for (uint32_t slot = 0; slot < arrangement->n_bundles; slot++)
		cost += arrangement->rows->gaps_before(row_of(arrangement, arrangement->left, slot),
						       left_of(arrangement, slot),
						       arrangement->n_tokens);
	return cost;
}

int arrangement_segment_create(const struct arrangement *arrangement, struct gap_segment *segment,
			       struct error *err)
{
	segment->n_slots = 0;
	segment->before = aligned_alloc(GAP_ROW_ALIGN, arrangement->n_tokens);
	segment->behind = aligned_alloc(GAP_ROW_ALIGN, arrangement->n_tokens);
	segment->any = aligned_alloc(GAP_ROW_ALIGN, arrangement->n_tokens);
	segment->scratch = aligned_alloc(GAP_ROW_ALIGN, arrangement->n_tokens);
	if (segment->scratch && segment->before && segment->behind && segment->any)
		return 0;
	arrangement_segment_free(segment);
	return error_no_memory(err, "neurons on the move");
}

void arrangement_segment_free(struct gap_segment *segment)
{
	free(segment->before);
	free(segment->behind);
	free(segment->any);
	free(segment->scratch);
	segment->before = segment->behind = segment->any = NULL;
}

void arrangement_append(const struct arrangement *arrangement, uint32_t slot,
			struct gap_segment *segment)
{
	arrangement->rows->append(segment, row_of(arrangement, arrangement->left, slot),
				  arrangement->cost, arrangement->n_tokens);
}

bool arrangement_can_move(const struct arrangement *arrangement,
			  const struct arrangement_move *move)
{
	uint64_t end = (uint64_t)move->first_slot + move->n_slots;

	return move->n_slots && end <= arrangement->n_bundles &&
	       move->slot <= arrangement->n_bundles &&
	       ((uint64_t)move->slot + arrangement->reach < move->first_slot ||
		move->slot > end + arrangement->reach);
}

uint64_t arrangement_removal(const struct arrangement *arrangement,
			     const struct gap_segment *segment, uint32_t first_slot, size_t begin,
			     size_t end)
{
	return arrangement->rows->insertion(left_of(arrangement, first_slot),
					    right_from(arrangement, first_slot + segment->n_slots),
					    segment, false, arrangement->cost, begin, end);
}

uint64_t arrangement_insertion(const struct arrangement *arrangement,
			       const struct gap_segment *segment,
			       const struct arrangement_move *move, size_t begin, size_t end)
{
	return arrangement->rows->insertion(left_of(arrangement, move->slot),
					    right_from(arrangement, move->slot), segment,
					    move->reversed, arrangement->cost, begin, end);
}

bool arrangement_is_near(const struct arrangement *arrangement,
			 const struct arrangement_move *move)
{
	uint64_t end = (uint64_t)move->first_slot + move->n_slots;

	return move->n_slots && end <= arrangement->n_bundles &&
	       move->slot <= arrangement->n_bundles &&
	       (move->slot < move->first_slot || move->slot > end) &&
	       !arrangement_can_move(arrangement, move);
}

/* Slots [from, to), one way or the other: what they cost, and the distance behind them. */
static uint64_t pass_slots(const struct arrangement *arrangement, uint32_t from, uint32_t to,
			   bool reversed, size_t begin, size_t end, uint8_t *distance)
{
	uint64_t cost = 0;

	for (uint32_t i = 0; i < to - from; i++)
		cost += arrangement->rows->pass(
			distance, row_of(arrangement, arrangement->left,
					 reversed ? to - 1 - i : from + i) + begin,
			arrangement->cost, end - begin);
	return cost;
}

int64_t arrangement_near_gain(const struct arrangement *arrangement,
			      const struct arrangement_move *move, size_t begin, size_t end,
			      uint8_t *scratch)
{
	uint32_t first = move->first_slot, behind = first + move->n_slots;
	uint32_t from = move->slot < first ? move->slot : first;
	uint32_t to = move->slot > behind ? move->slot : behind;
	const uint8_t *right = right_from(arrangement, to) + begin;
	uint64_t before, after = 0;

	memcpy(scratch, left_of(arrangement, from) + begin, end - begin);
	before = pass_slots(arrangement, from, to, false, begin, end, scratch);
	before += arrangement->rows->junction(scratch, right, arrangement->cost, end - begin);
	memcpy(scratch, left_of(arrangement, from) + begin, end - begin);
	if (move->slot < first)
		after += pass_slots(arrangement, first, behind, move->reversed, begin, end, scratch);
	after += pass_slots(arrangement, move->slot < first ? from : behind,
			    move->slot < first ? first : to, false, begin, end, scratch);
	if (move->slot > behind)
		after += pass_slots(arrangement, first, behind, move->reversed, begin, end, scratch);
	after += arrangement->rows->junction(scratch, right, arrangement->cost, end - begin);
	return (int64_t)(before - after);
}

static void reverse(uint32_t *slots, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t slot = slots[i];

		slots[i] = slots[n - 1 - i];
		slots[n - 1 - i] = slot;
	}
}

/* Swaps [begin, middle) with [middle, end), by three reversals. */
static void rotate(uint32_t *slots, uint32_t begin, uint32_t middle, uint32_t end)
{
	reverse(slots + begin, middle - begin);
	reverse(slots + middle, end - middle);
	reverse(slots + begin, end - begin);
}

void arrangement_apply(struct arrangement *arrangement, const struct arrangement_move *move)
{
	uint32_t *slots = arrangement->slot_to_bundle;
	uint32_t begin = move->first_slot, end = begin + move->n_slots;
	uint32_t from, to; /* where the segment stands now */

	if (move->reversed)
		reverse(slots + begin, move->n_slots);
	if (move->slot < begin) {
		rotate(slots, move->slot, begin, end);
		from = move->slot;
		begin = move->slot;
	} else {
		rotate(slots, begin, end, move->slot);
		from = move->slot - move->n_slots;
		end = move->slot;
	}
	to = from + move->n_slots;
	for (uint32_t slot = begin; slot < end; slot++)
		arrangement->bundle_to_slot[slots[slot]] = slot;
	/* The segment and what follows it; then what closed up behind where it was. */
	renew_left(arrangement, from, to);
	renew_right(arrangement, to, from);
	renew_left(arrangement, from == begin ? end : begin, 0);
	renew_right(arrangement, from == begin ? end : begin, arrangement->n_bundles);
}

void arrangement_reading(const struct arrangement *arrangement, uint32_t bundle, uint8_t *reading)
{
	uint32_t slot = arrangement->bundle_to_slot[bundle];

	arrangement->rows->reading(reading, row_of(arrangement, arrangement->left, slot),
				   left_of(arrangement, slot), right_from(arrangement, slot + 1),
				   arrangement->cost, arrangement->n_tokens);
}

int64_t arrangement_copy_gain(const struct arrangement *arrangement, uint32_t slot,
			      const uint8_t *reading)
{
	return arrangement->rows->copy_gain(left_of(arrangement, slot),
					    right_from(arrangement, slot), reading,
					    arrangement->cost, arrangement->n_tokens);
}

void arrangement_give_up(struct arrangement *arrangement, uint32_t bundle, uint32_t instead)
{
	uint8_t *left = arrangement->left + bundle * arrangement->n_tokens;
	uint8_t *right = arrangement->right + bundle * arrangement->n_tokens;
	const uint8_t *taken = arrangement->left + instead * arrangement->n_tokens;
	uint32_t slot = arrangement->bundle_to_slot[bundle];

	for (size_t t = 0; t < arrangement->n_tokens; t++)
		if (!taken[t] && !left[t])
			left[t] = right[t] = arrangement->cost.io;
	renew_left(arrangement, slot, slot + 1);
	renew_right(arrangement, slot + 1, slot);
}

void arrangement_insert_copy(struct arrangement *arrangement, uint32_t slot,
			     const uint8_t *reading)
{
	uint32_t bundle = arrangement->n_bundles, *slots = arrangement->slot_to_bundle;
	uint8_t *left = arrangement->left + bundle * arrangement->n_tokens;

	/* By its neighbours as they are before it stands between them. */
	arrangement->rows->cheaper(left, left_of(arrangement, slot), right_from(arrangement, slot),
				   reading, arrangement->cost, arrangement->n_tokens);
	memcpy(arrangement->right + bundle * arrangement->n_tokens, left, arrangement->n_tokens);
	arrangement->n_bundles++;
	memmove(slots + slot + 1, slots + slot, (bundle - slot) * sizeof(*slots));
	slots[slot] = bundle;
	for (uint32_t i = slot; i <= bundle; i++)
		arrangement->bundle_to_slot[slots[i]] = i;
	renew_left(arrangement, slot, slot + 1);
	renew_right(arrangement, slot + 1, slot);
}
