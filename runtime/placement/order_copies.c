// SPDX-License-Identifier: GPL-2.0-only
/*
 * For each neuron: by whom is it missed together, at the tokens that pay much for it where it
 * is? Beside these a copy is tried, and what it would gain is exact (placement/arrangement.h).
 * Gains of the others hardly change when one copy is placed, and mostly fall; so the best few
 * are asked again, by all threads, and those placed that are still as good as what the rest had
 * when it was last asked. The result does not depend on the number of threads.
 *
 * A token that a new copy does not help goes on reading what it read. After each stage of some
 * copies all tokens choose anew, as they will in use (model/place_choice.h).
 *
 * Copies are placed one at a time: neurons that gain only if several of them stand together
 * elsewhere, too, are not found.
 */
#include "placement/order_copies.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/amount.h"
#include "base/bits.h"
#include "model/place_choice.h"
#include "placement/arrangement.h"
#include "placement/order_best_private.h"
#include "placement/residency.h"

#define BATCH 32
/* Neurons beside which a copy is tried. */
#define FRIENDS 24
/* A stage places copies of one in so many neurons. */
#define STAGE_PART 16
/* A token pays much from this share of an I/O on, in tenths. */
#define DEAR_TENTHS 6
/* As good as another: so many per cent of it. */
#define AS_GOOD 98
#define NO_BUNDLE UINT32_MAX

/* A copy that might be placed. */
struct candidate {
	uint32_t neuron;
	uint32_t beside; /* the bundle before which it goes, or behind which */
	bool behind;
	int64_t gain; /* when it was last asked; 0: none is found */
};

/* For one neuron at a time. */
struct scratch {
	uint8_t *reading; /* (n_tokens): what each token pays for it */
	uint32_t *together; /* (n_neurons): how often missed with it by tokens that pay much */
};

struct copying {
	const struct activity *missed;
	double io_bundles;
	struct arrangement *arrangement;
	uint32_t *neuron_of; /* (capacity): of each bundle */
	uint32_t *next_of; /* (capacity): another bundle of the same neuron, or NO_BUNDLE */
	struct candidate *best; /* (n_neurons): of each */
	uint32_t batch[BATCH]; /* neurons */
	uint32_t n_batch;
	struct scratch scratch[BATCH];
	/* To choose anew. */
	struct place_choice choice;
	uint32_t *neuron_at; /* (capacity): by position */
	uint64_t *positions; /* set of the capacity */
};

/* What tokens pay for the neuron: each wants one of its bundles, or none. */
static void measure_reading(const struct copying *copying, uint32_t neuron, uint8_t *reading)
{
	memset(reading, 0, copying->arrangement->n_tokens);
	for (uint32_t bundle = neuron; bundle != NO_BUNDLE; bundle = copying->next_of[bundle])
		arrangement_reading(copying->arrangement, bundle, reading);
}

static void count_together(const struct copying *copying, struct scratch *scratch)
{
	uint32_t dear = copying->arrangement->cost.io * DEAR_TENTHS / 10u;
	size_t n = copying->missed->n_neurons, words = bits_words(n);

	memset(scratch->together, 0, n * sizeof(*scratch->together));
	for (uint64_t t = 0; t < copying->missed->n_tokens; t++) {
		const uint64_t *set = copying->missed->fired + t * words;

		if (scratch->reading[t] <= dear)
			continue;
		for (size_t i = bits_next(set, n, 0); i < n; i = bits_next(set, n, i + 1))
			scratch->together[i]++;
	}
}

/* The n that are most often together with the neuron, but for itself; ties: the lower index. */
static uint32_t find_friends(const struct copying *copying, uint32_t neuron,
			     const struct scratch *scratch, uint32_t *friends, uint32_t n)
{
	const uint32_t *together = scratch->together;
	uint32_t found = 0;

	for (uint32_t i = 0; i < copying->missed->n_neurons; i++) {
		uint32_t at;

		if (i == neuron || !together[i] ||
		    (found == n && together[i] <= together[friends[n - 1]]))
			continue;
		at = found < n ? found++ : n - 1;
		for (; at > 0 && together[friends[at - 1]] < together[i]; at--)
			friends[at] = friends[at - 1];
		friends[at] = i;
	}
	return found;
}

/* Is one of the neuron's bundles as near as that a gap may reach from one to the other? */
static bool is_near(const struct copying *copying, uint32_t neuron, uint32_t slot)
{
	const struct arrangement *arrangement = copying->arrangement;

	for (uint32_t bundle = neuron; bundle != NO_BUNDLE; bundle = copying->next_of[bundle]) {
		uint64_t at = arrangement->bundle_to_slot[bundle];

		if (at < (uint64_t)slot + arrangement->reach && slot <= at + arrangement->reach)
			return true;
	}
	return false;
}

/* By the tokens' present costs in `reading`; 0: better not. */
static int64_t measure_gain(const struct copying *copying, const struct candidate *candidate,
			    const uint8_t *reading)
{
	uint32_t slot = copying->arrangement->bundle_to_slot[candidate->beside] + candidate->behind;
	int64_t gain;

	if (is_near(copying, candidate->neuron, slot))
		return 0;
	gain = arrangement_copy_gain(copying->arrangement, slot, reading);
	return gain > 0 ? gain : 0;
}

static void try_beside(const struct copying *copying, uint32_t friend, const uint8_t *reading,
		       struct candidate *best)
{
	struct candidate tried = { .neuron = best->neuron };

	for (uint32_t bundle = friend; bundle != NO_BUNDLE; bundle = copying->next_of[bundle])
		for (int behind = 0; behind < 2; behind++) {
			tried.beside = bundle;
			tried.behind = behind;
			tried.gain = measure_gain(copying, &tried, reading);
			if (tried.gain > best->gain)
				*best = tried;
		}
}

static void find_best(const struct copying *copying, uint32_t neuron, struct scratch *scratch,
		      struct candidate *best)
{
	uint32_t friends[FRIENDS], n;

	*best = (struct candidate){ .neuron = neuron };
	measure_reading(copying, neuron, scratch->reading);
	count_together(copying, scratch);
	n = find_friends(copying, neuron, scratch, friends, FRIENDS);
	for (uint32_t i = 0; i < n; i++)
		try_beside(copying, friends[i], scratch->reading, best);
}

static void find_some(void *arg, size_t begin, size_t end)
{
	struct copying *copying = arg;

	for (size_t i = begin; i < end; i++)
		find_best(copying, copying->batch[i], &copying->scratch[i],
			  &copying->best[copying->batch[i]]);
}

/* Of all neurons. */
static void find_all(struct copying *copying, struct thread_pool *pool, const atomic_bool *stop)
{
	uint32_t n = copying->missed->n_neurons;

	for (uint32_t neuron = 0; neuron < n && !order_best_stopped(stop);) {
		for (copying->n_batch = 0; neuron < n && copying->n_batch < BATCH; neuron++)
			copying->batch[copying->n_batch++] = neuron;
		thread_pool_run(pool, copying->n_batch, 1, find_some, copying);
	}
}

/* Into the batch, ordered by gain (ties: the lower index), unless it is full of better ones. */
static void into_batch(struct copying *copying, uint32_t neuron, int64_t *best_of_rest)
{
	const struct candidate *best = copying->best;
	uint32_t at = copying->n_batch;

	if (at == BATCH && best[copying->batch[BATCH - 1]].gain >= best[neuron].gain) {
		if (best[neuron].gain > *best_of_rest)
			*best_of_rest = best[neuron].gain;
		return;
	}
	if (at == BATCH)
		*best_of_rest = best[copying->batch[--at]].gain;
	else
		copying->n_batch++;
	for (; at > 0 && best[copying->batch[at - 1]].gain < best[neuron].gain; at--)
		copying->batch[at] = copying->batch[at - 1];
	copying->batch[at] = neuron;
}

/* The neurons whose copies gain most, as far as is known; returns the gain of the next one. */
static int64_t pick_batch(struct copying *copying)
{
	int64_t best_of_rest = 0;

	copying->n_batch = 0;
	for (uint32_t neuron = 0; neuron < copying->missed->n_neurons; neuron++)
		if (copying->best[neuron].gain > 0)
			into_batch(copying, neuron, &best_of_rest);
	return best_of_rest;
}

/* After they were asked again. */
static void sort_batch(struct copying *copying)
{
	uint32_t n = copying->n_batch, batch[BATCH];
	int64_t none = 0;

	memcpy(batch, copying->batch, sizeof(batch));
	copying->n_batch = 0;
	for (uint32_t i = 0; i < n; i++)
		into_batch(copying, batch[i], &none);
}

static void insert(struct copying *copying, const struct candidate *candidate,
		   const uint8_t *reading)
{
	struct arrangement *arrangement = copying->arrangement;
	uint32_t copy = arrangement->n_bundles, neuron = candidate->neuron;

	arrangement_insert_copy(arrangement, arrangement->bundle_to_slot[candidate->beside] +
				candidate->behind, reading);
	for (uint32_t bundle = neuron; bundle != NO_BUNDLE; bundle = copying->next_of[bundle])
		arrangement_give_up(arrangement, bundle, copy);
	copying->neuron_of[copy] = neuron;
	copying->next_of[copy] = copying->next_of[neuron];
	copying->next_of[neuron] = copy;
}

/*
 * Those of the batch that gain as much as the rest might; others of it have been placed since
 * they were asked.
 */
static void insert_batch(struct copying *copying, int64_t best_of_rest, uint32_t goal)
{
	for (uint32_t i = 0; i < copying->n_batch; i++) {
		const struct candidate *candidate = &copying->best[copying->batch[i]];
		uint8_t *reading = copying->scratch[0].reading;
		int64_t gain;

		if (copying->arrangement->n_bundles == goal)
			break;
		measure_reading(copying, candidate->neuron, reading);
		gain = measure_gain(copying, candidate, reading);
		if (gain == 0 || gain * 100 < best_of_rest * AS_GOOD)
			continue;
		insert(copying, candidate, reading);
	}
}

/* Until there are as many bundles, or nothing gains. */
static void insert_until(struct copying *copying, uint32_t goal, struct thread_pool *pool,
			 const atomic_bool *stop)
{
	find_all(copying, pool, stop);
	while (copying->arrangement->n_bundles < goal && !order_best_stopped(stop)) {
		int64_t best_of_rest = pick_batch(copying);

		if (!copying->n_batch)
			break;
		thread_pool_run(pool, copying->n_batch, 1, find_some, copying);
		sort_batch(copying);
		insert_batch(copying, best_of_rest, goal);
	}
}

static void note_positions(struct copying *copying)
{
	const struct arrangement *arrangement = copying->arrangement;

	for (uint32_t slot = 0; slot < arrangement->capacity; slot++)
		copying->neuron_at[slot] =
			slot < arrangement->n_bundles ?
				copying->neuron_of[arrangement->slot_to_bundle[slot]] :
				PLACES_NO_NEURON;
}

/* As the tokens would, of all places that there are now. */
static int choose_anew(struct copying *copying, struct error *err)
{
	struct arrangement *arrangement = copying->arrangement;
	size_t n = arrangement->n_bundles, words = bits_words(copying->missed->n_neurons);
	struct places places;
	int ret;

	note_positions(copying);
	ret = places_create(copying->neuron_at, (uint32_t)n, copying->missed->n_neurons,
			    &places, err);
	if (ret < 0)
		return ret;
	arrangement_want_nothing(arrangement);
	for (uint64_t t = 0; t < copying->missed->n_tokens; t++) {
		place_choice_make(&copying->choice, &places, copying->missed->fired + t * words,
				  copying->io_bundles, copying->positions);
		for (size_t slot = bits_next(copying->positions, n, 0); slot < n;
		     slot = bits_next(copying->positions, n, slot + 1))
			arrangement_want(arrangement, arrangement->slot_to_bundle[slot], t);
	}
	arrangement_renew(arrangement);
	places_free(&places);
	return 0;
}

static int copy_in_stages(struct copying *copying, struct thread_pool *pool,
			  const atomic_bool *stop, struct error *err)
{
	struct arrangement *arrangement = copying->arrangement;
	uint32_t stage = (copying->missed->n_neurons + STAGE_PART - 1) / STAGE_PART;

	while (arrangement->n_bundles < arrangement->capacity) {
		uint32_t left = arrangement->capacity - arrangement->n_bundles;
		uint32_t before = arrangement->n_bundles;
		int ret;

		insert_until(copying, before + (left < stage ? left : stage), pool, stop);
		if (arrangement->n_bundles == before)
			break;
		ret = choose_anew(copying, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int allocate(struct copying *copying, struct error *err)
{
	uint32_t n = copying->missed->n_neurons, capacity = copying->arrangement->capacity;
	size_t n_tokens = copying->arrangement->n_tokens;
	bool all;

	copying->neuron_of = malloc(capacity * sizeof(*copying->neuron_of));
	copying->next_of = malloc(capacity * sizeof(*copying->next_of));
	copying->best = calloc(n, sizeof(*copying->best));
	copying->neuron_at = malloc(capacity * sizeof(*copying->neuron_at));
	copying->positions = malloc(bits_words(capacity) * sizeof(*copying->positions));
	all = copying->neuron_of && copying->next_of && copying->best && copying->neuron_at &&
	      copying->positions;
	for (int i = 0; i < BATCH; i++) {
		struct scratch *scratch = &copying->scratch[i];

		scratch->reading = aligned_alloc(GAP_ROW_ALIGN, n_tokens);
		scratch->together = malloc(n * sizeof(*scratch->together));
		all &= scratch->reading && scratch->together;
	}
	if (!all)
		return error_no_memory(err, "searching places for copies");
	for (uint32_t neuron = 0; neuron < n; neuron++) {
		copying->neuron_of[neuron] = neuron;
		copying->next_of[neuron] = NO_BUNDLE;
	}
	return place_choice_create(n, &copying->choice, err);
}

static void release(struct copying *copying)
{
	arrangement_free(copying->arrangement);
	place_choice_free(&copying->choice);
	free(copying->neuron_of);
	free(copying->next_of);
	free(copying->best);
	free(copying->neuron_at);
	free(copying->positions);
	for (int i = 0; i < BATCH; i++) {
		free(copying->scratch[i].reading);
		free(copying->scratch[i].together);
	}
}

static double cost_per_token(const struct copying *copying)
{
	const struct arrangement *arrangement = copying->arrangement;

	return copying->missed->n_tokens ?
		       (double)arrangement_cost(arrangement) / arrangement->cost.step /
			       (double)copying->missed->n_tokens : 0;
}

/* Of the tokens `missed`. */
static int place_copies(const struct activity *missed, const uint32_t *slot_to_neuron,
			const struct order_best_options *options, uint32_t n_copies,
			struct thread_pool *pool, uint32_t *with_copies,
			struct order_copies_result *result, struct error *err)
{
	struct copying copying = { .missed = missed, .io_bundles = options->io_bundles };
	int ret = arrangement_create(missed, slot_to_neuron, options->io_bundles, n_copies,
				     &copying.arrangement, err);

	if (ret < 0)
		return ret;
	ret = allocate(&copying, err);
	if (ret == 0) {
		result->tokens = missed->n_tokens;
		result->before_bundles = cost_per_token(&copying);
		ret = copy_in_stages(&copying, pool, options->stop, err);
	}
	if (ret == 0) {
		result->copies = copying.arrangement->n_bundles - missed->n_neurons;
		result->after_bundles = cost_per_token(&copying);
		note_positions(&copying);
		memcpy(with_copies, copying.neuron_at,
		       copying.arrangement->capacity * sizeof(*with_copies));
	}
	release(&copying);
	return ret;
}

uint64_t order_copies_bytes(uint32_t n_neurons, uint32_t n_copies, uint64_t n_tokens)
{
	uint64_t set = bits_words(n_neurons) * sizeof(uint64_t);
	uint64_t n = n_neurons, positions = n + n_copies;

	/* What is missed, and a part of it again; what each bundle and neuron has; scratch. */
	return amount_sum(amount_product(n_tokens, 2 * set),
			  positions * 6 * sizeof(uint32_t) + n * sizeof(struct candidate) +
			  BATCH * (n_tokens + n * sizeof(uint32_t)));
}

int order_copies(const struct activity *seen, const uint32_t *slot_to_neuron,
		 const struct order_best_options *options, uint32_t n_copies,
		 struct thread_pool *pool, uint32_t *with_copies,
		 struct order_copies_result *result, struct error *err)
{
	struct order_copies_result done = { 0 };
	struct activity missed = { 0 }, sample = { 0 };
	int ret = order_best_check(options, err);

	if (ret < 0)
		return ret;
	if (n_copies > seen->n_neurons)
		return error_set(err, -EINVAL, "%u copies of %u neurons: there can be as many, at "
				 "most", n_copies, seen->n_neurons);
	ret = residency_missed(seen, options->cache_ratio, &missed, err);
	if (ret == 0)
		ret = order_best_sample(&missed, options, n_copies, &sample, err);
	activity_free(&missed);
	if (ret == 0)
		ret = place_copies(&sample, slot_to_neuron, options, n_copies, pool, with_copies,
				   &done, err);
	activity_free(&sample);
	if (result)
		*result = done;
	return ret;
}

int order_copies_slots(const uint32_t *slot_to_neuron, uint32_t n_neurons,
		       const uint32_t *with_copies, uint32_t n_positions, uint32_t *slot_at,
		       struct error *err)
{
	uint32_t *slot_of = malloc(n_neurons * sizeof(*slot_of));

	if (!slot_of)
		return error_no_memory(err, "copies of neurons");
	for (uint32_t slot = 0; slot < n_neurons; slot++)
		slot_of[slot_to_neuron[slot]] = slot;
	for (uint32_t i = 0; i < n_positions; i++)
		slot_at[i] = with_copies[i] == PLACES_NO_NEURON ? n_neurons - 1 :
								  slot_of[with_copies[i]];
	free(slot_of);
	return 0;
}
