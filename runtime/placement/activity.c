// SPDX-License-Identifier: GPL-2.0-only
/* The chunks of one layer, one after the other in one bit matrix. */
#include "placement/activity.h"

#include <stdlib.h>

#include "base/bits.h"

bool activity_has_chunk(const struct trace *trace, uint32_t chunk, enum activity_part part)
{
	return part == ACTIVITY_ALL ||
	       trace_chunk_unseen(trace, chunk) == (part == ACTIVITY_UNSEEN);
}

uint64_t activity_tokens(const struct trace *trace, enum activity_part part)
{
	uint64_t n_tokens = 0;

	for (uint32_t chunk = 0; chunk < trace_chunks(trace); chunk++)
		if (activity_has_chunk(trace, chunk, part))
			n_tokens += trace_chunk_tokens(trace, chunk);
	return n_tokens;
}

int activity_load(const struct trace *trace, uint32_t layer, enum activity_part part,
		  struct activity *activity, struct error *err)
{
	size_t words = bits_words(trace_get_shape(trace)->n_neurons);
	uint64_t n_tokens = activity_tokens(trace, part);
	uint64_t *fired, *to;

	/* calloc() checks the product; a part without tokens still gets an address. */
	fired = calloc(n_tokens ? n_tokens : 1, words * sizeof(*fired));
	if (!fired)
		return error_no_memory(err, "the activity of a layer");
	to = fired;
	for (uint32_t chunk = 0; chunk < trace_chunks(trace); chunk++) {
		int ret;

		if (!activity_has_chunk(trace, chunk, part))
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
