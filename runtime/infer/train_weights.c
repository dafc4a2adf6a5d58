// SPDX-License-Identifier: GPL-2.0-only
#include "infer/train_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"

/* As stored: by slot. */
struct slots {
	uint16_t *bundles; /* (n_ffn, 2 * d_model) */
	float *up_bias;	   /* (n_ffn) */
	uint32_t *neuron;  /* (n_ffn) */
};

static int read_tensor(const struct model_file *model, enum model_tensor_id id, uint32_t layer,
		       void *data, struct error *err)
{
	return model_file_read(model, model_file_find(model, id, layer), data, err);
}

static int read_slots(const struct model_file *model, uint32_t layer, struct slots *slots,
		      struct error *err)
{
	size_t n = model->config.n_ffn;
	int ret;

	slots->bundles = malloc(n * model_bundle_stride(&model->config));
	slots->up_bias = malloc(n * sizeof(*slots->up_bias));
	slots->neuron = malloc(n * sizeof(*slots->neuron));
	if (!slots->bundles || !slots->up_bias || !slots->neuron)
		return error_no_memory(err, "a layer's bundles");
	ret = read_tensor(model, MODEL_BUNDLES, layer, slots->bundles, err);
	if (ret == 0)
		ret = read_tensor(model, MODEL_FFN_UP_BIAS, layer, slots->up_bias, err);
	if (ret == 0)
		ret = read_tensor(model, MODEL_HINT_NEURON, layer, slots->neuron, err);
	return ret;
}

static void free_slots(struct slots *slots)
{
	free(slots->bundles);
	free(slots->up_bias);
	free(slots->neuron);
}

static int allocate(const struct model_config *config, struct train_weights *weights,
		    struct error *err)
{
	weights->up = malloc((size_t)config->n_ffn * config->d_model * sizeof(uint16_t));
	weights->up_bias = malloc(config->n_ffn * sizeof(float));
	weights->column_norm = malloc(config->n_ffn * sizeof(float));
	if (!weights->up || !weights->up_bias || !weights->column_norm)
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
	uint32_t *slot_of = malloc(n * sizeof(*slot_of));
	int ret;

	if (!slot_of)
		return error_no_memory(err, "a layer's neurons");
	ret = model_file_invert(model, layer, slots->neuron, slot_of, err);
	for (size_t j = 0; j < n && ret == 0; j++) {
		const uint16_t *bundle = slots->bundles + slot_of[j] * 2 * d;

		memcpy(weights->up + j * d, bundle, d * sizeof(uint16_t));
		weights->up_bias[j] = slots->up_bias[slot_of[j]];
		weights->column_norm[j] = norm(bundle + d, d);
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
	free(weights->up);
	free(weights->up_bias);
	free(weights->column_norm);
	*weights = (struct train_weights){ 0 };
}
