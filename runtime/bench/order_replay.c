// SPDX-License-Identifier: GPL-2.0-only
/*
 * A layer of a token: neurons become bundles, the cache is asked for each, what it does not have
 * is planned, and what the plan would bring is offered to the cache. The engine asks for a layer
 * while another is still in use; here one ends before the next begins, which only pins differ by.
 *
 * A bundle here is what the cache numbers: by the neurons' first places on disk, so that without
 * copies bundle and slot are the same, and with them what comes first is still asked for first.
 */
#include "bench/order_replay.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/clock.h"
#include "base/median.h"
#include "base/ratio.h"
#include "model/place_choice.h"
#include "model/places.h"
#include "storage/cache.h"
#include "storage/plan.h"

/* As of the engine's reads: larger I/Os gain nothing on flash. */
#define MAX_READ_BYTES (1u << 20)

struct counts {
	uint64_t reads, bundles, wanted, missed, missed_runs;
	uint64_t runs_by_length[ORDER_REPLAY_LENGTHS];
	double choice_ms;
};

struct order_replay {
	uint32_t n_layers, n_neurons, n_slots;
	uint32_t warm_up, max_tokens;
	struct plan_limits limits;
	double io_bundles;
	uint32_t *bundle_of; /* (n_layers, n_neurons): neuron -> bundle */
	uint32_t *slot_to_bundle; /* (n_layers, n_slots) */
	struct places *places; /* (n_layers): of bundles; NULL without copies */
	struct place_choice choice;
	struct cache *cache;
	struct plan plan;
	uint64_t *wanted, *missing; /* of a layer: sets of bundles */
	uint64_t *slots; /* what is read for one of them: a set of slots */
	uint32_t prompt_tokens;
	uint64_t *prompt; /* (n_layers, words of n_neurons): what its tokens want so far */
	uint32_t n_gathered; /* tokens of it */
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

/* Bundles of a layer, numbered by first places; `frequency` is by neuron, the result by bundle. */
static int number_bundles(struct order_replay *replay, const uint32_t *slot_to_neuron,
			  const float *frequency, uint32_t *bundle_of, uint32_t *slot_to_bundle,
			  float *by_bundle, struct error *err)
{
	uint32_t n_bundles = 0;

	for (uint32_t i = 0; i < replay->n_neurons; i++)
		bundle_of[i] = UINT32_MAX;
	for (uint32_t slot = 0; slot < replay->n_slots; slot++) {
		uint32_t neuron = slot_to_neuron[slot];

		slot_to_bundle[slot] = PLACES_NO_NEURON;
		if (neuron == PLACES_NO_NEURON)
			continue;
		if (neuron >= replay->n_neurons)
			return error_set(err, -EINVAL, "slot %u is said to have neuron %u of %u",
					 slot, neuron, replay->n_neurons);
		if (bundle_of[neuron] == UINT32_MAX) {
			if (frequency)
				by_bundle[n_bundles] = frequency[neuron];
			bundle_of[neuron] = n_bundles++;
		}
		slot_to_bundle[slot] = bundle_of[neuron];
	}
	return n_bundles == replay->n_neurons ? 0 :
	       error_set(err, -EINVAL, "%u of %u neurons have no place",
			 replay->n_neurons - n_bundles, replay->n_neurons);
}

/* All layers. */
static int through_order(struct order_replay *replay, const struct order_replay_model *model,
			 const uint32_t *slot_to_neuron, float *by_bundle, struct error *err)
{
	int ret = 0;

	for (uint32_t layer = 0; ret == 0 && layer < model->n_layers; layer++) {
		size_t first = (size_t)layer * model->n_neurons;
		uint32_t *slot_to_bundle = replay->slot_to_bundle + (size_t)layer * replay->n_slots;

		ret = number_bundles(replay, slot_to_neuron + (size_t)layer * replay->n_slots,
				     model->frequency ? model->frequency + first : NULL,
				     replay->bundle_of + first, slot_to_bundle,
				     by_bundle ? by_bundle + first : NULL, err);
		if (ret == 0 && replay->places)
			ret = places_create(slot_to_bundle, replay->n_slots, replay->n_neurons,
					    &replay->places[layer], err);
	}
	return ret;
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

static bool has_copies(const struct order_replay *replay)
{
	return replay->n_slots > replay->n_neurons;
}

static int allocate(struct order_replay *replay, struct error *err)
{
	size_t words = bits_words(replay->n_neurons);

	replay->bundle_of = calloc((size_t)replay->n_layers * replay->n_neurons, sizeof(uint32_t));
	replay->slot_to_bundle = calloc((size_t)replay->n_layers * replay->n_slots,
					sizeof(uint32_t));
	replay->wanted = calloc(words, sizeof(*replay->wanted));
	replay->missing = calloc(words, sizeof(*replay->missing));
	replay->slots = calloc(bits_words(replay->n_slots), sizeof(*replay->slots));
	replay->prompt = calloc(replay->n_layers * words, sizeof(*replay->prompt));
	replay->device_us = calloc((size_t)replay->max_tokens + 1, sizeof(*replay->device_us));
	if (!replay->bundle_of || !replay->slot_to_bundle || !replay->wanted || !replay->missing ||
	    !replay->slots || !replay->prompt || !replay->device_us)
		return error_no_memory(err, "replaying tokens");
	if (!has_copies(replay))
		return 0;
	replay->places = calloc(replay->n_layers, sizeof(*replay->places));
	if (!replay->places)
		return error_no_memory(err, "replaying tokens");
	return place_choice_create(replay->n_neurons, &replay->choice, err);
}

int order_replay_create(const struct order_replay_options *options,
			const struct order_replay_model *model, const uint32_t *slot_to_neuron,
			struct order_replay **result, struct error *err)
{
	size_t n_bundles = (size_t)model->n_layers * model->n_neurons;
	struct order_replay *replay = calloc(1, sizeof(*replay));
	float *by_bundle = NULL;
	int ret;

	if (!replay)
		return error_no_memory(err, "replaying tokens");
	*replay = (struct order_replay){
		.n_layers = model->n_layers,
		.n_neurons = model->n_neurons,
		.n_slots = model->n_slots,
		.io_bundles = order_replay_io_bundles(options),
		.prompt_tokens = options->prompt_tokens,
		.warm_up = options->warm_up,
		.max_tokens = options->max_tokens,
		.limits = {
			.cost = options->cost,
			.gap_bytes = device_break_even_bytes(options->cost),
			.stride = options->bundle_bytes,
			.max_read_bytes = MAX_READ_BYTES,
		},
	};
	if (model->frequency)
		by_bundle = calloc(n_bundles, sizeof(*by_bundle));
	ret = allocate(replay, err);
	if (ret == 0 && model->frequency && !by_bundle)
		ret = error_no_memory(err, "replaying tokens");
	if (ret == 0)
		ret = through_order(replay, model, slot_to_neuron, by_bundle, err);
	if (ret == 0)
		ret = create_cache(replay, options, by_bundle, err);
	free(by_bundle);
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
	for (uint32_t layer = 0; replay->places && layer < replay->n_layers; layer++)
		places_free(&replay->places[layer]);
	free(replay->places);
	place_choice_free(&replay->choice);
	free(replay->bundle_of);
	free(replay->slot_to_bundle);
	free(replay->wanted);
	free(replay->missing);
	free(replay->slots);
	free(replay->prompt);
	free(replay->device_us);
	free(replay);
}

static void note_run(struct counts *counts, size_t length)
{
	unsigned int power = 63 - (unsigned int)__builtin_clzll(length);

	counts->runs_by_length[power < ORDER_REPLAY_LENGTHS ? power : ORDER_REPLAY_LENGTHS - 1]++;
}

/* Where bundles are read from. */
static const uint64_t *choose(struct order_replay *replay, uint32_t layer, const uint64_t *bundles)
{
	if (!has_copies(replay))
		return bundles;
	place_choice_make(&replay->choice, &replay->places[layer], bundles, replay->io_bundles,
			  replay->slots);
	return replay->slots;
}

/* As if there were no cache. */
static void note_runs(struct order_replay *replay, uint32_t layer, struct counts *counts)
{
	const uint64_t *slots = choose(replay, layer, replay->wanted);
	size_t n = replay->n_slots, begin = 0, end = 0;

	for (size_t slot = bits_next(slots, n, 0); slot < n; slot = bits_next(slots, n, slot + 1)) {
		if (slot != end) {
			if (end > begin)
				note_run(counts, end - begin);
			begin = slot;
		}
		end = slot + 1;
	}
	if (end > begin)
		note_run(counts, end - begin);
}

/* Look up what is wanted: what is missing stays to be read. */
static void look_up(struct order_replay *replay, uint32_t layer, struct counts *counts)
{
	size_t n = replay->n_neurons;

	memset(replay->missing, 0, bits_words(n) * sizeof(*replay->missing));
	cache_begin(replay->cache);
	for (size_t i = bits_next(replay->wanted, n, 0); i < n;
	     i = bits_next(replay->wanted, n, i + 1)) {
		counts->wanted++;
		if (!cache_lookup(replay->cache, layer, (uint32_t)i))
			bits_set(replay->missing, i);
	}
}

static void unpin(struct order_replay *replay, uint32_t layer)
{
	size_t n = replay->n_neurons;

	for (size_t i = bits_next(replay->wanted, n, 0); i < n;
	     i = bits_next(replay->wanted, n, i + 1))
		if (!bits_test(replay->missing, i))
			cache_unpin(replay->cache, layer, (uint32_t)i);
}

/* What the planned read would bring of `slots`. */
static void offer(struct order_replay *replay, uint32_t layer, const uint64_t *slots,
		  const struct plan_read *planned)
{
	const uint32_t *slot_to_bundle = replay->slot_to_bundle + (size_t)layer * replay->n_slots;
	size_t end = (size_t)planned->first_slot + planned->n_slots;
	struct cache_read read = { .slots = planned->n_slots };

	for (size_t slot = planned->first_slot; slot < end; slot++)
		read.bundles += bits_test(slots, slot);
	for (size_t slot = bits_next(slots, end, planned->first_slot); slot < end;
	     slot = bits_next(slots, end, slot + 1))
		cache_admit(replay->cache, layer, slot_to_bundle[slot], "", read);
}

static int replay_layer(struct order_replay *replay, uint32_t layer, const uint64_t *fired,
			double *device_us, struct counts *counts, struct error *err)
{
	const uint32_t *bundle_of = replay->bundle_of + (size_t)layer * replay->n_neurons;
	size_t n = replay->n_neurons;
	const struct plan *plan = &replay->plan;
	const uint64_t *slots;
	double begin_ms;
	int ret;

	memset(replay->wanted, 0, bits_words(n) * sizeof(*replay->wanted));
	for (size_t i = bits_next(fired, n, 0); i < n; i = bits_next(fired, n, i + 1))
		bits_set(replay->wanted, bundle_of[i]);
	note_runs(replay, layer, counts);
	look_up(replay, layer, counts);
	begin_ms = clock_ms();
	slots = choose(replay, layer, replay->missing);
	if (has_copies(replay))
		counts->choice_ms += clock_ms() - begin_ms;
	ret = plan_make(slots, replay->n_slots, &replay->limits, &replay->plan, err);
	if (ret < 0)
		return ret;
	unpin(replay, layer);
	for (uint32_t i = 0; i < plan->n_reads; i++)
		offer(replay, layer, slots, &plan->reads[i]);
	counts->reads += plan->n_reads;
	counts->bundles += plan->bytes / replay->limits.stride;
	counts->missed += plan->wanted_bytes / replay->limits.stride;
	counts->missed_runs += plan->n_runs;
	*device_us += plan->predicted_us;
	return 0;
}

static int replay_token(struct order_replay *replay, const uint64_t *fired, struct error *err)
{
	double *device_us = &replay->device_us[replay->n_tokens];
	size_t words = bits_words(replay->n_neurons);

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

/* All of a prompt's tokens together, once they are there. */
static int gather(struct order_replay *replay, const uint64_t *fired, struct error *err)
{
	size_t words = replay->n_layers * bits_words(replay->n_neurons);
	int ret;

	for (size_t i = 0; i < words; i++)
		replay->prompt[i] |= fired[i];
	if (++replay->n_gathered < replay->prompt_tokens)
		return 0;
	ret = replay_token(replay, replay->prompt, err);
	memset(replay->prompt, 0, words * sizeof(*replay->prompt));
	replay->n_gathered = 0;
	return ret;
}

int order_replay_token(struct order_replay *replay, const uint64_t *fired, struct error *err)
{
	if (replay->n_tokens == replay->max_tokens)
		return error_set(err, -EINVAL, "more than the %u tokens that were to be replayed",
				 replay->max_tokens);
	return replay->prompt_tokens > 1 ? gather(replay, fired, err) :
					   replay_token(replay, fired, err);
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
	cost->choice_us = counts->choice_ms * 1e3 / n;
	cost->run_length = ratio((double)counts->wanted, (double)runs);
}
