// SPDX-License-Identifier: GPL-2.0-only
/* The orders that need no search, and what an order's links are worth. */
#include "placement/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "placement/order_judge.h"
#include "placement/order_private.h"

static const char *const method_names[ORDER_METHODS] = {
	[ORDER_IDENTITY] = "identity",
	[ORDER_RANDOM] = "random",
	[ORDER_FREQUENCY] = "frequency",
	[ORDER_LINKED] = "linked",
	[ORDER_BEST] = "best",
};

const char *order_method_name(enum order_method method)
{
	return (unsigned int)method < ORDER_METHODS ? method_names[method] : "unknown";
}

int order_method_parse(const char *name)
{
	for (int method = 0; method < ORDER_METHODS; method++)
		if (!strcmp(name, method_names[method]))
			return method;
	return -1;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int order_by_frequency(const uint32_t *frequency, uint32_t n, uint32_t *order, struct error *err)
{
	uint64_t *keys = malloc(n * sizeof(*keys));

	if (!keys)
		return error_no_memory(err, "ordering neurons by frequency");
	for (uint32_t i = 0; i < n; i++)
		keys[i] = (uint64_t)(UINT32_MAX - frequency[i]) << 32 | i;
	qsort(keys, n, sizeof(*keys), compare_u64);
	for (uint32_t i = 0; i < n; i++)
		order[i] = (uint32_t)keys[i];
	free(keys);
	return 0;
}

int order_make(enum order_method method, const struct order_input *input,
	       uint32_t *slot_to_neuron, struct error *err)
{
	uint32_t n = input->coactivation->n_neurons;
	struct random_state random;

	switch (method) {
	case ORDER_IDENTITY:
		for (uint32_t slot = 0; slot < n; slot++)
			slot_to_neuron[slot] = slot;
		return 0;
	case ORDER_RANDOM:
		random_seed(&random, input->seed);
		random_permutation(&random, slot_to_neuron, n);
		return 0;
	case ORDER_FREQUENCY:
		return order_by_frequency(input->coactivation->frequency, n, slot_to_neuron, err);
	case ORDER_LINKED:
		return order_linked(input->coactivation, slot_to_neuron, err);
	case ORDER_BEST:
		return order_judged(input, slot_to_neuron, err);
	case ORDER_METHODS:
		break;
	}
	return error_set(err, -EINVAL, "there is no placement method %d", (int)method);
}

void order_strengths(const struct coactivation *coactivation, const uint32_t *neuron_at,
		     size_t n_positions, float *strength)
{
	for (size_t i = 0; i < n_positions; i++) {
		uint32_t neuron = neuron_at[i];
		uint32_t frequency = coactivation->frequency[neuron];

		strength[i] = 0;
		if (i + 1 < n_positions && neuron_at[i + 1] != neuron && frequency)
			strength[i] = (float)coactivation_pair(coactivation, neuron,
							       neuron_at[i + 1]) /
				      (float)frequency;
	}
}
