// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counting goes batch by batch of tokens, so that what is in memory beside the counts
 * is the same for any number of tokens. A trace is decoded by as many threads as there
 * are, chunk by chunk.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/amount.h"
#include "base/bits.h"
#include "placement/coactivation_private.h"

int coactivation_count(const struct activity *activity, struct thread_pool *pool,
		       struct coactivation *result, struct error *err)
{
	size_t words = bits_words(activity->n_neurons);
	struct coactivation coactivation;
	struct coactivation_batch batch;
	int ret;

	ret = coactivation_create(activity->n_neurons, activity->n_tokens, &coactivation, err);
	if (ret < 0)
		return ret;
	ret = batch_create(activity->n_neurons, pool, &coactivation, &batch, err);
	if (ret < 0) {
		coactivation_free(&coactivation);
		return ret;
	}
	for (uint64_t t = 0; t < activity->n_tokens; t += BATCH_TOKENS) {
		uint64_t rest = activity->n_tokens - t;

		batch_count(&batch, activity->fired + t * words,
			    rest < BATCH_TOKENS ? (uint32_t)rest : BATCH_TOKENS);
	}
	batch_free(&batch);
	*result = coactivation;
	return 0;
}

/* Chunks that are decoded one beside the other into a batch. */
struct chunks {
	const struct trace *trace;
	uint32_t layer;
	enum activity_part part;
	uint32_t next; /* chunk of the trace, not looked at yet */
	uint32_t n_tokens;
	struct {
		uint32_t chunk;
		uint32_t token; /* of the batch: its first */
	} * taken; /* (n_taken) */
	uint32_t n_taken;
	uint64_t *fired; /* (BATCH_TOKENS, bits_words(n_neurons)) */
	atomic_bool failed;
};

_Static_assert(TRACE_CHUNK_TOKENS <= BATCH_TOKENS, "any chunk fits into a batch");

/* As many chunks as fit; false when there are no more. */
static bool take_chunks(struct chunks *chunks)
{
	chunks->n_taken = 0;
	chunks->n_tokens = 0;
	for (; chunks->next < trace_chunks(chunks->trace); chunks->next++) {
		uint32_t n_tokens = trace_chunk_tokens(chunks->trace, chunks->next);

		if (!activity_part_has(chunks->part, chunks->trace, chunks->next))
			continue;
		if (n_tokens > BATCH_TOKENS - chunks->n_tokens)
			break;
		chunks->taken[chunks->n_taken].chunk = chunks->next;
		chunks->taken[chunks->n_taken++].token = chunks->n_tokens;
		chunks->n_tokens += n_tokens;
	}
	return chunks->n_taken;
}

static int read_chunk(const struct chunks *chunks, size_t i, struct error *err)
{
	size_t words = bits_words(trace_get_shape(chunks->trace)->n_neurons);

	return trace_read_layer(chunks->trace, chunks->taken[i].chunk, chunks->layer,
				chunks->fired + chunks->taken[i].token * words, NULL, err);
}

static void try_to_read(void *arg, size_t begin, size_t end)
{
	struct chunks *chunks = arg;
	struct error err;

	for (size_t i = begin; i < end; i++)
		if (read_chunk(chunks, i, &err) < 0)
			chunks->failed = true;
}

/* What fails is read once more, for the message of the first that does. */
static int read_chunks(struct chunks *chunks, struct thread_pool *pool, struct error *err)
{
	int ret = 0;

	thread_pool_run(pool, chunks->n_taken, 1, try_to_read, chunks);
	if (chunks->failed)
		for (size_t i = 0; ret == 0 && i < chunks->n_taken; i++)
			ret = read_chunk(chunks, i, err);
	chunks->failed = false;
	return ret;
}

static int count_chunks(struct chunks *chunks, struct thread_pool *pool,
			struct coactivation *coactivation, struct error *err)
{
	uint32_t n = coactivation->n_neurons;
	struct coactivation_batch batch;
	int ret;

	ret = batch_create(n, pool, coactivation, &batch, err);
	if (ret < 0)
		return ret;
	chunks->taken = malloc(BATCH_TOKENS * sizeof(*chunks->taken));
	chunks->fired = malloc(BATCH_TOKENS * bits_words(n) * sizeof(*chunks->fired));
	if (!chunks->taken || !chunks->fired)
		ret = error_no_memory(err, "the tokens of a trace");
	while (ret == 0 && take_chunks(chunks)) {
		ret = read_chunks(chunks, pool, err);
		if (ret == 0)
			batch_count(&batch, chunks->fired, chunks->n_tokens);
	}
	free(chunks->taken);
	free(chunks->fired);
	batch_free(&batch);
	return ret;
}

int coactivation_count_trace(const struct trace *trace, uint32_t layer, enum activity_part part,
			     struct thread_pool *pool, struct coactivation *result,
			     struct error *err)
{
	struct chunks chunks = { .trace = trace, .layer = layer, .part = part };
	struct coactivation coactivation;
	int ret;

	ret = coactivation_create(trace_get_shape(trace)->n_neurons, activity_tokens(trace, part),
				  &coactivation, err);
	if (ret < 0)
		return ret;
	ret = count_chunks(&chunks, pool, &coactivation, err);
	if (ret < 0) {
		coactivation_free(&coactivation);
		return ret;
	}
	*result = coactivation;
	return 0;
}

uint64_t coactivation_count_bytes(const struct trace *trace, unsigned int n_threads)
{
	uint32_t n = trace_get_shape(trace)->n_neurons;
	uint64_t tokens = BATCH_TOKENS * bits_words(n) * sizeof(uint64_t);
	uint64_t blocks = amount_product(n_threads, trace_largest_block(trace));

	return amount_sum(batch_bytes(n, n_threads), amount_sum(tokens, blocks));
}
