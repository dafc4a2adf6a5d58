// SPDX-License-Identifier: GPL-2.0-only
/* Every set of loops that this CPU can run gives what a plain loop gives. */
#include "helpers/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "placement/gap_rows.h"

/* More than one emptying of the 16-bit sums (gap_rows_impl.h). */
#define TOKENS (64 * 600)

static const char *const names[] = { "portable", "avx2", "avx512" };

static const struct gap_cost costs[] = { { 20, 12 }, { 20, 24 }, { 6, 111 }, { 1, 127 }, { 1, 1 } };

static uint8_t *random_row(struct random_state *random, struct gap_cost cost)
{
	uint8_t *row = aligned_alloc(GAP_ROW_ALIGN, TOKENS);

	assert_non_null(row);
	for (size_t t = 0; t < TOKENS; t++)
		row[t] = (uint8_t)(random_next(random) % 3 ? random_next(random) % (cost.io + 1u)
							   : 0);
	return row;
}

static uint32_t at_most(uint32_t value, uint32_t most)
{
	return value < most ? value : most;
}

static void follows(const struct gap_rows *rows, struct gap_cost cost, struct random_state *random)
{
	uint8_t *row = random_row(random, cost), *neighbour = random_row(random, cost);
	uint8_t *was = random_row(random, cost);

	memcpy(was, row, TOKENS);
	rows->follow(row, neighbour, cost, TOKENS);
	for (size_t t = 0; t < TOKENS; t++)
		assert_int_equal(row[t],
				 was[t] ? at_most(neighbour[t] + cost.step, cost.io) : 0);
	assert_false(rows->follow(row, neighbour, cost, TOKENS));
	/* One token alone, wherever it is, is a change. */
	for (int i = 0; i < 20; i++) {
		size_t t = random_next(random) % TOKENS;

		if (!row[t])
			continue;
		row[t] = (uint8_t)(row[t] == 1 ? 2 : row[t] - 1);
		assert_true(rows->follow(row, neighbour, cost, TOKENS));
	}
	free(row);
	free(neighbour);
	free(was);
}

static void sums_gaps(const struct gap_rows *rows, struct gap_cost cost,
		      struct random_state *random)
{
	uint8_t *row = random_row(random, cost), *neighbour = random_row(random, cost);
	uint64_t sum = 0;

	for (size_t t = 0; t < TOKENS; t++)
		sum += row[t] ? 0 : neighbour[t];
	assert_int_equal(rows->gaps_before(row, neighbour, TOKENS), sum);
	/* The largest sum that there can be. */
	memset(neighbour, cost.io, TOKENS);
	memset(row, 0, TOKENS);
	assert_int_equal(rows->gaps_before(row, neighbour, TOKENS), (uint64_t)TOKENS * cost.io);
	free(row);
	free(neighbour);
}

/* One more bundle between two places: what it costs whom, who takes it, and what all gain. */
static void copies(const struct gap_rows *rows, struct gap_cost cost, struct random_state *random)
{
	uint8_t *left = random_row(random, cost), *right = random_row(random, cost);
	uint8_t *row = random_row(random, cost), *paid = random_row(random, cost);
	uint8_t *read = aligned_alloc(GAP_ROW_ALIGN, TOKENS);
	int64_t gain = 0, most = 0;

	assert_non_null(read);
	memset(left, cost.io, TOKENS / 4);
	memset(right, cost.io, TOKENS / 4);
	memset(read, 0xaa, TOKENS);
	for (size_t t = 0; t < TOKENS; t++)
		paid[t] = (uint8_t)(paid[t] + t % 2 * cost.step);
	rows->reading(read, row, left, right, cost, TOKENS);
	gain = rows->copy_gain(left, right, paid, cost, TOKENS);
	rows->cheaper(row, left, right, paid, cost, TOKENS);
	for (size_t t = 0; t < TOKENS; t++) {
		uint32_t gaps = left[t] + right[t], without = at_most(gaps, cost.io);
		uint32_t over = at_most(gaps + cost.step, cost.io);
		uint32_t between = gaps + cost.step - over;

		assert_true(read[t] == 0xaa || read[t] == between);
		assert_int_equal(row[t], between < paid[t] ? 0 : cost.io);
		gain -= paid[t] > between ? paid[t] - between : 0;
		gain += over - without;
	}
	assert_int_equal(gain, 0);
	/* Again, into a row whose wanting is known; and the largest sums that there can be. */
	memset(read, 0xaa, TOKENS);
	rows->reading(read, row, left, right, cost, TOKENS);
	for (size_t t = 0; t < TOKENS; t++)
		assert_int_equal(read[t] == 0xaa, row[t] != 0);
	memset(left, 0, TOKENS);
	memset(paid, cost.io + cost.step, TOKENS);
	for (size_t t = 0; t < TOKENS; t++)
		right[t] = cost.io;
	most = cost.io + cost.step - cost.step;
	assert_int_equal(rows->copy_gain(left, right, paid, cost, TOKENS), (int64_t)TOKENS * most);
	free(left);
	free(right);
	free(row);
	free(paid);
	free(read);
}

static void passes(const struct gap_rows *rows, struct gap_cost cost, struct random_state *random)
{
	uint8_t *row = random_row(random, cost), *distance = random_row(random, cost);
	uint8_t *right = random_row(random, cost), *was = random_row(random, cost);
	uint64_t sum = 0;

	memset(distance, cost.io, TOKENS / 2);
	memset(right, cost.io, TOKENS / 3);
	memcpy(was, distance, TOKENS);
	for (size_t t = 0; t < TOKENS; t++)
		sum += at_most(distance[t] + right[t], cost.io);
	assert_int_equal(rows->junction(distance, right, cost, TOKENS), sum);
	sum = 0;
	for (size_t t = 0; t < TOKENS; t++)
		sum += row[t] ? 0 : distance[t];
	assert_int_equal(rows->pass(distance, row, cost, TOKENS), sum);
	for (size_t t = 0; t < TOKENS; t++)
		assert_int_equal(distance[t], row[t] ? at_most(was[t] + cost.step, cost.io) : 0);
	/* The largest sums that there can be. */
	memset(distance, cost.io, TOKENS);
	memset(row, 0, TOKENS);
	assert_int_equal(rows->junction(distance, row, cost, TOKENS), (uint64_t)TOKENS * cost.io);
	assert_int_equal(rows->pass(distance, row, cost, TOKENS), (uint64_t)TOKENS * cost.io);
	free(row);
	free(distance);
	free(right);
	free(was);
}

/* Segments of 1 to 5 slots: each slot's wanting is kept, and gone through plainly. */
static void inserts(const struct gap_rows *rows, struct gap_cost cost, struct random_state *random)
{
	struct gap_segment segment = { .before = random_row(random, cost),
				       .behind = random_row(random, cost),
				       .any = random_row(random, cost) };
	uint8_t *left = random_row(random, cost), *right = random_row(random, cost);
	uint8_t *slots[5];

	memset(left, cost.io, TOKENS / 4);
	memset(right, cost.io, TOKENS / 4);
	for (uint32_t n = 1; n <= 5; n++) {
		size_t begin = random_next(random) % 10 * 64, end = TOKENS - begin / 2 / 64 * 64;
		uint64_t sums[2] = { 0 };

		slots[n - 1] = random_row(random, cost);
		rows->append(&segment, slots[n - 1], cost, TOKENS);
		assert_int_equal(segment.n_slots, n);
		for (size_t t = begin; t < end; t++) {
			uint32_t first = 0, last = 0, way;

			for (; first < n && slots[first][t]; first++)
				;
			for (; last < n && slots[n - 1 - last][t]; last++)
				;
			for (way = 0; way < 2; way++) {
				uint32_t with = at_most(left[t] + right[t] + n * cost.step, cost.io);

				if (first < n)
					with = at_most(left[t] + (way ? last : first) * cost.step,
						       cost.io) +
					       at_most(right[t] + (way ? first : last) * cost.step,
						       cost.io);
				sums[way] += with - at_most(left[t] + right[t], cost.io);
			}
		}
		for (int way = 0; way < 2; way++)
			assert_int_equal(rows->insertion(left, right, &segment, way, cost, begin,
							 end), sums[way]);
	}
	for (int i = 0; i < 5; i++)
		free(slots[i]);
	free(segment.before);
	free(segment.behind);
	free(segment.any);
	free(left);
	free(right);
}

static void all_as_plain_loops(void **state)
{
	struct random_state random;

	(void)state;
	random_seed(&random, 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct gap_rows *rows = gap_rows_named(names[i]);

		if (!rows) {
			print_message("this CPU cannot run %s\n", names[i]);
			continue;
		}
		assert_string_equal(rows->name, names[i]);
		for (size_t c = 0; c < sizeof(costs) / sizeof(costs[0]); c++) {
			follows(rows, costs[c], &random);
			sums_gaps(rows, costs[c], &random);
			passes(rows, costs[c], &random);
			inserts(rows, costs[c], &random);
			copies(rows, costs[c], &random);
		}
	}
}

static void some_can_run(void **state)
{
	(void)state;
	assert_non_null(gap_rows_pick());
	assert_non_null(gap_rows_named("portable"));
	assert_null(gap_rows_named("none"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_as_plain_loops),
		cmocka_unit_test(some_can_run),
	};

	return cmocka_run_group_tests_name("gap_rows", tests, NULL, NULL);
}
