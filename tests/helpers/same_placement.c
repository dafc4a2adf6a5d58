// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/same_placement.h"

#include "helpers/test.h"

void assert_same_placement(const struct placement *a, const struct placement *b)
{
	size_t bytes = a->n_neurons * sizeof(uint32_t);

	assert_int_equal(a->method, b->method);
	assert_int_equal(a->n_layers, b->n_layers);
	assert_int_equal(a->n_neurons, b->n_neurons);
	assert_int_equal(a->model_id, b->model_id);
	assert_int_equal(a->n_tokens, b->n_tokens);
	assert_int_equal(a->n_positions, b->n_positions);
	for (uint32_t l = 0; l < a->n_layers; l++) {
		assert_memory_equal(a->layers[l].slot_to_neuron, b->layers[l].slot_to_neuron,
				    bytes);
		assert_memory_equal(a->layers[l].strength, b->layers[l].strength,
				    placement_positions(a) * sizeof(float));
		assert_memory_equal(a->layers[l].frequency, b->layers[l].frequency, bytes);
		if (a->n_positions)
			assert_memory_equal(a->layers[l].slot_at, b->layers[l].slot_at,
					    a->n_positions * sizeof(uint32_t));
	}
}
