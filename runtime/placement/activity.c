// SPDX-License-Identifier: GPL-2.0-only
/* The chunks of one layer, one after the other in one bit matrix. */
#include "placement/activity.h"

#include <stdlib.h>

#include "base/bits.h"

bool activity_part_has(enum activity_part part, const struct trace *trace, uint32_t chunk)
{
	return part == ACTIVITY_ALL ||
	       trace_chunk_unseen(trace, chunk) == (part == ACTIVITY_UNSEEN);
}

uint64_t activity_tokens(const struct trace *trace, enum activity_part part)
{
	uint64_t n_tokens = 0;

	for (uint32_t chunk = 0; chunk < trace_chunks(trace); chunk++)
		if (activity_part_has(part, trace, chunk))
			n_tokens += trace_chunk_tokens(trace, chunk);
	return n_tokens;
}

/*
 * Whether a chunk belongs to a spread of at most `most` of `all` tokens, of which `taken` of
 * the `passed` first ones do: if they then keep to their share.
 */
static bool is_due(uint64_t most, uint64_t all, uint64_t taken, uint64_t passed, uint32_t chunk)
{
	return most >= all || (double)(taken + chunk) * (double)all <=
				      (double)most * (double)(passed + chunk);
}

/* Which chunks, and how many tokens that are. */
static uint64_t choose_chunks(const struct trace *trace, enum activity_part part, uint64_t most,
			      bool *chosen)
{
	uint64_t all = activity_tokens(trace, part), taken = 0, passed = 0;

	for (uint32_t chunk = 0; chunk < trace_chunks(trace); chunk++) {
		uint32_t n = trace_chunk_tokens(trace, chunk);

		if (!activity_part_has(part, trace, chunk))
			continue;
		chosen[chunk] = is_due(most, all, taken, passed, n);
		taken += chosen[chunk] ? n : 0;
		passed += n;
	}
	return taken;
}

static int read_chunks(const struct trace *trace, uint32_t layer, const bool *chosen,
		       struct activity *activity, struct error *err)
{
	size_t words = bits_words(activity->n_neurons);
	uint64_t *to = activity->fired;
	int ret = 0;

	for (uint32_t chunk = 0; ret == 0 && chunk < trace_chunks(trace); chunk++) {
		if (!chosen[chunk])
			continue;
		ret = trace_read_layer(trace, chunk, layer, to, NULL, err);
		to += trace_chunk_tokens(trace, chunk) * words;
	}
	return ret;
}

int activity_load_spread(const struct trace *trace, uint32_t layer, enum activity_part part,
			 uint64_t most, struct activity *activity, struct error *err)
{
	bool *chosen = calloc(trace_chunks(trace) + 1, sizeof(*chosen));
	uint64_t tokens;
	int ret;

	*activity = (struct activity){ .n_neurons = trace_get_shape(trace)->n_neurons };
	if (!chosen)
		return error_no_memory(err, "the chunks of a trace");
	tokens = choose_chunks(trace, part, most, chosen);
	activity->n_tokens = tokens;
	/* calloc() checks the product; a part without tokens still gets an address. */
	activity->fired = calloc(tokens ? tokens : 1,
				 bits_words(activity->n_neurons) * sizeof(*activity->fired));
	ret = activity->fired ? read_chunks(trace, layer, chosen, activity, err)
			      : error_no_memory(err, "the activity of a layer");
	if (ret < 0)
		activity_free(activity);
	free(chosen);
	return ret;
}

int activity_load(const struct trace *trace, uint32_t layer, enum activity_part part,
		  struct activity *activity, struct error *err)
{
	return activity_load_spread(trace, layer, part, UINT64_MAX, activity, err);
}

void activity_free(struct activity *activity)
{
	free(activity->fired);
	activity->fired = NULL;
}

void activity_frequency(const struct activity *activity, uint32_t *frequency)
{
	size_t n = activity->n_neurons, words = bits_words(n);

	for (size_t i = 0; i < n; i++)
		frequency[i] = 0;
	for (uint64_t t = 0; t < activity->n_tokens; t++) {
		const uint64_t *fired = activity->fired + t * words;

		for (size_t i = bits_next(fired, n, 0); i < n; i = bits_next(fired, n, i + 1))
			frequency[i]++;
	}
}
