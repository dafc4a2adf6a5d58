// SPDX-License-Identifier: GPL-2.0-only
#include "placement/residency.h"

#include <stdlib.h>

#include "base/bits.h"

#define KEPT 0.917f /* from one token to the next: a half-life of 8 tokens */
#define USUAL_WEIGHT 0.6f
#define NEGLIGIBLE 1e-20f
/* How fast the threshold follows: too many by a tenth, half a per cent more. */
#define FOLLOW 0.05f
#define FIRST_THRESHOLD 0.3f

struct residency {
	uint32_t n;
	float *recent; /* (n) */
	float *usual; /* (n), weighted */
	float threshold; /* neurons with more are in DRAM */
	float capacity; /* neurons */
};

/* So that as many are above as fit, in the mean of some tokens. */
static void follow_threshold(struct residency *residency)
{
	uint32_t resident = 0;
	float excess;

	for (uint32_t i = 0; i < residency->n; i++)
		resident += residency->recent[i] + residency->usual[i] > residency->threshold;
	excess = ((float)resident - residency->capacity) / residency->capacity;
	residency->threshold *= 1 + FOLLOW * (excess < 1 ? excess : 1);
}

static void next_token(struct residency *residency, const uint64_t *fired, uint64_t *missed)
{
	size_t n = residency->n;

	follow_threshold(residency);
	for (size_t i = bits_next(fired, n, 0); i < n; i = bits_next(fired, n, i + 1))
		if (residency->recent[i] + residency->usual[i] <= residency->threshold)
			bits_set(missed, i);
	/* Not on to denormal numbers, which take a CPU many times as long. */
	for (size_t i = 0; i < n; i++)
		residency->recent[i] = residency->recent[i] > NEGLIGIBLE ?
					       residency->recent[i] * KEPT : 0;
	for (size_t i = bits_next(fired, n, 0); i < n; i = bits_next(fired, n, i + 1))
		residency->recent[i] += 1 - KEPT;
}

static int set_usual(struct residency *residency, const struct activity *activity,
		     struct error *err)
{
	size_t n = activity->n_neurons;
	uint32_t *frequency = malloc(n * sizeof(*frequency));
	float share = activity->n_tokens ? USUAL_WEIGHT / (float)activity->n_tokens : 0;

	if (!frequency)
		return error_no_memory(err, "how often neurons fire");
	activity_frequency(activity, frequency);
	for (size_t i = 0; i < n; i++)
		residency->usual[i] = (float)frequency[i] * share;
	free(frequency);
	return 0;
}

int residency_missed(const struct activity *activity, double cache_ratio, struct activity *missed,
		     struct error *err)
{
	uint32_t n = activity->n_neurons;
	size_t words = bits_words(n);
	struct residency residency = {
		.n = n,
		.recent = calloc(n, sizeof(float)),
		.usual = calloc(n, sizeof(float)),
		.threshold = FIRST_THRESHOLD,
		.capacity = (float)(cache_ratio * n),
	};
	int ret = 0;

	*missed = *activity;
	missed->fired = calloc(activity->n_tokens ? activity->n_tokens : 1,
			       words * sizeof(*missed->fired));
	if (!residency.recent || !residency.usual || !missed->fired) {
		activity_free(missed);
		ret = error_no_memory(err, "what a cache would not have");
		goto out;
	}
	/* Less than a neuron is none: all is missed. */
	if (residency.capacity < 1) {
		for (size_t i = 0; i < activity->n_tokens * words; i++)
			missed->fired[i] = activity->fired[i];
		goto out;
	}
	ret = set_usual(&residency, activity, err);
	if (ret < 0) {
		activity_free(missed);
		goto out;
	}
	for (uint64_t t = 0; t < activity->n_tokens; t++)
		next_token(&residency, activity->fired + t * words, missed->fired + t * words);
out:
	free(residency.recent);
	free(residency.usual);
	return ret;
}
