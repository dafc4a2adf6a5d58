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

int activity_load(const struct trace *trace, uint32_t layer, enum activity_part part,
		  struct activity *activity, struct error *err)
{
	size_t words = bits_words(trace_get_shape(trace)->n_neurons);
	uint64_t n_tokens = 0;
	uint64_t *fired, *to;

	for (uint32_t chunk = 0; chunk < trace_chunks(trace); chunk++)
		if (activity_part_has(part, trace, chunk))
			n_tokens += trace_chunk_tokens(trace, chunk);
	/* calloc() checks the product; a part without tokens still gets an address. */
	fired = calloc(n_tokens ? n_tokens : 1, words * sizeof(*fired));
	if (!fired)
		return error_no_memory(err, "the activity of a layer");
	to = fired;
	for (uint32_t chunk = 0; chunk < trace_chunks(trace); chunk++) {
		int ret;

		if (!activity_part_has(part, trace, chunk))
			continue;
		ret = trace_read_layer(trace, chunk, layer, to, NULL, err);
		if (ret < 0) {
			free(fired);
			return ret;
		}
		to += trace_chunk_tokens(trace, chunk) * words;
	}
	activity->n_neurons = trace_get_shape(trace)->n_neurons;
	activity->n_tokens = n_tokens;
	activity->fired = fired;
	return 0;
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
