// SPDX-License-Identifier: GPL-2.0-only
#include "infer/usage.h"

#include <stdlib.h>

#include "base/bits.h"

static int count_layer(struct session_observer *observer, const struct session_layer_event *event,
		       struct error *err)
{
	struct usage *usage = (struct usage *)observer;
	struct usage_layer *layer = &usage->layers[event->layer];
	size_t words = event->n_tokens * bits_words(usage->n_neurons);
	struct usage_layer now = { 0 };

	(void)err;
	for (size_t i = 0; i < words; i++) {
		/* A dense run wants everything; tail bits never fire, so only `wanted` differs. */
		uint64_t wanted = event->wanted ? event->wanted[i] : ~UINT64_C(0);

		now.fired += (uint64_t)__builtin_popcountll(event->fired[i]);
		now.wanted += (uint64_t)__builtin_popcountll(wanted);
		now.both += (uint64_t)__builtin_popcountll(event->fired[i] & wanted);
	}
	if (!event->wanted)
		now.wanted = (uint64_t)event->n_tokens * usage->n_neurons;
	layer->fired += now.fired;
	layer->wanted += now.wanted;
	layer->both += now.both;
	usage->total.fired += now.fired;
	usage->total.wanted += now.wanted;
	usage->total.both += now.both;
	if (event->layer == 0)
		usage->n_tokens += event->n_tokens;
	return 0;
}

int usage_create(const struct model_config *config, struct usage **result, struct error *err)
{
	struct usage *usage = calloc(1, sizeof(*usage));

	if (!usage)
		return error_no_memory(err, "usage counts");
	usage->layers = calloc(config->n_layers, sizeof(usage->layers[0]));
	if (!usage->layers) {
		free(usage);
		return error_no_memory(err, "usage counts");
	}
	usage->observer.layer = count_layer;
	usage->n_layers = config->n_layers;
	usage->n_neurons = config->n_ffn;
	*result = usage;
	return 0;
}

void usage_free(struct usage *usage)
{
	if (!usage)
		return;
	free(usage->layers);
	free(usage);
}

static double share(uint64_t part, double whole)
{
	return whole > 0 ? (double)part / whole : 0;
}

static double all_neurons(const struct usage *usage)
{
	return (double)usage->n_tokens * usage->n_layers * usage->n_neurons;
}

double usage_active_share(const struct usage *usage)
{
	return share(usage->total.fired, all_neurons(usage));
}

double usage_wanted_share(const struct usage *usage)
{
	return share(usage->total.wanted, all_neurons(usage));
}

double usage_recall(const struct usage_layer *counts)
{
	return share(counts->both, (double)counts->fired);
}

double usage_precision(const struct usage_layer *counts)
{
	return share(counts->both, (double)counts->wanted);
}
