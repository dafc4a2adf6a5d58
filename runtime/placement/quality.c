// SPDX-License-Identifier: GPL-2.0-only
/* Token by token, the fired neurons as a set of slots, cut into runs and reads. */
#include "placement/quality.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "placement/trace_format.h"

struct totals {
	uint64_t wanted;
	uint64_t runs;
	uint64_t reads;
	uint64_t gap_bundles; /* read though not wanted */
	uint32_t run_length_max;
	uint64_t run_bundles[RUN_LENGTH_CLASSES]; /* wanted ones, by the class of their run */
};

_Static_assert(UINT32_C(1) << (RUN_LENGTH_CLASSES - 1) >= TRACE_MAX_NEURONS, "a run is a layer");

/* A run of no bundles is what there is before the first. */
static void add_run(struct totals *totals, uint32_t length)
{
	uint32_t class = length ? 31 - (uint32_t)__builtin_clz(length) : 0;

	totals->run_bundles[class] += length;
	if (length > totals->run_length_max)
		totals->run_length_max = length;
}

/* `wanted` is a set of slots. */
static void add_token(struct totals *totals, const uint64_t *wanted, size_t n, uint32_t gap)
{
	size_t after_last = 0;
	bool first = true;
	uint32_t run_length = 0;

	for (size_t slot = bits_next(wanted, n, 0); slot < n;
	     slot = bits_next(wanted, n, slot + 1)) {
		size_t distance = slot - after_last;

		if (first || distance) {
			add_run(totals, run_length);
			totals->runs++;
			run_length = 0;
		}
		if (first || distance > gap)
			totals->reads++;
		else
			totals->gap_bundles += distance;
		totals->wanted++;
		run_length++;
		after_last = slot + 1;
		first = false;
	}
	add_run(totals, run_length);
}

static void add_tokens(struct totals *totals, const struct activity *activity,
		       const uint32_t *neuron_to_slot, uint64_t *wanted, uint32_t gap)
{
	size_t n = activity->n_neurons;
	size_t words = bits_words(n);

	for (uint64_t t = 0; t < activity->n_tokens; t++) {
		const uint64_t *fired = activity->fired + t * words;

		memset(wanted, 0, words * sizeof(*wanted));
		for (size_t i = bits_next(fired, n, 0); i < n; i = bits_next(fired, n, i + 1))
			bits_set(wanted, neuron_to_slot[i]);
		add_token(totals, wanted, n, gap);
	}
}

int order_measure(const struct activity *activity, const uint32_t *slot_to_neuron, uint32_t gap,
		  struct order_quality *quality, struct error *err)
{
	uint32_t *neuron_to_slot = malloc(activity->n_neurons * sizeof(*neuron_to_slot));
	uint64_t *wanted = malloc(bits_words(activity->n_neurons) * sizeof(*wanted));
	struct totals totals = { 0 };
	double n_tokens = activity->n_tokens ? (double)activity->n_tokens : 1;
	int ret = 0;

	if (!neuron_to_slot || !wanted) {
		ret = error_no_memory(err, "measuring an order");
		goto out;
	}
	for (uint32_t slot = 0; slot < activity->n_neurons; slot++)
		neuron_to_slot[slot_to_neuron[slot]] = slot;
	add_tokens(&totals, activity, neuron_to_slot, wanted, gap);
	quality->wanted_per_token = (double)totals.wanted / n_tokens;
	quality->reads_per_token = (double)totals.reads / n_tokens;
	quality->bundles_per_token = (double)(totals.wanted + totals.gap_bundles) / n_tokens;
	quality->run_length_mean = totals.runs ? (double)totals.wanted / (double)totals.runs : 0;
	quality->run_length_max = totals.run_length_max;
	for (uint32_t class = 0; class < RUN_LENGTH_CLASSES; class++)
		quality->run_length_shares[class] =
			totals.wanted ? (double)totals.run_bundles[class] / (double)totals.wanted
				      : 0;
out:
	free(neuron_to_slot);
	free(wanted);
	return ret;
}
