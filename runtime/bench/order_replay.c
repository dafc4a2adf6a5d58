// SPDX-License-Identifier: GPL-2.0-only
/*
 * A layer of a token: neurons become slots, the cache is asked for each, what it does not have
 * is planned, and what the plan would bring is offered to the cache. The engine asks for a layer
 * while another is still in use; here one ends before the next begins, which only pins differ by.
 */
#include "bench/order_replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/median.h"
#include "storage/cache.h"
#include "storage/plan.h"

/* As of the engine's reads: larger I/Os gain nothing on flash. */
#define MAX_READ_BYTES (1u << 20)

struct counts {
	uint64_t reads, bundles, wanted, missed, missed_runs;
	uint64_t runs_by_length[ORDER_REPLAY_LENGTHS];
};

struct order_replay {
	uint32_t n_layers, n_neurons;
	uint32_t warm_up, max_tokens;
	struct plan_limits limits;
	uint32_t *slot_of; /* (n_layers, n_neurons): neuron -> slot */
	struct cache *cache;
	struct plan plan;
	uint64_t *wanted, *missing; /* of a layer: sets of slots */
	uint32_t n_tokens;
	double *device_us; /* (max_tokens): of each token */
	struct counts counts; /* of the tokens that count */
};

int order_replay_check(const struct order_replay_options *options, struct error *err)
{
	if (!(options->cache_ratio >= 0 && options->cache_ratio <= 1))
		return error_set(err, -EINVAL, "a cache ratio of %g: has to be from 0 to 1",
				 options->cache_ratio);
	if (!device_cost_is_possible(options->cost))
		return error_set(err, -EINVAL,
				 "no device costs %g us an I/O and %g us a MiB: up to 1e6, and "
				 "from 1 to 1e9, can be",
				 options->cost.a_us, options->cost.b_us_per_mib);
	return 0;
}

/* slot_of of all layers; `frequency` is by neuron, the result by slot. */
static void through_order(struct order_replay *replay, const struct order_replay_model *model,
			  const uint32_t *slot_to_neuron, float *by_slot)
{
	for (uint32_t layer = 0; layer < model->n_layers; layer++) {
		size_t first = (size_t)layer * model->n_neurons;

		for (uint32_t slot = 0; slot < model->n_neurons; slot++) {
			uint32_t neuron = slot_to_neuron[first + slot];

			replay->slot_of[first + neuron] = slot;
			if (by_slot)
				by_slot[first + slot] = model->frequency[first + neuron];
		}
	}
}

static int create_cache(struct order_replay *replay, const struct order_replay_options *options,
			const float *frequency, struct error *err)
{
	double n_bundles = (double)replay->n_layers * replay->n_neurons;
	struct cache_options cache = {
		.n_layers = replay->n_layers,
		.slots = replay->n_neurons,
		.stride = options->bundle_bytes,
		.capacity = (uint64_t)(options->cache_ratio * n_bundles),
		.frequency = frequency,
		.break_even_bytes = device_break_even_bytes(options->cost),
		.hollow = true,
	};

	return cache_create(&cache, &replay->cache, err);
}

double order_replay_io_bundles(const struct order_replay_options *options)
{
	double bytes = options->cost.a_us / options->cost.b_us_per_mib * 1048576;

	return bytes > 0 ? bytes / options->bundle_bytes : 0.01;
}

int order_replay_create(const struct order_replay_options *options,
			const struct order_replay_model *model, const uint32_t *slot_to_neuron,
			struct order_replay **result, struct error *err)
{
	size_t n_bundles = (size_t)model->n_layers * model->n_neurons;
	size_t words = bits_words(model->n_neurons);
	struct order_replay *replay = calloc(1, sizeof(*replay));
	float *by_slot = NULL;
	int ret = 0;

	if (!replay)
		return error_no_memory(err, "replaying tokens");
	*replay = (struct order_replay){
		.n_layers = model->n_layers,
		.n_neurons = model->n_neurons,
		.warm_up = options->warm_up,
		.max_tokens = options->max_tokens,
		.limits = {
			.cost = options->cost,
			.gap_bytes = device_break_even_bytes(options->cost),
			.stride = options->bundle_bytes,
			.max_read_bytes = MAX_READ_BYTES,
		},
		.slot_of = calloc(n_bundles, sizeof(*replay->slot_of)),
		.wanted = calloc(words, sizeof(*replay->wanted)),
		.missing = calloc(words, sizeof(*replay->missing)),
		.device_us = calloc((size_t)options->max_tokens + 1, sizeof(*replay->device_us)),
	};
	if (model->frequency)
		by_slot = calloc(n_bundles, sizeof(*by_slot));
	if (!replay->slot_of || !replay->wanted || !replay->missing || !replay->device_us ||
	    (model->frequency && !by_slot))
		ret = error_no_memory(err, "replaying tokens");
	if (ret == 0) {
		through_order(replay, model, slot_to_neuron, by_slot);
		ret = create_cache(replay, options, by_slot, err);
	}
	free(by_slot);
	if (ret < 0)
		order_replay_free(replay);
	else
		*result = replay;
	return ret;
}

void order_replay_free(struct order_replay *replay)
{
	if (!replay)
		return;
	cache_destroy(replay->cache);
	plan_free(&replay->plan);
	free(replay->slot_of);
	free(replay->wanted);
	free(replay->missing);
	free(replay->device_us);
	free(replay);
}

static void note_run(struct counts *counts, size_t length)
{
	unsigned int power = 63 - (unsigned int)__builtin_clzll(length);

	counts->runs_by_length[power < ORDER_REPLAY_LENGTHS ? power : ORDER_REPLAY_LENGTHS - 1]++;
}

/* Look up what is wanted: what is missing stays to be read. */
static void look_up(struct order_replay *replay, uint32_t layer, struct counts *counts)
{
	size_t n = replay->n_neurons, run_begin = 0, run_end = 0;

	memset(replay->missing, 0, bits_words(n) * sizeof(*replay->missing));
	cache_begin(replay->cache);
	for (size_t slot = bits_next(replay->wanted, n, 0); slot < n;
	     slot = bits_next(replay->wanted, n, slot + 1)) {
		if (slot != run_end) {
			if (run_end > run_begin)
				note_run(counts, run_end - run_begin);
			run_begin = slot;
		}
		run_end = slot + 1;
		counts->wanted++;
		if (!cache_lookup(replay->cache, layer, (uint32_t)slot))
			bits_set(replay->missing, slot);
	}
	if (run_end > run_begin)
		note_run(counts, run_end - run_begin);
}

static void unpin(struct order_replay *replay, uint32_t layer)
{
	size_t n = replay->n_neurons;

	for (size_t slot = bits_next(replay->wanted, n, 0); slot < n;
	     slot = bits_next(replay->wanted, n, slot + 1))
		if (!bits_test(replay->missing, slot))
			cache_unpin(replay->cache, layer, (uint32_t)slot);
}

/* What the planned read would bring. */
static void offer(struct order_replay *replay, uint32_t layer, const struct plan_read *planned)
{
	size_t end = (size_t)planned->first_slot + planned->n_slots;
	struct cache_read read = { .slots = planned->n_slots };

	for (size_t slot = planned->first_slot; slot < end; slot++)
		read.bundles += bits_test(replay->missing, slot);
	for (size_t slot = bits_next(replay->missing, end, planned->first_slot); slot < end;
	     slot = bits_next(replay->missing, end, slot + 1))
		cache_admit(replay->cache, layer, (uint32_t)slot, "", read);
}

static int replay_layer(struct order_replay *replay, uint32_t layer, const uint64_t *fired,
			double *device_us, struct counts *counts, struct error *err)
{
	const uint32_t *slot_of = replay->slot_of + (size_t)layer * replay->n_neurons;
	size_t n = replay->n_neurons;
	const struct plan *plan = &replay->plan;
	int ret;

	memset(replay->wanted, 0, bits_words(n) * sizeof(*replay->wanted));
	for (size_t i = bits_next(fired, n, 0); i < n; i = bits_next(fired, n, i + 1))
		bits_set(replay->wanted, slot_of[i]);
	look_up(replay, layer, counts);
	ret = plan_make(replay->missing, replay->n_neurons, &replay->limits, &replay->plan, err);
	if (ret < 0)
		return ret;
	unpin(replay, layer);
	for (uint32_t i = 0; i < plan->n_reads; i++)
		offer(replay, layer, &plan->reads[i]);
	counts->reads += plan->n_reads;
	counts->bundles += plan->bytes / replay->limits.stride;
	counts->missed += plan->wanted_bytes / replay->limits.stride;
	counts->missed_runs += plan->n_runs;
	*device_us += plan->predicted_us;
	return 0;
}

int order_replay_token(struct order_replay *replay, const uint64_t *fired, struct error *err)
{
	double *device_us = &replay->device_us[replay->n_tokens];
	size_t words = bits_words(replay->n_neurons);

	if (replay->n_tokens == replay->max_tokens)
		return error_set(err, -EINVAL, "more than the %u tokens that were to be replayed",
				 replay->max_tokens);
	*device_us = 0;
	for (uint32_t layer = 0; layer < replay->n_layers; layer++) {
		int ret = replay_layer(replay, layer, fired + layer * words, device_us,
				       &replay->counts, err);

		if (ret < 0)
			return ret;
	}
	replay->n_tokens++;
	if (replay->n_tokens <= replay->warm_up)
		replay->counts = (struct counts){ 0 };
	return 0;
}

static double ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

void order_replay_finish(struct order_replay *replay, struct order_cost *cost)
{
	const struct counts *counts = &replay->counts;
	double *device_us = replay->device_us + replay->warm_up;
	uint64_t runs = 0;
	double n, sum = 0;

	*cost = (struct order_cost){ 0 };
	if (replay->n_tokens <= replay->warm_up)
		return;
	cost->tokens = replay->n_tokens - replay->warm_up;
	n = cost->tokens;
	for (uint32_t i = 0; i < cost->tokens; i++)
		sum += device_us[i];
	cost->device_us = sum / n;
	cost->device_us_median = median(device_us, cost->tokens); /* sorts them */
	cost->device_us_p99 = percentile(device_us, cost->tokens, 0.99);
	for (int i = 0; i < ORDER_REPLAY_LENGTHS; i++) {
		cost->runs_by_length[i] = (double)counts->runs_by_length[i] / n;
		runs += counts->runs_by_length[i];
	}
	cost->reads = (double)counts->reads / n;
	cost->bundles = (double)counts->bundles / n;
	cost->wanted = (double)counts->wanted / n;
	cost->missed = (double)counts->missed / n;
	cost->missed_run_length = ratio((double)counts->missed, (double)counts->missed_runs);
	cost->cache_hit_share =
		ratio((double)(counts->wanted - counts->missed), (double)counts->wanted);
	cost->runs = (double)runs / n;
	cost->run_length = ratio((double)counts->wanted, (double)runs);
}
