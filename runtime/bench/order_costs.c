// SPDX-License-Identifier: GPL-2.0-only
/*
 * A trace lies by chunk and layer, and a token passes all layers before the next one does. So
 * tokens are gathered, a window of a chunk's after the other, each layer's block being read once
 * for each window; then the window passes through every order.
 */
#include "bench/order_costs.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

#define WINDOW_BYTES (24u << 20)
#define SLICE_TOKENS 32 /* between two reports of progress */
#define WARM_UP_PART 8

/* One of the orders, on whatever thread it is. */
struct replayed {
	struct order_replay *replay;
	int ret;
	struct error err;
};

struct costing {
	const struct trace *trace;
	enum activity_part part;
	struct order_replay_options options;
	uint32_t n_layers;
	size_t words; /* of a set of neurons */
	uint32_t window_tokens;
	uint64_t *chunk; /* (TRACE_CHUNK_TOKENS, words): of one layer */
	uint64_t *window; /* (window_tokens, n_layers, words) */
	struct replayed *orders; /* (n_orders) */
	size_t n_orders;
	/* The slice that is replayed. */
	const uint64_t *slice;
	uint32_t slice_tokens;
	struct thread_pool *pool;
	struct progress *progress;
	uint32_t n_done; /* tokens */
};

/* Tokens that there are, and will be replayed. */
static uint32_t count_tokens(const struct costing *costing)
{
	uint64_t tokens = activity_tokens(costing->trace, costing->part);

	return tokens < costing->options.max_tokens ? (uint32_t)tokens :
						      costing->options.max_tokens;
}

static int allocate(struct costing *costing, struct error *err)
{
	size_t token_bytes = costing->n_layers * costing->words * sizeof(*costing->window);

	costing->window_tokens = WINDOW_BYTES / token_bytes ? WINDOW_BYTES / token_bytes : 1;
	costing->chunk = malloc(TRACE_CHUNK_TOKENS * costing->words * sizeof(*costing->chunk));
	costing->window = malloc(costing->window_tokens * token_bytes);
	costing->orders = calloc(costing->n_orders, sizeof(*costing->orders));
	return costing->chunk && costing->window && costing->orders ?
		       0 : error_no_memory(err, "the tokens to replay");
}

static void release(struct costing *costing)
{
	for (size_t i = 0; costing->orders && i < costing->n_orders; i++)
		order_replay_free(costing->orders[i].replay);
	free(costing->orders);
	free(costing->window);
	free(costing->chunk);
}

static void replay_slice(void *arg, size_t begin, size_t end)
{
	struct costing *costing = arg;
	size_t token_words = costing->n_layers * costing->words;

	for (size_t i = begin; i < end; i++) {
		struct replayed *order = &costing->orders[i];

		for (uint32_t t = 0; order->ret == 0 && t < costing->slice_tokens; t++)
			order->ret = order_replay_token(order->replay,
							costing->slice + t * token_words,
							&order->err);
	}
}

/* The first n tokens of the window through all orders. */
static int replay_window(struct costing *costing, uint32_t n, struct error *err)
{
	for (uint32_t from = 0; from < n; from += SLICE_TOKENS) {
		costing->slice_tokens = n - from < SLICE_TOKENS ? n - from : SLICE_TOKENS;
		costing->slice = costing->window +
				 (size_t)from * costing->n_layers * costing->words;
		thread_pool_run(costing->pool, costing->n_orders, 1, replay_slice, costing);
		for (size_t i = 0; i < costing->n_orders; i++) {
			const struct replayed *order = &costing->orders[i];

			if (order->ret < 0)
				return error_set(err, order->ret, "%s", order->err.message);
		}
		costing->n_done += costing->slice_tokens;
		progress_report(costing->progress, costing->n_done, costing->options.max_tokens);
	}
	return 0;
}

/* Tokens [first, first + n) of a chunk, in all layers. */
static int gather(struct costing *costing, uint32_t chunk, uint32_t first, uint32_t n,
		  struct error *err)
{
	size_t words = costing->words;

	for (uint32_t layer = 0; layer < costing->n_layers; layer++) {
		int ret = trace_read_layer(costing->trace, chunk, layer, costing->chunk, NULL, err);

		if (ret < 0)
			return ret;
		for (uint32_t t = 0; t < n; t++)
			memcpy(costing->window + ((size_t)t * costing->n_layers + layer) * words,
			       costing->chunk + (first + t) * words,
			       words * sizeof(*costing->window));
	}
	return 0;
}

/* The chunk's tokens, or as many as are still to be replayed. */
static int replay_chunk(struct costing *costing, uint32_t chunk, struct error *err)
{
	uint32_t left = costing->options.max_tokens - costing->n_done;
	uint32_t tokens = trace_chunk_tokens(costing->trace, chunk);
	int ret = 0;

	if (tokens > left)
		tokens = left;
	for (uint32_t first = 0; ret == 0 && first < tokens; first += costing->window_tokens) {
		uint32_t n = tokens - first < costing->window_tokens ? tokens - first :
								       costing->window_tokens;

		ret = gather(costing, chunk, first, n, err);
		if (ret == 0)
			ret = replay_window(costing, n, err);
	}
	return ret;
}

int order_costs(const struct trace *trace, enum activity_part part,
		const struct order_replay_options *options, const float *frequency,
		const uint32_t *const *slot_to_neuron, const uint32_t *n_slots, size_t n,
		struct thread_pool *pool,
		struct progress *progress, struct order_cost *costs, struct error *err)
{
	const struct trace_shape *shape = trace_get_shape(trace);
	struct order_replay_model model = {
		.n_layers = shape->n_layers, .n_neurons = shape->n_neurons, .frequency = frequency,
	};
	struct costing costing = {
		.trace = trace, .part = part, .options = *options, .n_layers = shape->n_layers,
		.words = bits_words(shape->n_neurons), .n_orders = n, .pool = pool,
		.progress = progress,
	};
	uint32_t tokens = count_tokens(&costing);
	int ret = allocate(&costing, err);

	costing.options.max_tokens = tokens;
	if (costing.options.warm_up > tokens / WARM_UP_PART)
		costing.options.warm_up = tokens / WARM_UP_PART;
	for (size_t i = 0; ret == 0 && i < n; i++) {
		model.n_slots = n_slots ? n_slots[i] : shape->n_neurons;
		ret = order_replay_create(&costing.options, &model, slot_to_neuron[i],
					  &costing.orders[i].replay, err);
	}
	for (uint32_t chunk = 0; ret == 0 && chunk < trace_chunks(trace); chunk++)
		if (activity_part_has(part, trace, chunk))
			ret = replay_chunk(&costing, chunk, err);
	for (size_t i = 0; ret == 0 && i < n; i++)
		order_replay_finish(costing.orders[i].replay, &costs[i]);
	release(&costing);
	return ret;
}
