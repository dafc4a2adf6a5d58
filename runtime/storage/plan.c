// SPDX-License-Identifier: GPL-2.0-only
/*
 * Greedy from the left: a run joins the read before it when the gap is short
 * enough and at least one of its slots still fits into that read; what does not
 * fit starts the next read. For a given set of gaps to read over this needs the
 * fewest reads, and no read carries a gap at either end.
 *
 * Each gap is judged on its own, against the break-even gap (arXiv 2410.19274:
 * access collapse). The sweep is judged as a whole, since many gaps
 * that are too long one by one may still cost less than the I/Os they save when
 * the limit on a read's size forces I/Os anyway.
 */
#include "storage/plan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/bits.h"

/* The smallest slot >= from that is not wanted, or n_slots. */
static uint32_t run_end(const uint64_t *wanted, uint32_t n_slots, uint32_t from)
{
	size_t word = from / 64;
	uint64_t rest = ~wanted[word] & ~UINT64_C(0) << (from % 64);
	size_t end;

	while (!rest) {
		if (++word == bits_words(n_slots))
			return n_slots;
		rest = ~wanted[word];
	}
	end = word * 64 + (size_t)__builtin_ctzll(rest);
	return end < n_slots ? (uint32_t)end : n_slots;
}

/* Room for as many reads as there can be: every one has a wanted slot. */
static int reserve(struct plan *plan, uint32_t n_slots, struct error *err)
{
	if (n_slots <= plan->capacity)
		return 0;
	plan_free(plan);
	plan->reads = malloc(plan_bytes(n_slots));
	if (!plan->reads)
		return error_no_memory(err, "the plan of a layer's reads");
	plan->capacity = n_slots;
	return 0;
}

/* Put the run [begin, end) into reads of at most max_slots: fill the last one, then start more. */
static void add_run(struct plan *plan, uint32_t begin, uint32_t end, uint64_t gap_slots,
		    uint32_t max_slots)
{
	if (plan->n_reads) {
		struct plan_read *last = &plan->reads[plan->n_reads - 1];
		uint32_t gap = begin - (last->first_slot + last->n_slots);
		uint32_t to_end = end - last->first_slot;

		if (gap <= gap_slots && begin - last->first_slot < max_slots) {
			last->n_slots = to_end < max_slots ? to_end : max_slots;
			begin = last->first_slot + last->n_slots;
		}
	}
	while (begin < end) {
		uint32_t part = end - begin < max_slots ? end - begin : max_slots;

		plan->reads[plan->n_reads++] = (struct plan_read){ begin, part };
		begin += part;
	}
}

static void collapse(const uint64_t *wanted, uint32_t n_slots, const struct plan_limits *limits,
		     uint64_t gap_slots, struct plan *plan)
{
	uint32_t max_slots = limits->max_read_bytes / limits->stride;
	uint64_t wanted_slots = 0, read_slots = 0;
	size_t begin;

	if (max_slots == 0)
		max_slots = 1;
	plan->n_reads = 0;
	plan->n_runs = 0;
	for (begin = bits_next(wanted, n_slots, 0); begin < n_slots;) {
		uint32_t end = run_end(wanted, n_slots, (uint32_t)begin);

		add_run(plan, (uint32_t)begin, end, gap_slots, max_slots);
		plan->n_runs++;
		wanted_slots += end - begin;
		begin = bits_next(wanted, n_slots, end);
	}
	for (uint32_t i = 0; i < plan->n_reads; i++)
		read_slots += plan->reads[i].n_slots;
	plan->bytes = read_slots * limits->stride;
	plan->wanted_bytes = wanted_slots * limits->stride;
	plan->predicted_us = device_time_us(limits->cost, plan->n_reads, plan->bytes);
}

/* Would reading everything between the first and the last wanted slot cost no more? */
static bool sweep_is_no_dearer(const struct plan *plan, const struct plan_limits *limits)
{
	const struct plan_read *last = &plan->reads[plan->n_reads - 1];
	uint64_t span = (uint64_t)last->first_slot + last->n_slots - plan->reads[0].first_slot;
	uint32_t max_slots = limits->max_read_bytes / limits->stride;
	uint64_t reads = max_slots ? (span + max_slots - 1) / max_slots : span;

	return device_time_us(limits->cost, reads, span * limits->stride) <= plan->predicted_us;
}

int plan_make(const uint64_t *wanted, uint32_t n_slots, const struct plan_limits *limits,
	      struct plan *plan, struct error *err)
{
	int ret;

	plan->n_reads = 0;
	if (limits->stride == 0)
		return error_set(err, -EINVAL, "a bundle of 0 bytes cannot be planned");
	ret = reserve(plan, n_slots, err);
	if (ret < 0)
		return ret;
	collapse(wanted, n_slots, limits, limits->gap_bytes / limits->stride, plan);
	if (limits->gap_bytes && plan->n_reads > 1 && sweep_is_no_dearer(plan, limits))
		collapse(wanted, n_slots, limits, n_slots, plan);
	return 0;
}

uint64_t plan_bytes(uint32_t n_slots)
{
	return n_slots * (uint64_t)sizeof(struct plan_read);
}

void plan_free(struct plan *plan)
{
	free(plan->reads);
	*plan = (struct plan){ 0 };
}
