// SPDX-License-Identifier: GPL-2.0-only
/*
 * Or-opt (Or 1976) with lists of neighbours: for each neuron, and the few that follow it,
 * the places beside the neurons that are missed together with it most often are tried, and
 * the best one taken.
 *
 * Proposals are made in batches, by all threads, against an arrangement that stands still;
 * then the batch is gone through in order, and what still gains is done. Therefore the
 * result does not depend on the number of threads. A neuron that found nothing sleeps until
 * something near it moves.
 */
#include "placement/order_best_private.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/amount.h"
#include "base/bits.h"
#include "placement/arrangement.h"
#include "placement/coactivation.h"
#include "placement/order.h"
#include "placement/order_private.h"
#include "placement/residency.h"

#define BATCH 32
/* Moves nearby take several times as long: not before all else stands, and of few neurons. */
#define LONGEST_NEAR 2
/* First a part of the tokens is asked, and the rest only of places that may be better. */
#define PROBE_PART 8
/* The search ends with a sweep that gains less than this part of the cost. */
#define LEAST_GAIN 3000

struct effort {
	uint32_t friends; /* of each neuron: places beside these are tried */
	uint32_t longest; /* segment, in neurons; or what groups there are, if that is more */
	uint32_t sweeps; /* at most */
	uint64_t tokens; /* at most */
};

static const struct effort efforts[ORDER_BEST_EFFORTS] = {
	{ 0, 0, 0, 8192 }, /* for copies only */
	{ 6, 2, 3, 8192 },
	{ 20, 2, 12, 16384 },
	{ 32, 4, 24, 32768 },
};
/* The first effort that moves whole groups: longer segments find what single neurons cannot. */
#define GROUPS_EFFORT 2
/* Groups are of up to three times as many as a gap reaches over, and so many. */
#define GROUP_REACHES 3
#define MOST_GROUP 48

struct proposal {
	struct arrangement_move move;
	uint32_t neuron; /* at the segment's begin */
	uint32_t beside; /* the neuron at move.slot, or before it */
	bool behind; /* it is the one before */
	int64_t gain; /* 0: nothing found */
};

struct search {
	struct arrangement *arrangement;
	const struct effort *effort;
	uint32_t longest; /* segment */
	const uint32_t *friends; /* (n_neurons, effort->friends) */
	bool *asleep; /* (n_neurons) */
	uint32_t batch[BATCH]; /* neurons */
	uint32_t n_batch;
	struct proposal proposals[BATCH];
	struct gap_segment segments[BATCH];
	uint32_t moves;
	bool near; /* near moves are tried, too */
};

/* What the segment costs where it is: of the probed tokens, and of all. */
struct removal {
	uint64_t probed, all;
	double chance; /* by how much the probed tokens may mislead */
};

static size_t probed_tokens(const struct arrangement *arrangement)
{
	return arrangement->n_tokens / PROBE_PART / GAP_ROW_ALIGN * GAP_ROW_ALIGN;
}

static struct removal measure_removal(const struct arrangement *arrangement,
				      const struct gap_segment *segment, uint32_t first_slot)
{
	size_t probed = probed_tokens(arrangement);
	struct removal removal;

	removal.probed = arrangement_removal(arrangement, segment, first_slot, 0, probed);
	removal.all = removal.probed + arrangement_removal(arrangement, segment, first_slot, probed,
							   arrangement->n_tokens);
	removal.chance = 2 * sqrt((double)removal.probed * arrangement->cost.io);
	return removal;
}

/* What the move gains; 0 as soon as it is known to gain nothing, or unlikely to. */
static int64_t measure_far_gain(const struct arrangement *arrangement,
				const struct gap_segment *segment,
				const struct arrangement_move *move, const struct removal *removal)
{
	size_t probed = probed_tokens(arrangement);
	uint64_t cost = arrangement_insertion(arrangement, segment, move, 0, probed);

	if ((double)cost > (double)removal->probed + removal->chance)
		return 0;
	cost += arrangement_insertion(arrangement, segment, move, probed, arrangement->n_tokens);
	return cost < removal->all ? (int64_t)(removal->all - cost) : 0;
}

/* Likewise, of a near move. */
static int64_t measure_near_gain(const struct arrangement *arrangement,
				 const struct gap_segment *segment,
				 const struct arrangement_move *move,
				 const struct removal *removal)
{
	size_t probed = probed_tokens(arrangement);
	int64_t gain = arrangement_near_gain(arrangement, move, 0, probed, segment->scratch);

	if ((double)gain < -removal->chance)
		return 0;
	gain += arrangement_near_gain(arrangement, move, probed, arrangement->n_tokens,
				      segment->scratch);
	return gain > 0 ? gain : 0;
}

static int64_t measure_gain(const struct search *search, const struct gap_segment *segment,
			    const struct arrangement_move *move, const struct removal *removal)
{
	if (arrangement_can_move(search->arrangement, move))
		return measure_far_gain(search->arrangement, segment, move, removal);
	if (search->near && move->n_slots <= LONGEST_NEAR &&
	    arrangement_is_near(search->arrangement, move))
		return measure_near_gain(search->arrangement, segment, move, removal);
	return 0;
}

/* Before and behind a neuron, either way round. */
static void try_beside(const struct search *search, const struct gap_segment *segment,
		       const struct removal *removal, struct proposal *tried,
		       struct proposal *best)
{
	uint32_t at = search->arrangement->bundle_to_slot[tried->beside];

	for (int way = 0; way < (tried->move.n_slots > 1 ? 4 : 2); way++) {
		tried->behind = way & 1;
		tried->move.reversed = way & 2;
		tried->move.slot = at + tried->behind;
		tried->gain = measure_gain(search, segment, &tried->move, removal);
		if (tried->gain > best->gain)
			*best = *tried;
	}
}

static void try_friends(const struct search *search, uint32_t neuron,
			const struct gap_segment *segment, const struct removal *removal,
			struct proposal *tried, struct proposal *best)
{
	const uint32_t *friends = search->friends + (size_t)neuron * search->effort->friends;

	for (uint32_t k = 0; k < search->effort->friends && friends[k] != COACTIVATION_NO_FRIEND; k++) {
		tried->beside = friends[k];
		try_beside(search, segment, removal, tried, best);
	}
}

/* Of the long segments, these are enough: 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48. */
static bool is_tried_length(uint32_t n_slots)
{
	uint32_t odd = n_slots >> __builtin_ctz(n_slots);

	return odd == 1 || odd == 3;
}

/* The best move of the segments that begin with the neuron. */
static void propose(const struct search *search, struct gap_segment *segment,
		    struct proposal *best)
{
	const struct arrangement *arrangement = search->arrangement;
	struct proposal tried = { .neuron = best->neuron };
	uint32_t first = arrangement->bundle_to_slot[best->neuron];

	tried.move.first_slot = first;
	segment->n_slots = 0;
	while (segment->n_slots < search->longest &&
	       first + segment->n_slots < arrangement->n_bundles) {
		uint32_t last = arrangement->slot_to_bundle[first + segment->n_slots];
		struct removal removal;

		arrangement_append(arrangement, first + segment->n_slots, segment);
		if (!is_tried_length(segment->n_slots))
			continue;
		removal = measure_removal(arrangement, segment, first);
		tried.move.n_slots = segment->n_slots;
		if (removal.all == 0)
			continue;
		try_friends(search, best->neuron, segment, &removal, &tried, best);
		if (last != best->neuron)
			try_friends(search, last, segment, &removal, &tried, best);
	}
}

static void propose_some(void *arg, size_t begin, size_t end)
{
	struct search *search = arg;

	for (size_t i = begin; i < end; i++) {
		search->proposals[i] = (struct proposal){ .neuron = search->batch[i] };
		propose(search, &search->segments[i], &search->proposals[i]);
	}
}

/* Since it was proposed, others of the batch may have moved. */
static int64_t still_gains(const struct search *search, struct proposal *proposal,
			   struct gap_segment *segment)
{
	const struct arrangement *arrangement = search->arrangement;
	struct arrangement_move *move = &proposal->move;
	struct removal removal;

	move->first_slot = arrangement->bundle_to_slot[proposal->neuron];
	move->slot = arrangement->bundle_to_slot[proposal->beside] + proposal->behind;
	if (!arrangement_can_move(arrangement, move) && !arrangement_is_near(arrangement, move))
		return 0;
	segment->n_slots = 0;
	for (uint32_t i = 0; i < move->n_slots; i++)
		arrangement_append(arrangement, move->first_slot + i, segment);
	removal = measure_removal(arrangement, segment, move->first_slot);
	if (arrangement_can_move(arrangement, move))
		return measure_far_gain(arrangement, segment, move, &removal);
	return measure_near_gain(arrangement, segment, move, &removal);
}

static void wake_around(struct search *search, uint32_t slot)
{
	const struct arrangement *arrangement = search->arrangement;
	uint32_t reach = arrangement->reach + search->longest;
	uint32_t end = arrangement->n_bundles - slot > reach ? slot + reach
							     : arrangement->n_bundles;

	for (uint32_t i = slot > reach ? slot - reach : 0; i < end; i++)
		search->asleep[arrangement->slot_to_bundle[i]] = false;
}

static uint64_t apply_batch(struct search *search)
{
	uint64_t gained = 0;

	for (uint32_t i = 0; i < search->n_batch; i++) {
		struct proposal *proposal = &search->proposals[i];
		int64_t gain = 0;

		if (proposal->gain)
			gain = still_gains(search, proposal, &search->segments[i]);
		search->asleep[proposal->neuron] = !proposal->gain;
		if (!gain)
			continue;
		arrangement_apply(search->arrangement, &proposal->move);
		wake_around(search, proposal->move.first_slot);
		wake_around(search, search->arrangement->bundle_to_slot[proposal->neuron]);
		search->moves++;
		gained += (uint64_t)gain;
	}
	return gained;
}

/* Every neuron that is awake, by index; returns what was gained. */
static uint64_t sweep(struct search *search, struct thread_pool *pool, const atomic_bool *stop)
{
	uint32_t n = search->arrangement->n_bundles;
	uint64_t gained = 0;

	for (uint32_t neuron = 0; neuron < n && !order_best_stopped(stop);) {
		for (search->n_batch = 0; neuron < n && search->n_batch < BATCH; neuron++)
			if (!search->asleep[neuron])
				search->batch[search->n_batch++] = neuron;
		thread_pool_run(pool, search->n_batch, 1, propose_some, search);
		gained += apply_batch(search);
	}
	return gained;
}

static int search_begin(struct search *search, struct error *err)
{
	search->asleep = calloc(search->arrangement->n_bundles, sizeof(*search->asleep));
	if (!search->asleep)
		return error_no_memory(err, "searching an order");
	for (int i = 0; i < BATCH; i++) {
		int ret = arrangement_segment_create(search->arrangement, &search->segments[i],
						     err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static void search_end(struct search *search)
{
	for (int i = 0; i < BATCH; i++)
		arrangement_segment_free(&search->segments[i]);
	free(search->asleep);
}

static void search_run(struct search *search, struct thread_pool *pool, const atomic_bool *stop,
		       struct order_best_result *result)
{
	uint64_t cost = arrangement_cost(search->arrangement);
	double unit = search->arrangement->cost.step * (double)result->tokens;

	if (!result->tokens)
		return;
	result->greedy_bundles = (double)cost / unit;
	while (result->sweeps < search->effort->sweeps && !order_best_stopped(stop)) {
		uint64_t gained;

		search->near = result->sweeps > 0;
		gained = sweep(search, pool, stop);
		cost -= gained;
		result->sweeps++;
		if (gained < cost / LEAST_GAIN)
			break;
	}
	result->best_bundles = (double)cost / unit;
	result->moves = search->moves;
}

static uint64_t most_tokens(const struct order_best_options *options, uint32_t n_bundles)
{
	uint64_t tokens = efforts[options->effort].tokens;

	/* By halves, so that a few bytes more or less of memory seldom make another order. */
	while (tokens && arrangement_bytes(n_bundles, tokens) > options->memory)
		tokens /= 2;
	return tokens;
}

int order_best_sample(const struct activity *missed, const struct order_best_options *options,
		      uint32_t copies, struct activity *sample, struct error *err)
{
	size_t words = bits_words(missed->n_neurons);
	uint64_t limit = most_tokens(options, missed->n_neurons + copies);
	uint64_t n = missed->n_tokens < limit ? missed->n_tokens : limit;

	*sample = (struct activity){
		.n_neurons = missed->n_neurons,
		.n_tokens = n,
		.fired = malloc((n ? n : 1) * words * sizeof(*sample->fired)),
	};
	if (!sample->fired)
		return error_no_memory(err, "tokens to search an order by");
	for (uint64_t t = 0; t < n; t++)
		memcpy(sample->fired + t * words, missed->fired + t * missed->n_tokens / n * words,
		       words * sizeof(*sample->fired));
	return 0;
}

static uint32_t longest_segment(uint32_t effort, uint32_t reach)
{
	uint32_t longest = efforts[effort].longest;
	uint32_t group = GROUP_REACHES * reach < MOST_GROUP ? GROUP_REACHES * reach : MOST_GROUP;

	return effort >= GROUPS_EFFORT && group > longest ? group : longest;
}

/* From `slot_to_neuron` to a better order. */
static int improve(const struct activity *missed, const struct order_best_options *options,
		   const uint32_t *friends, struct thread_pool *pool, uint32_t *slot_to_neuron,
		   struct order_best_result *result, struct error *err)
{
	struct search search = { .effort = &efforts[options->effort], .friends = friends };
	struct activity sample;
	int ret = order_best_sample(missed, options, 0, &sample, err);

	if (ret < 0)
		return ret;
	result->tokens = sample.n_tokens;
	ret = arrangement_create(&sample, slot_to_neuron, options->io_bundles, 0,
				 &search.arrangement, err);
	activity_free(&sample);
	if (ret < 0)
		return ret;
	search.longest = longest_segment(options->effort, search.arrangement->reach);
	ret = search_begin(&search, err);
	if (ret == 0) {
		search_run(&search, pool, options->stop, result);
		memcpy(slot_to_neuron, search.arrangement->slot_to_bundle,
		       missed->n_neurons * sizeof(*slot_to_neuron));
	}
	search_end(&search);
	arrangement_free(search.arrangement);
	return ret;
}

/*
 * Greedy linking puts what never fired last. Here that is also what is in DRAM whenever it
 * fires: first among the last, the most frequent first, for when the cache is yet empty.
 */
static int order_never_missed(const struct activity *seen, const uint32_t *missed_frequency,
			      uint32_t *slot_to_neuron, struct error *err)
{
	uint32_t n = seen->n_neurons, n_missed = 0, slot;
	uint32_t *frequency = malloc(n * sizeof(*frequency));
	uint32_t *order = malloc(n * sizeof(*order));
	int ret = -ENOMEM;

	if (!frequency || !order) {
		error_no_memory(err, "ordering neurons");
		goto out;
	}
	activity_frequency(seen, frequency);
	ret = order_by_frequency(frequency, n, order, err);
	for (uint32_t i = 0; i < n; i++)
		n_missed += missed_frequency[i] > 0;
	slot = n_missed;
	for (uint32_t i = 0; ret == 0 && i < n; i++)
		if (!missed_frequency[order[i]])
			slot_to_neuron[slot++] = order[i];
out:
	free(frequency);
	free(order);
	return ret;
}

int order_best_check(const struct order_best_options *options, struct error *err)
{
	if (!(options->io_bundles > 0))
		return error_set(err, -EINVAL, "an I/O cannot cost %g bundles",
				 options->io_bundles);
	if (!(options->cache_ratio >= 0 && options->cache_ratio <= 1))
		return error_set(err, -EINVAL, "a cache ratio of %g is not within 0 to 1",
				 options->cache_ratio);
	if (options->effort >= ORDER_BEST_EFFORTS)
		return error_set(err, -EINVAL, "an effort of %u is not within 0 to %d",
				 options->effort, ORDER_BEST_EFFORTS - 1);
	return 0;
}

/* Greedy linking of what is missed, and each neuron's friends; counts are freed again. */
static int link_missed(const struct activity *seen, const struct activity *missed,
		       uint32_t n_friends, struct thread_pool *pool, uint32_t *slot_to_neuron,
		       uint32_t *friends, struct error *err)
{
	struct coactivation counts;
	int ret = coactivation_count(missed, pool, &counts, err);

	if (ret < 0)
		return ret;
	ret = order_linked(&counts, slot_to_neuron, err);
	if (ret == 0)
		ret = order_never_missed(seen, counts.frequency, slot_to_neuron, err);
	if (ret == 0 && n_friends)
		coactivation_friends(&counts, n_friends, pool, friends);
	coactivation_free(&counts);
	return ret;
}

uint64_t order_best_bytes(uint32_t n_neurons, uint64_t n_tokens)
{
	uint64_t set = bits_words(n_neurons) * sizeof(uint64_t);
	uint64_t friends = (uint64_t)n_neurons * efforts[ORDER_BEST_EFFORTS - 1].friends *
			   sizeof(uint32_t);

	/*
	 * What is missed, and while its pairs are counted, or afterwards a part of it again; and
	 * the tokens of order_judge.c.
	 */
	return amount_sum(amount_sum(amount_product(n_tokens, 3 * set), friends),
			  coactivation_bytes(n_neurons, n_tokens));
}

int order_best(const struct activity *seen, const struct order_best_options *options,
	       struct thread_pool *pool, uint32_t *slot_to_neuron, struct order_best_result *result,
	       struct error *err)
{
	struct order_best_result done = { 0 };
	struct activity missed = { 0 };
	uint32_t *friends = NULL;
	uint32_t n_friends;
	int ret = order_best_check(options, err);

	if (ret < 0)
		return ret;
	n_friends = efforts[options->effort].friends;
	friends = malloc(((size_t)seen->n_neurons * n_friends + 1) * sizeof(*friends));
	if (!friends)
		return error_no_memory(err, "lists of neurons that fire together");
	ret = residency_missed(seen, options->cache_ratio, &missed, err);
	if (ret == 0)
		ret = link_missed(seen, &missed, n_friends, pool, slot_to_neuron, friends, err);
	if (ret == 0 && options->start)
		memcpy(slot_to_neuron, options->start, seen->n_neurons * sizeof(*slot_to_neuron));
	if (ret == 0 && n_friends)
		ret = improve(&missed, options, friends, pool, slot_to_neuron, &done, err);
	activity_free(&missed);
	free(friends);
	if (result)
		*result = done;
	return ret;
}
