// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plans against a model that walks slot by slot, against the cheapest plan there
 * is (found by dynamic programming), and at the exact limits.
 */
#include "helpers/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "storage/plan.h"

#define MAX_SLOTS 300
#define STRIDE 1024

struct model {
	struct plan_read reads[MAX_SLOTS];
	uint32_t n_reads;
	uint64_t slots_read;
};

static void model_collapse(const uint64_t *wanted, uint32_t n_slots, uint64_t gap_slots,
			   uint32_t max_slots, struct model *model)
{
	int64_t last = -1;

	model->n_reads = 0;
	model->slots_read = 0;
	for (uint32_t slot = 0; slot < n_slots; slot++) {
		struct plan_read *read = &model->reads[model->n_reads];

		if (!bits_test(wanted, slot))
			continue;
		if (last >= 0 && slot - last - 1 <= (int64_t)gap_slots &&
		    slot - read[-1].first_slot < max_slots)
			read[-1].n_slots = slot - read[-1].first_slot + 1;
		else
			model->reads[model->n_reads++] = (struct plan_read){ slot, 1 };
		last = slot;
	}
	for (uint32_t i = 0; i < model->n_reads; i++)
		model->slots_read += model->reads[i].n_slots;
}

static void model_plan(const uint64_t *wanted, uint32_t n_slots, const struct plan_limits *limits,
		       struct model *model)
{
	uint32_t max_slots = limits->max_read_bytes / limits->stride;
	uint64_t span, sweep_reads;

	if (max_slots == 0)
		max_slots = 1;
	model_collapse(wanted, n_slots, limits->gap_bytes / limits->stride, max_slots, model);
	if (model->n_reads < 2 || limits->gap_bytes == 0)
		return;
	span = model->reads[model->n_reads - 1].first_slot +
	       model->reads[model->n_reads - 1].n_slots - model->reads[0].first_slot;
	sweep_reads = (span + max_slots - 1) / max_slots;
	if (device_time_us(limits->cost, sweep_reads, span * limits->stride) <=
	    device_time_us(limits->cost, model->n_reads, model->slots_read * limits->stride))
		model_collapse(wanted, n_slots, n_slots, max_slots, model);
}

static uint32_t count_runs(const uint64_t *wanted, uint32_t n_slots)
{
	uint32_t runs = 0;

	for (uint32_t slot = 0; slot < n_slots; slot++)
		runs += bits_test(wanted, slot) && (slot == 0 || !bits_test(wanted, slot - 1));
	return runs;
}

static void check_plan(const uint64_t *wanted, uint32_t n_slots, const struct plan_limits *limits,
		       struct plan *plan)
{
	struct model model;
	struct error err;

	assert_ok(plan_make(wanted, n_slots, limits, plan, &err), &err);
	model_plan(wanted, n_slots, limits, &model);
	assert_int_equal(plan->n_reads, model.n_reads);
	if (model.n_reads)
		assert_memory_equal(plan->reads, model.reads,
				    model.n_reads * sizeof(model.reads[0]));
	assert_int_equal(plan->bytes, model.slots_read * limits->stride);
	assert_int_equal(plan->wanted_bytes,
			 bits_count(wanted, bits_words(n_slots)) * limits->stride);
	assert_int_equal(plan->n_runs, count_runs(wanted, n_slots));
	assert_true(plan->predicted_us ==
		    device_time_us(limits->cost, plan->n_reads, plan->bytes));
}

static void random_set(struct random_state *random, uint64_t *set, uint32_t n_slots)
{
	double density = random_unit(random);
	double stay = random_unit(random);
	bool on = false;

	memset(set, 0, bits_words(MAX_SLOTS) * sizeof(*set));
	density *= density; /* sparse ones more often */
	for (uint32_t slot = 0; slot < n_slots; slot++) {
		if (random_unit(random) >= stay)
			on = random_unit(random) < density;
		if (on)
			bits_set(set, slot);
	}
}

static void random_sets_match_the_model(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 63, 64, 65, 128, 129, 250, MAX_SLOTS };
	uint64_t wanted[(MAX_SLOTS + 63) / 64];
	struct plan plan = { 0 };
	struct random_state random;

	(void)state;
	random_seed(&random, 1);
	for (int round = 0; round < 5000; round++) {
		uint32_t n_slots = sizes[random_below(&random, sizeof(sizes) / sizeof(sizes[0]))];
		struct plan_limits limits = {
			.cost = DEVICE_COST_UFS4,
			.gap_bytes = random_below(&random, 40) * STRIDE / 2,
			.stride = STRIDE,
			.max_read_bytes = (uint32_t)random_below(&random, 64) * STRIDE / 2,
		};

		random_set(&random, wanted, n_slots);
		check_plan(wanted, n_slots, &limits, &plan);
	}
	plan_free(&plan);
	assert_null(plan.reads);
}

/* Where no read is too large, collapsing at the break-even gap is the cheapest plan. */
static void break_even_gap_is_the_cheapest(void **state)
{
	const struct plan_limits limits = {
		.cost = { .a_us = 4, .b_us_per_mib = 1024 }, /* exactly 4 bundles */
		.gap_bytes = 4 * STRIDE,
		.stride = STRIDE,
		.max_read_bytes = 1u << 20,
	};
	uint64_t wanted[(MAX_SLOTS + 63) / 64];
	struct plan plan = { 0 };
	struct random_state random;
	struct error err;

	(void)state;
	assert_int_equal(device_break_even_bytes(limits.cost), limits.gap_bytes);
	random_seed(&random, 2);
	for (int round = 0; round < 500; round++) {
		double cost[MAX_SLOTS + 1]; /* of everything wanted before a slot */

		random_set(&random, wanted, MAX_SLOTS);
		cost[0] = 0;
		for (uint32_t end = 1; end <= MAX_SLOTS; end++) {
			cost[end] = bits_test(wanted, end - 1) ? 1e30 : cost[end - 1];
			for (uint32_t begin = 0; begin < end; begin++) {
				double with = cost[begin] + device_time_us(limits.cost, 1,
									   (end - begin) * STRIDE);

				if (with < cost[end])
					cost[end] = with;
			}
		}
		assert_ok(plan_make(wanted, MAX_SLOTS, &limits, &plan, &err), &err);
		assert_true(plan.predicted_us > cost[MAX_SLOTS] - 1e-6 &&
			    plan.predicted_us < cost[MAX_SLOTS] + 1e-6);
	}
	plan_free(&plan);
}

static void set_slots(uint64_t *set, uint32_t begin, uint32_t end)
{
	for (uint32_t slot = begin; slot < end; slot++)
		bits_set(set, slot);
}

static void gap_at_the_limit_is_read_over(void **state)
{
	/* I/Os are free here: only the limit says what is read over. */
	struct plan_limits limits = {
		.cost = { .a_us = 0, .b_us_per_mib = 1 },
		.gap_bytes = 16 * STRIDE,
		.stride = STRIDE,
		.max_read_bytes = 1u << 20,
	};
	uint64_t wanted[4] = { 0 };
	struct plan plan = { 0 };
	struct error err;

	(void)state;
	set_slots(wanted, 10, 20);
	set_slots(wanted, 36, 40); /* a gap of 16 */
	set_slots(wanted, 57, 58); /* a gap of 17 */
	assert_ok(plan_make(wanted, 200, &limits, &plan, &err), &err);
	assert_int_equal(plan.n_reads, 2);
	assert_int_equal(plan.n_runs, 3);
	assert_int_equal(plan.reads[0].first_slot, 10);
	assert_int_equal(plan.reads[0].n_slots, 30);
	assert_int_equal(plan.reads[1].first_slot, 57);
	assert_int_equal(plan.bytes, 31 * STRIDE);
	assert_int_equal(plan.wanted_bytes, 15 * STRIDE);

	limits.gap_bytes--;
	assert_ok(plan_make(wanted, 200, &limits, &plan, &err), &err);
	assert_int_equal(plan.n_reads, 3);
	plan_free(&plan);
}

static void long_reads_are_split_at_wanted_slots(void **state)
{
	struct plan_limits limits = {
		.cost = { .a_us = 0, .b_us_per_mib = 1 },
		.gap_bytes = 2 * STRIDE,
		.stride = STRIDE,
		.max_read_bytes = 11 * STRIDE + STRIDE - 1,
	};
	uint64_t wanted[4] = { 0 };
	struct plan plan = { 0 };
	struct error err;

	(void)state;
	set_slots(wanted, 0, 10);
	set_slots(wanted, 12, 30); /* the first read would end in the gap before it */
	assert_ok(plan_make(wanted, 200, &limits, &plan, &err), &err);
	assert_int_equal(plan.n_reads, 3);
	assert_int_equal(plan.reads[0].n_slots, 10);
	assert_int_equal(plan.reads[1].first_slot, 12);
	assert_int_equal(plan.reads[1].n_slots, 11);
	assert_int_equal(plan.reads[2].first_slot, 23);
	assert_int_equal(plan.reads[2].n_slots, 7);

	limits.max_read_bytes = 1; /* one bundle is always read */
	assert_ok(plan_make(wanted, 200, &limits, &plan, &err), &err);
	assert_int_equal(plan.n_reads, 28);
	plan_free(&plan);
}

static void dense_layer_becomes_a_sweep(void **state)
{
	/* An I/O costs as much as three bundles, so every gap of 4 is too long by itself. */
	struct plan_limits limits = {
		.cost = { .a_us = 3, .b_us_per_mib = 1024 },
		.gap_bytes = 3 * STRIDE,
		.stride = STRIDE,
		.max_read_bytes = 100 * STRIDE,
	};
	uint64_t wanted[4] = { 0 };
	struct plan plan = { 0 };
	struct error err;

	(void)state;
	for (uint32_t slot = 5; slot < 200; slot += 5)
		bits_set(wanted, slot);
	assert_ok(plan_make(wanted, 200, &limits, &plan, &err), &err);
	assert_int_equal(plan.n_reads, 39);

	limits.cost.a_us = 4.2; /* 39 * 5.2 us against 2 * 4.2 + 191 us */
	assert_ok(plan_make(wanted, 200, &limits, &plan, &err), &err);
	assert_int_equal(plan.n_reads, 2);
	assert_int_equal(plan.reads[0].first_slot, 5);
	assert_int_equal(plan.reads[0].n_slots, 96); /* up to the last wanted one */
	assert_int_equal(plan.reads[1].first_slot, 105);
	assert_int_equal(plan.reads[1].n_slots, 91);

	limits.gap_bytes = 0; /* gaps are never read over */
	assert_ok(plan_make(wanted, 200, &limits, &plan, &err), &err);
	assert_int_equal(plan.n_reads, 39);
	plan_free(&plan);
}

static void nothing_wanted_and_no_stride(void **state)
{
	struct plan_limits limits = { .cost = DEVICE_COST_UFS4, .gap_bytes = 1, .stride = STRIDE };
	uint64_t wanted[4] = { 0 };
	struct plan plan = { 0 };
	struct error err;

	(void)state;
	assert_ok(plan_make(wanted, 200, &limits, &plan, &err), &err);
	assert_int_equal(plan.n_reads, 0);
	assert_int_equal(plan.bytes, 0);
	assert_true(plan.predicted_us == 0);
	limits.stride = 0;
	assert_true(plan_make(wanted, 200, &limits, &plan, &err) < 0);
	plan_free(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(break_even_gap_is_the_cheapest),
		cmocka_unit_test(dense_layer_becomes_a_sweep),
		cmocka_unit_test(gap_at_the_limit_is_read_over),
		cmocka_unit_test(long_reads_are_split_at_wanted_slots),
		cmocka_unit_test(nothing_wanted_and_no_stride),
		cmocka_unit_test(random_sets_match_the_model),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
