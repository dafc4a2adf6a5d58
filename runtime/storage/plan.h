/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the slots that have to be read to the reads that bring them: neighbours
 * form runs, gaps shorter than the break-even gap are read over (collapse), and
 * long reads are split where one I/O may not be larger. Where one sweep from the
 * first wanted slot to the last is no dearer by the device cost, the plan is that
 * sweep: this is how a prompt's layers are read sequentially. A read begins and
 * ends with a wanted slot, whichever way it came about. Where slots have several
 * places, positions stand for slots here.
 */
#ifndef COLINK_STORAGE_PLAN_H
#define COLINK_STORAGE_PLAN_H

#include <stdint.h>

#include "base/error.h"
#include "storage/device.h"

struct plan_read {
	uint32_t first_slot;
	uint32_t n_slots;
};

struct plan {
	struct plan_read *reads; /* (n_reads): ascending, disjoint */
	uint32_t n_reads;
	uint32_t capacity; /* reads there is memory for */
	uint64_t bytes; /* slots read * stride */
	uint64_t wanted_bytes; /* without the gaps */
	uint32_t n_runs; /* runs of wanted slots, before collapse */
	double predicted_us; /* by the device cost */
};

struct plan_limits {
	struct device_cost cost;
	uint64_t gap_bytes; /* collapse gaps of at most this; 0: never, nor sweep */
	uint32_t stride; /* bytes of a bundle */
	uint32_t max_read_bytes; /* largest I/O; at least one bundle is always read */
};

/*
 * `wanted` is a bit set over [0, n_slots) (base/bits.h). plan->reads has
 * room for n_slots and is kept between calls: start from a zeroed struct,
 * end with plan_free(). Linear time. Fails with -ENOMEM, or -EINVAL for a stride
 * of 0; the plan is then empty.
 */
int plan_make(const uint64_t *wanted, uint32_t n_slots, const struct plan_limits *limits,
	      struct plan *plan, struct error *err);
void plan_free(struct plan *plan);

/* Bytes of plan->reads for layers of n_slots. */
uint64_t plan_bytes(uint32_t n_slots);

#endif
