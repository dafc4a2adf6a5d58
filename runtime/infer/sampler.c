// SPDX-License-Identifier: GPL-2.0-only
#include "infer/sampler.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/random.h"

struct candidate {
	float value; /* logit, later probability (not normalized) */
	uint32_t id;
};

struct sampler {
	struct sampler_options options;
	uint32_t n_vocab;
	struct random_state random;
	struct candidate *candidates; /* (n_vocab) */
};

/* Twice: qsort() may copy what it sorts. */
uint64_t sampler_bytes(uint32_t n_vocab)
{
	return 2 * (uint64_t)n_vocab * sizeof(struct candidate);
}

int sampler_create(const struct sampler_options *options, uint32_t n_vocab,
		   struct sampler **result, struct error *err)
{
	struct sampler *sampler;

	if (!(options->temperature >= 0) || !isfinite(options->temperature))
		return error_set(err, -EINVAL, "temperature %g: has to be 0 or more",
				 (double)options->temperature);
	if (!(options->top_p > 0 && options->top_p <= 1))
		return error_set(err, -EINVAL, "top-p %g: has to be above 0 and at most 1",
				 (double)options->top_p);
	sampler = malloc(sizeof(*sampler));
	if (!sampler)
		return error_no_memory(err, "a sampler");
	sampler->options = *options;
	sampler->n_vocab = n_vocab;
	random_seed(&sampler->random, options->seed);
	sampler->candidates = malloc(n_vocab * sizeof(sampler->candidates[0]));
	if (!sampler->candidates) {
		free(sampler);
		return error_no_memory(err, "a sampler");
	}
	*result = sampler;
	return 0;
}

void sampler_destroy(struct sampler *sampler)
{
	if (!sampler)
		return;
	free(sampler->candidates);
	free(sampler);
}

static uint32_t most_likely(const float *logits, uint32_t n)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < n; i++)
		if (logits[i] > logits[best])
			best = i;
	return best;
}

static int by_value_then_id(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->value != b->value)
		return a->value < b->value ? 1 : -1;
	return (a->id > b->id) - (a->id < b->id);
}

/* Logits to probabilities relative to the first, the largest; returns their sum. */
static double to_probabilities(struct candidate *candidates, uint32_t n, float temperature)
{
	float largest = candidates[0].value;
	double sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		candidates[i].value = expf((candidates[i].value - largest) / temperature);
		sum += candidates[i].value;
	}
	return sum;
}

uint32_t sampler_pick(struct sampler *sampler, const float *logits)
{
	const struct sampler_options *options = &sampler->options;
	struct candidate *candidates = sampler->candidates;
	uint32_t n = sampler->n_vocab, kept;
	double sum, reached = 0, point;

	if (options->temperature == 0)
		return most_likely(logits, n);
	for (uint32_t i = 0; i < n; i++)
		candidates[i] = (struct candidate){ .value = logits[i], .id = i };
	qsort(candidates, n, sizeof(candidates[0]), by_value_then_id);
	if (options->top_k && options->top_k < n)
		n = options->top_k;
	sum = to_probabilities(candidates, n, options->temperature);
	for (kept = 0; kept < n && reached < options->top_p * sum; kept++)
		reached += candidates[kept].value;
	point = random_unit(&sampler->random) * reached;
	for (uint32_t i = 0; i + 1 < kept; i++) {
		point -= candidates[i].value;
		if (point < 0)
			return candidates[i].id;
	}
	return candidates[kept - 1].id;
}
