// SPDX-License-Identifier: GPL-2.0-only
#include "infer/train_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"

/* As stored: by slot. */
struct slots {
	uint16_t *bundles; /* (positions, model_bundle_rows() * d_model) */
	uint32_t *slot_at; /* (positions) */
	uint32_t *primary; /* (n_ffn): positions */
	float *bias; /* (n_ffn) */
	uint32_t *neuron; /* (n_ffn) */
};

static int read_tensor(const struct model_file *model, enum model_tensor_id id, uint32_t layer,
		       void *data, struct error *err)
{
	return model_file_read(model, model_file_find(model, id, layer), data, err);
}

static int read_slots(const struct model_file *model, uint32_t layer, struct slots *slots,
		      struct error *err)
{
	bool gated = model_is_gated(&model->config);
	size_t n = model->config.n_ffn, positions = model_positions(&model->config);
	int ret;

	slots->bundles = malloc(positions * model_bundle_stride(&model->config));
	slots->slot_at = malloc(positions * sizeof(*slots->slot_at));
	slots->primary = malloc(n * sizeof(*slots->primary));
	slots->bias = malloc(n * sizeof(*slots->bias));
	slots->neuron = malloc(n * sizeof(*slots->neuron));
	if (!slots->bundles || !slots->slot_at || !slots->primary || !slots->bias || !slots->neuron)
		return error_no_memory(err, "a layer's bundles");
	ret = read_tensor(model, MODEL_BUNDLES, layer, slots->bundles, err);
	if (ret == 0 && !gated)
		ret = read_tensor(model, MODEL_FFN_UP_BIAS, layer, slots->bias, err);
	for (size_t slot = 0; gated && slot < n; slot++)
		slots->bias[slot] = -model->config.activation_threshold;
	if (ret == 0)
		ret = read_tensor(model, MODEL_HINT_NEURON, layer, slots->neuron, err);
	if (ret == 0)
		ret = model_file_places(model, layer, slots->slot_at, slots->primary, err);
	return ret;
}

static void free_slots(struct slots *slots)
{
	free(slots->bundles);
	free(slots->slot_at);
	free(slots->primary);
	free(slots->bias);
	free(slots->neuron);
}

static int allocate(const struct model_config *config, struct train_weights *weights,
		    struct error *err)
{
	size_t matrix = (size_t)config->n_ffn * config->d_model * sizeof(uint16_t);
	bool gated = model_is_gated(config);

	weights->rows = malloc(matrix);
	weights->bias = malloc(config->n_ffn * sizeof(float));
	weights->up = gated ? malloc(matrix) : NULL;
	weights->column_norm = malloc(config->n_ffn * sizeof(float));
	if (!weights->rows || !weights->bias || (gated && !weights->up) || !weights->column_norm)
		return error_no_memory(err, "a layer's weights");
	return 0;
}

static float norm(const uint16_t *halves, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)f16_to_f32(halves[i]) * f16_to_f32(halves[i]);
	return (float)sqrt(sum);
}

static int order_by_neuron(const struct model_file *model, uint32_t layer,
			   const struct slots *slots, struct train_weights *weights,
			   struct error *err)
{
	size_t d = model->config.d_model, n = model->config.n_ffn;
	size_t rows = model_bundle_rows(&model->config);
	uint32_t *slot_of = malloc(n * sizeof(*slot_of));
	int ret;

	if (!slot_of)
		return error_no_memory(err, "a layer's neurons");
	ret = model_file_invert(model, layer, slots->neuron, slot_of, err);
	for (size_t j = 0; j < n && ret == 0; j++) {
		const uint16_t *bundle = slots->bundles + slots->primary[slot_of[j]] * rows * d;

		memcpy(weights->rows + j * d, bundle, d * sizeof(uint16_t));
		if (weights->up)
			memcpy(weights->up + j * d, bundle + d, d * sizeof(uint16_t));
		weights->bias[j] = slots->bias[slot_of[j]];
		weights->column_norm[j] = norm(bundle + (rows - 1) * d, d);
	}
	free(slot_of);
	return ret;
}

int train_weights_read(const struct model_file *model, uint32_t layer,
		       struct train_weights *weights, struct error *err)
{
	struct slots slots = { 0 };
	int ret;

	*weights = (struct train_weights){ 0 };
	ret = allocate(&model->config, weights, err);
	if (ret == 0)
		ret = read_slots(model, layer, &slots, err);
	if (ret == 0)
		ret = order_by_neuron(model, layer, &slots, weights, err);
	free_slots(&slots);
	if (ret < 0)
		train_weights_free(weights);
	return ret;
}

void train_weights_free(struct train_weights *weights)
{
	free(weights->rows);
	free(weights->up);
	free(weights->bias);
	free(weights->column_norm);
	*weights = (struct train_weights){ 0 };
}
