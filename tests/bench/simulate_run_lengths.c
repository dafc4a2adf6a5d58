// SPDX-License-Identifier: GPL-2.0-only
/*
 * simulate_run_lengths SHAPE TOKENS UNSEEN: what the synthetic activations of a shape are
 * calibrated by (Documentation/synthetic.rst). One layer with the shape's mean share is placed
 * on TOKENS tokens, and the mean length of runs is taken on UNSEEN others, of the neurons
 * that a cache with the hottest 5 % does not hold.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "placement/order.h"
#include "placement/quality.h"
#include "synth/shape.h"

#define CACHE_RATIO 0.05

static const uint32_t *compared_frequency;

static int by_frequency(const void *a, const void *b)
{
	uint32_t one = compared_frequency[*(const uint32_t *)a];
	uint32_t other = compared_frequency[*(const uint32_t *)b];

	return one > other ? -1 : one < other;
}

static struct activity draw(struct synth_layer *layer, uint32_t n_neurons, uint32_t n_tokens)
{
	struct activity activity = {
		.n_neurons = n_neurons,
		.n_tokens = n_tokens,
		.fired = calloc(n_tokens * bits_words(n_neurons), sizeof(uint64_t)),
	};

	for (uint32_t token = 0; activity.fired && token < n_tokens; token++)
		synth_layer_next(layer, activity.fired + token * bits_words(n_neurons));
	return activity;
}

/* Take the hottest out of what fired; returns the share of fires that were theirs. */
static double take_out_hot(const struct coactivation *seen, struct activity *unseen)
{
	const size_t n = seen->n_neurons, words = bits_words(n);
	const size_t all = bits_count(unseen->fired, unseen->n_tokens * words);
	uint32_t *order = malloc(n * sizeof(*order));

	if (!order)
		abort();
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	compared_frequency = seen->frequency;
	qsort(order, n, sizeof(*order), by_frequency);
	for (size_t i = 0; i < (size_t)(n * CACHE_RATIO); i++)
		for (size_t token = 0; token < unseen->n_tokens; token++)
			unseen->fired[token * words + order[i] / 64] &=
				~(UINT64_C(1) << (order[i] % 64));
	free(order);
	return 1 - (double)bits_count(unseen->fired, unseen->n_tokens * words) / all;
}

static int measure(const struct coactivation *seen, const struct activity *unseen,
		   struct error *err)
{
	uint32_t *order = malloc(seen->n_neurons * sizeof(*order));
	const struct order_input input = { .coactivation = seen, .seed = 1 };
	struct order_quality quality;
	int ret = order ? 0 : error_no_memory(err, "an order");

	for (enum order_method method = 0; ret == 0 && method <= ORDER_LINKED; method++) {
		ret = order_make(method, &input, order, err);
		if (ret == 0)
			ret = order_measure(unseen, order, 0, &quality, err);
		if (ret == 0)
			printf("%-10s run length %5.2f, longest %4u, reads per token %.1f\n",
			       order_method_name(method), quality.run_length_mean,
			       quality.run_length_max, quality.reads_per_token);
	}
	free(order);
	return ret;
}

static int run(const struct model_shape *shape, uint32_t n_seen, uint32_t n_unseen, bool independent,
	       struct error *err)
{
	struct coactivation coactivation = { 0 };
	struct thread_pool *pool = NULL;
	struct activity seen, unseen;
	struct synth_layer *layer;
	int ret = synth_layer_create(shape->n_ffn, &shape->activity, independent, 1, &layer, err);

	if (ret < 0)
		return ret;
	seen = draw(layer, shape->n_ffn, n_seen);
	unseen = draw(layer, shape->n_ffn, n_unseen);
	synth_layer_free(layer);
	if (!seen.fired || !unseen.fired)
		ret = error_no_memory(err, "activities");
	if (ret == 0)
		ret = thread_pool_create(2, &pool, err);
	if (ret == 0)
		ret = coactivation_count(&seen, pool, &coactivation, err);
	if (ret == 0) {
		printf("%s%s: %u neurons, %u tokens seen, %u unseen, %.1f %% of fires from the cache\n",
		       shape->name, independent ? ", independent" : "", shape->n_ffn, n_seen, n_unseen,
		       take_out_hot(&coactivation, &unseen) * 100);
		ret = measure(&coactivation, &unseen, err);
	}
	coactivation_free(&coactivation);
	thread_pool_destroy(pool);
	activity_free(&seen);
	activity_free(&unseen);
	return ret;
}

int main(int argc, char **argv)
{
	const struct model_shape *shape = argc == 4 ? model_shape_find(argv[1]) : NULL;
	struct error err = { 0 };
	int ret;

	if (!shape) {
		fprintf(stderr, "usage: simulate_run_lengths SHAPE TOKENS UNSEEN\n");
		return 2;
	}
	ret = run(shape, atoi(argv[2]), atoi(argv[3]), false, &err);
	if (ret == 0)
		ret = run(shape, atoi(argv[2]), atoi(argv[3]), true, &err);
	if (ret < 0)
		fprintf(stderr, "simulate_run_lengths: %s\n", err.message);
	return ret < 0;
}
