// SPDX-License-Identifier: GPL-2.0-only
#include "synth/synth_activity.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

/* How finely the mean over moods is taken, from -4 to 4 deviations. */
#define MOODS 33
/* Halvings of the interval that a layer's level is in. */
#define LEVEL_STEPS 60
/* A mood lasts: correlation from one token to the next. */
#define MOOD_PERSISTENCE 0.5

struct cluster {
	double logit; /* z's share */
	double odds; /* of being on for a token of mood 0 */
	uint32_t first, n; /* of members */
	bool on;
};

struct synth_layer {
	struct synth_parameters parameters;
	struct random_state random;
	uint32_t n_neurons;
	uint32_t n_clusters;
	struct cluster *clusters; /* room for n_neurons */
	uint32_t *members; /* (n_neurons): neurons, those of a cluster together */
	double mood; /* of the last token, in deviations */
	bool started;
};

/* At least one, at most `left`; geometric, so that few are much larger than the mean. */
static uint32_t draw_size(struct synth_layer *layer, uint32_t left)
{
	const double end = 1 / layer->parameters.cluster_neurons;
	uint32_t size = 1;

	while (size < left && random_unit(&layer->random) >= end)
		size++;
	return size;
}

static void draw_clusters(struct synth_layer *layer)
{
	layer->n_clusters = 0;
	for (uint32_t first = 0; first < layer->n_neurons;) {
		struct cluster *cluster = &layer->clusters[layer->n_clusters++];

		*cluster = (struct cluster){
			.first = first,
			.n = draw_size(layer, layer->n_neurons - first),
			.logit = layer->parameters.frequency_spread *
				 random_normal(&layer->random),
		};
		first += cluster->n;
	}
	random_permutation(&layer->random, layer->members, layer->n_neurons);
}

/* The chance of being on, the mean over moods. */
static double mean_chance(const struct synth_layer *layer, double logit)
{
	double sum = 0, weights = 0;

	for (int i = 0; i < MOODS; i++) {
		double mood = -4 + 8.0 * i / (MOODS - 1), weight = exp(-mood * mood / 2);

		sum += weight / (1 + exp(-logit - layer->parameters.mood_spread * mood));
		weights += weight;
	}
	return sum / weights;
}

static double mean_share(const struct synth_layer *layer, double level)
{
	double on = 0;

	for (uint32_t c = 0; c < layer->n_clusters; c++)
		on += layer->clusters[c].n * mean_chance(layer, level + layer->clusters[c].logit);
	return on / layer->n_neurons * layer->parameters.member;
}

/* The level at which as many neurons fire as should, by halving. */
static void set_odds(struct synth_layer *layer)
{
	double low = -40, high = 40;

	for (int step = 0; step < LEVEL_STEPS; step++) {
		double middle = (low + high) / 2;

		if (mean_share(layer, middle) < layer->parameters.active_share)
			low = middle;
		else
			high = middle;
	}
	for (uint32_t c = 0; c < layer->n_clusters; c++)
		layer->clusters[c].odds = exp(low + layer->clusters[c].logit);
}

/* The control: every neuron by itself, as often as in its cluster, whatever the mood. */
static void split_clusters(struct synth_layer *layer)
{
	uint32_t at = layer->n_neurons;

	/* From the end on: there are no more clusters than neurons, so none is overwritten early. */
	for (uint32_t c = layer->n_clusters; c-- > 0;) {
		const struct cluster whole = layer->clusters[c];
		const double chance = mean_chance(layer, log(whole.odds));

		for (uint32_t i = whole.n; i-- > 0;)
			layer->clusters[--at] = (struct cluster){
				.odds = chance / (1 - chance),
				.first = whole.first + i,
				.n = 1,
			};
	}
	layer->n_clusters = layer->n_neurons;
	layer->parameters.mood_spread = 0;
}

static int check(uint32_t n_neurons, const struct synth_parameters *parameters, struct error *err)
{
	if (!n_neurons || !(parameters->member > 0 && parameters->member <= 1) ||
	    !(parameters->active_share > 0 && parameters->active_share < parameters->member) ||
	    !(parameters->cluster_neurons >= 1) || !(parameters->frequency_spread >= 0) ||
	    !(parameters->mood_spread >= 0) ||
	    !(parameters->persistence >= 0 && parameters->persistence < 1))
		return error_set(err, -EINVAL, "no layer of %u neurons can be drawn so",
				 n_neurons);
	return 0;
}

int synth_layer_create(uint32_t n_neurons, const struct synth_parameters *parameters,
		       bool independent, uint64_t seed, struct synth_layer **result,
		       struct error *err)
{
	struct synth_layer *layer;
	int ret = check(n_neurons, parameters, err);

	if (ret < 0)
		return ret;
	layer = calloc(1, sizeof(*layer));
	if (!layer)
		return error_no_memory(err, "a layer's neurons");
	layer->parameters = *parameters;
	layer->n_neurons = n_neurons;
	layer->clusters = calloc(n_neurons, sizeof(*layer->clusters));
	layer->members = calloc(n_neurons, sizeof(*layer->members));
	if (!layer->clusters || !layer->members) {
		synth_layer_free(layer);
		return error_no_memory(err, "a layer's neurons");
	}
	random_seed(&layer->random, seed);
	draw_clusters(layer);
	set_odds(layer);
	if (independent)
		split_clusters(layer);
	*result = layer;
	return 0;
}

void synth_layer_free(struct synth_layer *layer)
{
	if (!layer)
		return;
	free(layer->clusters);
	free(layer->members);
	free(layer);
}

static void next_mood(struct synth_layer *layer)
{
	const double kept = layer->started ? MOOD_PERSISTENCE : 0;

	layer->mood = kept * layer->mood + sqrt(1 - kept * kept) * random_normal(&layer->random);
}

static void fire_members(struct synth_layer *layer, const struct cluster *cluster,
			 uint64_t *fired)
{
	for (uint32_t i = 0; i < cluster->n; i++)
		if (random_unit(&layer->random) < layer->parameters.member)
			bits_set(fired, layer->members[cluster->first + i]);
}

void synth_layer_next(struct synth_layer *layer, uint64_t *fired)
{
	double odds_of_mood;

	next_mood(layer);
	odds_of_mood = exp(layer->parameters.mood_spread * layer->mood);
	memset(fired, 0, bits_words(layer->n_neurons) * sizeof(*fired));
	for (uint32_t c = 0; c < layer->n_clusters; c++) {
		struct cluster *cluster = &layer->clusters[c];
		const double odds = cluster->odds * odds_of_mood;

		if (!layer->started ||
		    random_unit(&layer->random) >= layer->parameters.persistence)
			cluster->on = random_unit(&layer->random) * (1 + odds) < odds;
		if (cluster->on)
			fire_members(layer, cluster, fired);
	}
	layer->started = true;
}
