// SPDX-License-Identifier: GPL-2.0-only
#include "bench/token_slots.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"

static uint64_t *set_of(const struct token_slots *slots, uint32_t token, uint32_t layer)
{
	size_t index = (size_t)token * slots->n_layers + layer;

	return &slots->sets[index * bits_words(slots->n_slots)];
}

const uint64_t *token_slots_of(const struct token_slots *slots, uint32_t token, uint32_t layer)
{
	return set_of(slots, token, layer);
}

/* slot_of[neuron] of a layer; `scratch` is (n_slots). */
static int read_slot_of(const struct model_file *file, uint32_t layer, uint32_t *scratch,
			uint32_t *slot_of, struct error *err)
{
	size_t tensor = model_file_find(file, MODEL_HINT_NEURON, layer);
	int ret;

	ret = model_file_read(file, tensor, scratch, err);
	return ret < 0 ? ret : model_file_invert(file, layer, scratch, slot_of, err);
}

/* Tokens that follow each other, the first of them number `token`, through a layer's placement. */
static void place_tokens(struct token_slots *slots, uint32_t layer, const uint32_t *slot_of,
			 const uint64_t *fired, uint32_t token, uint32_t n)
{
	size_t words = bits_words(slots->n_slots);

	for (uint32_t i = 0; i < n; i++) {
		const uint64_t *neurons = &fired[i * words];
		uint64_t *set = set_of(slots, token + i, layer);

		for (size_t neuron = bits_next(neurons, slots->n_slots, 0);
		     neuron < slots->n_slots;
		     neuron = bits_next(neurons, slots->n_slots, neuron + 1))
			bits_set(set, slot_of[neuron]);
	}
}

static int read_layer(const struct trace *trace, struct token_slots *slots, uint32_t layer,
		      const uint32_t *slot_of, uint64_t *fired, struct error *err)
{
	uint32_t before = slots->first; /* tokens from the chunk on that are not wanted */
	uint32_t token = 0;

	for (uint32_t chunk = 0; token < slots->n_tokens; chunk++) {
		uint32_t n = trace_chunk_tokens(trace, chunk);
		int ret;

		if (before >= n) {
			before -= n;
			continue;
		}
		ret = trace_read_layer(trace, chunk, layer, fired, NULL, err);
		if (ret < 0)
			return ret;
		n -= before;
		if (n > slots->n_tokens - token)
			n = slots->n_tokens - token;
		place_tokens(slots, layer, slot_of, fired + before * bits_words(slots->n_slots),
			     token, n);
		token += n;
		before = 0;
	}
	return 0;
}

static int read_layers(const struct model_file *file, const struct trace *trace,
		       struct token_slots *slots, struct error *err)
{
	size_t words = bits_words(slots->n_slots);
	uint32_t *scratch = calloc(slots->n_slots, sizeof(*scratch));
	uint32_t *slot_of = calloc(slots->n_slots, sizeof(*slot_of));
	uint64_t *fired = calloc(TRACE_CHUNK_TOKENS * words, sizeof(*fired));
	int ret = 0;

	if (!scratch || !slot_of || !fired)
		ret = error_no_memory(err, "a chunk of the trace");
	for (uint32_t layer = 0; ret == 0 && layer < slots->n_layers; layer++) {
		ret = read_slot_of(file, layer, scratch, slot_of, err);
		if (ret == 0)
			ret = read_layer(trace, slots, layer, slot_of, fired, err);
	}
	free(fired);
	free(slot_of);
	free(scratch);
	return ret;
}

int token_slots_check(const struct model_file *file, const struct trace *trace,
		      const char *trace_path, struct error *err)
{
	const struct trace_shape *shape = trace_get_shape(trace);

	if (shape->model_id == file->origin.model_id &&
	    shape->n_layers == file->config.n_layers && shape->n_neurons == file->config.n_ffn)
		return 0;
	return error_set(err, -EINVAL, "%s: the trace of another model than %s", trace_path,
			 gguf_path(file->gguf));
}

int token_slots_read(const struct model_file *file, const struct trace *trace,
		     const char *trace_path, uint32_t first, uint32_t n_tokens,
		     struct token_slots *slots, struct error *err)
{
	const struct trace_shape *shape = trace_get_shape(trace);
	uint64_t all = trace_tokens(trace), tokens = all > first ? all - first : 0;
	int ret;

	*slots = (struct token_slots){
		.first = first,
		.n_tokens = tokens < n_tokens ? (uint32_t)tokens : n_tokens,
		.n_layers = shape->n_layers,
		.n_slots = shape->n_neurons,
	};
	ret = token_slots_check(file, trace, trace_path, err);
	if (ret < 0)
		return ret;
	slots->sets = calloc((size_t)slots->n_tokens * slots->n_layers,
			     bits_words(slots->n_slots) * sizeof(*slots->sets));
	if (!slots->sets)
		return error_no_memory(err, "the slots of the trace's tokens");
	ret = read_layers(file, trace, slots, err);
	if (ret < 0)
		token_slots_free(slots);
	return ret;
}

void token_slots_free(struct token_slots *slots)
{
	free(slots->sets);
	slots->sets = NULL;
}
