// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/activity.h"

#include <stdlib.h>

#include "base/bits.h"
#include "base/random.h"
#include "helpers/test.h"
#include "placement/trace.h"

static struct activity make_silent_activity(uint32_t n_neurons, uint64_t n_tokens)
{
	struct activity activity = { .n_neurons = n_neurons, .n_tokens = n_tokens };

	activity.fired = calloc(n_tokens * bits_words(n_neurons) + 1, sizeof(uint64_t));
	assert_non_null(activity.fired);
	return activity;
}

struct activity make_independent_activity(uint64_t seed, uint32_t n_neurons, uint64_t n_tokens,
					  double share)
{
	return make_clustered_activity(seed, n_neurons, n_tokens, 1, share);
}

struct activity make_clustered_activity(uint64_t seed, uint32_t n_neurons, uint64_t n_tokens,
					uint32_t cluster_size, double share)
{
	struct activity activity = make_silent_activity(n_neurons, n_tokens);
	uint32_t *member = malloc(n_neurons * sizeof(*member));
	struct random_state random;

	assert_non_null(member);
	random_seed(&random, seed);
	random_permutation(&random, member, n_neurons);
	for (uint64_t t = 0; t < n_tokens; t++) {
		bool fires = false;

		for (uint32_t i = 0; i < n_neurons; i++) {
			if (i % cluster_size == 0)
				fires = random_unit(&random) < share;
			if (fires)
				bits_set(activity.fired + t * bits_words(n_neurons), member[i]);
		}
	}
	free(member);
	return activity;
}

bool fired_for(const struct activity *activity, uint64_t token, uint32_t neuron)
{
	return bits_test(activity->fired + token * bits_words(activity->n_neurons), neuron);
}

void write_activities(const char *path, uint64_t model_id, const struct activity *layers,
		      uint32_t n_layers, uint32_t chunk_tokens)
{
	const struct trace_shape shape = {
		.n_layers = n_layers,
		.n_neurons = layers[0].n_neurons,
		.model_id = model_id,
	};
	struct trace_writer *writer;
	struct error err;

	assert_ok(trace_writer_create(path, &shape, &writer, &err), &err);
	for (uint64_t t = 0; t < layers[0].n_tokens; t += chunk_tokens) {
		uint64_t rest = layers[0].n_tokens - t;

		assert_ok(
			trace_writer_begin_chunk(
				writer, rest < chunk_tokens ? (uint32_t)rest : chunk_tokens, &err),
			&err);
		for (uint32_t l = 0; l < n_layers; l++)
			assert_ok(trace_writer_layer(writer, l,
						     layers[l].fired +
							     t * bits_words(shape.n_neurons),
						     NULL, &err),
				  &err);
	}
	assert_ok(trace_writer_commit(writer, &err), &err);
}

char *independent_trace(const char *folder, uint64_t model_id, uint32_t n_layers,
			uint32_t n_neurons)
{
	struct activity *layers = calloc(n_layers, sizeof(*layers));
	char *path = path_in(folder, "trace");

	assert_non_null(layers);
	for (uint32_t layer = 0; layer < n_layers; layer++)
		layers[layer] = make_independent_activity(layer, n_neurons, 40, 0.3);
	write_activities(path, model_id, layers, n_layers, 10);
	for (uint32_t layer = 0; layer < n_layers; layer++)
		activity_free(&layers[layer]);
	free(layers);
	return path;
}

const struct order_best_options best_of_16_bundles = {
	.io_bundles = 16,
	.cache_ratio = 0.05,
	.effort = ORDER_BEST_DEFAULT_EFFORT,
	.memory = UINT64_C(1) << 30,
};

void make_order(enum order_method method, const struct coactivation *counts,
		const struct activity *seen, uint64_t seed, uint32_t *order)
{
	const struct order_input input = {
		.coactivation = counts, .seed = seed, .seen = seen, .best = &best_of_16_bundles,
	};
	struct error err;

	assert_ok(order_make(method, &input, order, &err), &err);
}

void assert_permutation(const uint32_t *order, uint32_t n)
{
	bool *found = calloc(n, sizeof(*found));

	assert_non_null(found);
	for (uint32_t i = 0; i < n; i++) {
		assert_true(order[i] < n);
		assert_false(found[order[i]]);
		found[order[i]] = true;
	}
	free(found);
}
