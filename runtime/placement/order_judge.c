// SPDX-License-Identifier: GPL-2.0-only
#include "placement/order_judge.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "placement/arrangement.h"
#include "placement/order_best.h"
#include "placement/residency.h"

/* Tokens go to one side or the other by so many, since neighbours are like each other. */
#define BLOCK 64
#define JUDGE_EVERY 8
/* Rows of more are not needed to tell a per cent. */
#define MOST_JUDGING 2048
#define LEAST_GAIN 0.01
/* More effort gains more, but where this gains nothing there is nothing to gain. */
#define JUDGED_EFFORT 1

static bool is_judging(uint64_t token)
{
	return token / BLOCK % JUDGE_EVERY == JUDGE_EVERY - 1;
}

/* The tokens of one side; of those that judge, no more than are needed, evenly spread. */
static int take_side(const struct activity *all, bool judging, struct activity *side,
		     struct error *err)
{
	size_t words = bits_words(all->n_neurons);
	uint64_t every = judging ? all->n_tokens / JUDGE_EVERY / MOST_JUDGING + 1 : 1;
	uint64_t passed = 0;

	*side = (struct activity){ .n_neurons = all->n_neurons };
	side->fired = malloc((all->n_tokens / (judging ? JUDGE_EVERY : 1) + BLOCK) * words *
			     sizeof(*side->fired));
	if (!side->fired)
		return error_no_memory(err, "tokens to judge an order by");
	for (uint64_t t = 0; t < all->n_tokens; t++)
		if (is_judging(t) == judging && passed++ % every == 0)
			memcpy(side->fired + side->n_tokens++ * words, all->fired + t * words,
			       words * sizeof(*side->fired));
	return 0;
}

static int cost_of(const struct activity *missed, const uint32_t *slot_to_neuron,
		   double io_bundles, double *cost, struct error *err)
{
	struct arrangement *arrangement;
	int ret = arrangement_create(missed, slot_to_neuron, io_bundles, 0, &arrangement, err);

	if (ret < 0)
		return ret;
	*cost = (double)arrangement_cost(arrangement) / arrangement->cost.step;
	arrangement_free(arrangement);
	return 0;
}

/* Is `searched` worth it, by the tokens that judge? What they want counts, too: a device reads it. */
static int judge(const struct order_input *input, const uint32_t *searched,
		 const uint32_t *linked, bool *better, struct error *err)
{
	struct activity missed = { 0 }, judging = { 0 };
	double searched_cost, linked_cost, wanted;
	int ret = residency_missed(input->seen, input->best->cache_ratio, &missed, err);

	if (ret == 0)
		ret = take_side(&missed, true, &judging, err);
	activity_free(&missed);
	if (ret == 0)
		ret = cost_of(&judging, searched, input->best->io_bundles, &searched_cost, err);
	if (ret == 0)
		ret = cost_of(&judging, linked, input->best->io_bundles, &linked_cost, err);
	if (ret == 0) {
		wanted = (double)bits_count(judging.fired,
					    judging.n_tokens * bits_words(judging.n_neurons));
		*better = searched_cost + wanted <= (linked_cost + wanted) * (1 - LEAST_GAIN);
	}
	activity_free(&judging);
	return ret;
}

/* By the tokens that do not judge. */
static int search_briefly(const struct order_input *input, uint32_t *slot_to_neuron,
			  struct error *err)
{
	struct order_best_options options = *input->best;
	struct activity searching;
	int ret = take_side(input->seen, false, &searching, err);

	if (ret < 0)
		return ret;
	if (options.effort > JUDGED_EFFORT)
		options.effort = JUDGED_EFFORT;
	ret = order_best(&searching, &options, input->pool, slot_to_neuron, NULL, err);
	activity_free(&searching);
	return ret;
}

/* The long search, by all tokens, from where the short one ended. */
static int search_on(const struct order_input *input, const uint32_t *start,
		     uint32_t *slot_to_neuron, struct error *err)
{
	struct order_best_options options = *input->best;

	options.start = start;
	return order_best(input->seen, &options, input->pool, slot_to_neuron, NULL, err);
}

int order_judged(const struct order_input *input, uint32_t *slot_to_neuron, struct error *err)
{
	uint32_t *searched, *linked = slot_to_neuron;
	bool better = true;
	int ret;

	if (input->seen->n_tokens < 2 * BLOCK * JUDGE_EVERY)
		return order_best(input->seen, input->best, input->pool, slot_to_neuron, NULL, err);
	searched = malloc(input->seen->n_neurons * sizeof(*searched));
	if (!searched)
		return error_no_memory(err, "an order of neurons");
	ret = search_briefly(input, searched, err);
	if (ret == 0)
		ret = order_linked(input->coactivation, linked, err);
	if (ret == 0)
		ret = judge(input, searched, linked, &better, err);
	if (ret == 0 && better)
		ret = search_on(input, searched, slot_to_neuron, err);
	free(searched);
	return ret;
}
