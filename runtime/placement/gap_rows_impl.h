/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loops of gap_rows.h, for the compiler to make vectors of: included by each file that
 * is compiled for an instruction set, which defines GAP_ROWS and GAP_ROWS_NAME.
 */
#include <string.h>

#include "placement/gap_rows_private.h"

#define LANES GAP_ROW_ALIGN
/* Rounds after which sums of 16 bits are emptied: 255 at a time do not reach 65536. */
#define ROUNDS 256

static inline uint8_t least(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

/* Where sums of 16 bits that begin at a token have to be emptied. */
static inline size_t round_end(size_t begin, size_t n)
{
	return n - begin < LANES * ROUNDS ? n : begin + LANES * ROUNDS;
}

static inline uint64_t sum_lanes(const uint16_t *lanes)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < LANES; i++)
		sum += lanes[i];
	return sum;
}

static bool follow(uint8_t *restrict row, const uint8_t *restrict neighbour, struct gap_cost cost,
		   size_t n)
{
	const uint8_t step = cost.step, io = cost.io;
	uint8_t changed = 0;

	for (size_t t = 0; t < n; t++) {
		uint8_t next = least((uint8_t)(neighbour[t] + step), io);

		next = row[t] ? next : 0;
		changed |= next ^ row[t];
		row[t] = next;
	}
	return changed;
}

static void append(struct gap_segment *segment, const uint8_t *restrict row, struct gap_cost cost,
		   size_t n)
{
	const uint8_t step = cost.step, io = cost.io;
	const uint32_t inner = segment->n_slots * step;
	const uint8_t before = inner < io ? (uint8_t)inner : io;
	uint8_t *restrict first = segment->before, *restrict last = segment->behind;
	uint8_t *restrict any = segment->any;

	if (segment->n_slots++ == 0) {
		memset(first, 0, n);
		memset(last, 0, n);
		memset(any, 0, n);
	}
	for (size_t t = 0; t < n; t++) {
		uint8_t wanted = row[t] ? 0 : 0xff;

		first[t] = any[t] ? first[t] : before;
		last[t] = wanted ? 0 : least((uint8_t)(last[t] + step), io);
		any[t] |= wanted;
	}
}

static uint64_t insertion(const uint8_t *restrict left, const uint8_t *restrict right,
			  const struct gap_segment *segment, bool reversed, struct gap_cost cost,
			  size_t begin, size_t end)
{
	const uint8_t *restrict before = reversed ? segment->behind : segment->before;
	const uint8_t *restrict behind = reversed ? segment->before : segment->behind;
	const uint8_t *restrict any = segment->any;
	const uint8_t io = cost.io;
	const uint32_t length = segment->n_slots * cost.step;
	const uint8_t through = length < io ? (uint8_t)length : io;
	uint64_t sum = 0;

	while (begin < end) {
		size_t stop = round_end(begin, end);
		uint16_t sums[LANES] = { 0 };

		for (size_t t = begin; t < stop; t += LANES)
			for (size_t i = t; i < t + LANES; i++) {
				uint8_t without = least((uint8_t)(left[i] + right[i]), io);
				uint8_t unwanted = least((uint8_t)(without + through), io);
				uint8_t wanted = (uint8_t)(
					least((uint8_t)(left[i] + before[i]), io) +
					least((uint8_t)(behind[i] + right[i]), io));
				uint8_t with = (uint8_t)((wanted & any[i]) |
							 (unwanted & (uint8_t)~any[i]));

				sums[i - t] = (uint16_t)(sums[i - t] + (uint8_t)(with - without));
			}
		sum += sum_lanes(sums);
		begin = stop;
	}
	return sum;
}

/*
 * left + right + step, less what the gap costs when nothing between is wanted: the least of
 * that and io. That is max(gaps, io - step) - (io - step), in bytes that do not run over, since
 * two rows fit one; `more` is there where a step is more than an I/O.
 */
struct between {
	uint8_t free, more;
};

static inline struct between between_of(struct gap_cost cost)
{
	return cost.io > cost.step ? (struct between){ (uint8_t)(cost.io - cost.step), 0 } :
				     (struct between){ 0, (uint8_t)(cost.step - cost.io) };
}

static inline uint8_t reading_between(uint8_t gaps, uint8_t free, uint8_t more)
{
	uint8_t most = gaps > free ? gaps : free;

	return (uint8_t)(most - free + more);
}

static void reading(uint8_t *restrict cost_of, const uint8_t *restrict row,
		    const uint8_t *restrict left, const uint8_t *restrict right,
		    struct gap_cost cost, size_t n)
{
	const struct between between = between_of(cost);
	const uint8_t free = between.free, more = between.more;

	for (size_t t = 0; t < n; t++) {
		uint8_t costs = reading_between((uint8_t)(left[t] + right[t]), free, more);

		cost_of[t] = row[t] ? cost_of[t] : costs;
	}
}

static void cheaper(uint8_t *restrict row, const uint8_t *restrict left,
		    const uint8_t *restrict right, const uint8_t *restrict paid,
		    struct gap_cost cost, size_t n)
{
	const struct between between = between_of(cost);
	const uint8_t free = between.free, more = between.more, io = cost.io;

	for (size_t t = 0; t < n; t++) {
		uint8_t costs = reading_between((uint8_t)(left[t] + right[t]), free, more);

		row[t] = costs < paid[t] ? 0 : io;
	}
}

/* By lanes, what a token saves is summed with what a gap grows less than by a step: both >= 0. */
static int64_t copy_gain(const uint8_t *restrict left, const uint8_t *restrict right,
			 const uint8_t *restrict paid, struct gap_cost cost, size_t n)
{
	const struct between between = between_of(cost);
	const uint8_t free = between.free, more = between.more, step = cost.step, io = cost.io;
	uint64_t sum = 0;

	for (size_t begin = 0; begin < n; begin += LANES * ROUNDS) {
		size_t stop = round_end(begin, n);
		uint16_t sums[LANES] = { 0 };

		for (size_t t = begin; t < stop; t += LANES)
			for (size_t i = t; i < t + LANES; i++) {
				uint8_t gaps = (uint8_t)(left[i] + right[i]);
				uint8_t costs = reading_between(gaps, free, more);
				uint8_t most = paid[i] > costs ? paid[i] : costs;
				uint8_t grows = least((uint8_t)(io - least(gaps, io)), step);
				uint8_t both = (uint8_t)((uint8_t)(most - costs) +
							 (uint8_t)(step - grows));

				sums[i - t] = (uint16_t)(sums[i - t] + both);
			}
		sum += sum_lanes(sums);
	}
	return (int64_t)sum - (int64_t)n * step;
}

static uint64_t gaps_before(const uint8_t *restrict row, const uint8_t *restrict neighbour, size_t n)
{
	uint64_t sum = 0;

	for (size_t begin = 0; begin < n; begin += LANES * ROUNDS) {
		size_t stop = round_end(begin, n);
		uint16_t sums[LANES] = { 0 };

		for (size_t t = begin; t < stop; t += LANES)
			for (size_t i = t; i < t + LANES; i++)
				sums[i - t] = (uint16_t)(sums[i - t] + (row[i] ? 0 : neighbour[i]));
		sum += sum_lanes(sums);
	}
	return sum;
}

static uint64_t pass(uint8_t *restrict distance, const uint8_t *restrict row, struct gap_cost cost,
		     size_t n)
{
	const uint8_t step = cost.step, io = cost.io;
	uint64_t sum = 0;

	for (size_t begin = 0; begin < n; begin += LANES * ROUNDS) {
		size_t stop = round_end(begin, n);
		uint16_t sums[LANES] = { 0 };

		for (size_t t = begin; t < stop; t += LANES)
			for (size_t i = t; i < t + LANES; i++) {
				uint8_t next = least((uint8_t)(distance[i] + step), io);

				sums[i - t] = (uint16_t)(sums[i - t] + (row[i] ? 0 : distance[i]));
				distance[i] = row[i] ? next : 0;
			}
		sum += sum_lanes(sums);
	}
	return sum;
}

static uint64_t junction(const uint8_t *restrict left, const uint8_t *restrict right,
			 struct gap_cost cost, size_t n)
{
	const uint8_t io = cost.io;
	uint64_t sum = 0;

	for (size_t begin = 0; begin < n; begin += LANES * ROUNDS) {
		size_t stop = round_end(begin, n);
		uint16_t sums[LANES] = { 0 };

		for (size_t t = begin; t < stop; t += LANES)
			for (size_t i = t; i < t + LANES; i++)
				sums[i - t] = (uint16_t)(sums[i - t] +
							 least((uint8_t)(left[i] + right[i]), io));
		sum += sum_lanes(sums);
	}
	return sum;
}

const struct gap_rows GAP_ROWS = {
	.name = GAP_ROWS_NAME,
	.follow = follow,
	.append = append,
	.insertion = insertion,
	.reading = reading,
	.cheaper = cheaper,
	.copy_gain = copy_gain,
	.gaps_before = gaps_before,
	.pass = pass,
	.junction = junction,
};
