// SPDX-License-Identifier: GPL-2.0-only
#include "infer/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf_verify.h"

struct pack {
	const struct model_file *model;
	const struct placement *placement;
	const struct predictor *predictor;
	uint64_t *checksums; /* of the model's tensors */
	struct model_config config; /* of the result */
	struct model_layout layout; /* of the result */
	struct gguf_writer *writer;
	/* Where a layer's neurons are in the model, by neuron: slots, and positions of bundles. */
	uint32_t *old_slot; /* (n_ffn) */
	uint32_t *old_position; /* (n_ffn) */
	uint32_t *old_primary; /* (n_ffn): by slot */
	uint32_t *old_slot_at; /* (positions) */
	uint64_t bytes_done;
	uint64_t bytes_total;
	struct progress *progress;
};

static int put(struct pack *pack, const void *data, size_t length)
{
	pack->bytes_done += length;
	progress_report(pack->progress, (double)pack->bytes_done, (double)pack->bytes_total);
	return gguf_writer_data(pack->writer, data, length);
}

/* A tensor of the model, checked; the caller frees *data. */
static int read_old(const struct pack *pack, enum model_tensor_id id, uint32_t layer, void **data,
		    struct error *err)
{
	size_t i = model_file_find(pack->model, id, layer);
	int ret;

	*data = malloc(model_tensor_bytes(&pack->model->layout.tensors[i]));
	if (!*data)
		return error_no_memory(err, pack->model->layout.tensors[i].name);
	ret = gguf_verify_tensor(pack->model->gguf, pack->checksums, i, *data, err);
	if (ret < 0) {
		free(*data);
		*data = NULL;
	}
	return ret;
}

/* Find out where the layer's neurons are in the model. */
static int read_old_slots(struct pack *pack, uint32_t layer, struct error *err)
{
	void *neuron;
	int ret;

	ret = read_old(pack, MODEL_HINT_NEURON, layer, &neuron, err);
	if (ret == 0)
		ret = model_file_invert(pack->model, layer, neuron, pack->old_slot, err);
	free(neuron);
	if (ret == 0)
		ret = model_file_places(pack->model, layer, pack->old_slot_at, pack->old_primary, err);
	for (uint32_t i = 0; ret == 0 && i < pack->config.n_ffn; i++)
		pack->old_position[i] = pack->old_primary[pack->old_slot[i]];
	return ret;
}

static int copy_tensor(struct pack *pack, const struct model_tensor *tensor, struct error *err)
{
	void *data;
	int ret;

	ret = read_old(pack, tensor->id, tensor->layer, &data, err);
	if (ret == 0)
		ret = put(pack, data, model_tensor_bytes(tensor));
	free(data);
	return ret;
}

/* Rows of the model, by old slot, in the order of the new slots. */
static int reorder_tensor(struct pack *pack, const struct model_tensor *tensor, struct error *err)
{
	const uint32_t *neuron = pack->placement->layers[tensor->layer].slot_to_neuron;
	size_t row = model_tensor_bytes(tensor) / pack->config.n_ffn;
	void *data;
	int ret;

	ret = read_old(pack, tensor->id, tensor->layer, &data, err);
	for (uint32_t slot = 0; slot < pack->config.n_ffn && ret == 0; slot++)
		ret = put(pack, (char *)data + pack->old_slot[neuron[slot]] * row, row);
	free(data);
	return ret;
}

/* Bundles of the model in the order of the new positions: copies come as their turn is. */
static int write_bundles(struct pack *pack, const struct model_tensor *tensor, struct error *err)
{
	const struct placement_layer *layer = &pack->placement->layers[tensor->layer];
	size_t stride = model_bundle_stride(&pack->config);
	void *data;
	int ret;

	ret = read_old(pack, tensor->id, tensor->layer, &data, err);
	for (uint32_t i = 0; i < model_positions(&pack->config) && ret == 0; i++) {
		uint32_t slot = layer->slot_at ? layer->slot_at[i] : i;
		uint32_t neuron = layer->slot_to_neuron[slot];

		ret = put(pack, (char *)data + pack->old_position[neuron] * stride, stride);
	}
	free(data);
	return ret;
}

/* Rows of the new predictor, by neuron, in the order of the new slots. */
static int put_predictor_rows(struct pack *pack, const struct model_tensor *tensor,
			      const void *rows)
{
	const uint32_t *neuron = pack->placement->layers[tensor->layer].slot_to_neuron;
	size_t row = model_tensor_bytes(tensor) / pack->config.n_ffn;
	int ret = 0;

	for (uint32_t slot = 0; slot < pack->config.n_ffn && ret == 0; slot++)
		ret = put(pack, (const char *)rows + neuron[slot] * row, row);
	return ret;
}

static int write_predictor_tensor(struct pack *pack, const struct model_tensor *tensor,
				  struct error *err)
{
	const struct predictor_layer *layer;

	if (!pack->predictor)
		return tensor->id == MODEL_PREDICTOR_DOWN ? copy_tensor(pack, tensor, err) :
							    reorder_tensor(pack, tensor, err);
	layer = &pack->predictor->layers[tensor->layer];
	if (tensor->id == MODEL_PREDICTOR_DOWN)
		return put(pack, layer->down, model_tensor_bytes(tensor));
	if (tensor->id == MODEL_PREDICTOR_UP)
		return put_predictor_rows(pack, tensor, layer->up);
	return put_predictor_rows(pack, tensor, layer->bias);
}

static int write_tensor(struct pack *pack, const struct model_tensor *tensor, struct error *err)
{
	const struct placement_layer *layer = tensor->layer == MODEL_NO_LAYER ? NULL :
					      &pack->placement->layers[tensor->layer];

	switch (tensor->id) {
	case MODEL_FFN_UP_BIAS:
		return reorder_tensor(pack, tensor, err);
	case MODEL_BUNDLES:
		return write_bundles(pack, tensor, err);
	case MODEL_PREDICTOR_DOWN:
	case MODEL_PREDICTOR_UP:
	case MODEL_PREDICTOR_BIAS:
		return write_predictor_tensor(pack, tensor, err);
	case MODEL_HINT_NEURON:
		return put(pack, layer->slot_to_neuron, model_tensor_bytes(tensor));
	case MODEL_HINT_LINK:
		return put(pack, layer->strength, model_tensor_bytes(tensor));
	case MODEL_HINT_FREQUENCY:
		return put(pack, layer->frequency, model_tensor_bytes(tensor));
	case MODEL_PLACES:
		return put(pack, layer->slot_at, model_tensor_bytes(tensor));
	default:
		return copy_tensor(pack, tensor, err);
	}
}

static int write_tensors(struct pack *pack, struct error *err)
{
	uint32_t layer = MODEL_NO_LAYER;
	int ret = 0;

	for (size_t i = 0; i < pack->layout.n_tensors; i++)
		pack->bytes_total += model_tensor_bytes(&pack->layout.tensors[i]);
	for (size_t i = 0; i < pack->layout.n_tensors && ret == 0; i++) {
		const struct model_tensor *tensor = &pack->layout.tensors[i];

		if (tensor->layer != layer && tensor->layer != MODEL_NO_LAYER)
			ret = read_old_slots(pack, tensor->layer, err);
		layer = tensor->layer;
		if (ret == 0)
			ret = write_tensor(pack, tensor, err);
	}
	return ret;
}

static int check_match(const struct pack *pack, struct error *err)
{
	const struct model_config *config = &pack->model->config;
	const struct placement *placement = pack->placement;
	const struct predictor *predictor = pack->predictor;
	uint64_t id = pack->model->origin.model_id;
	const char *path = gguf_path(pack->model->gguf);

	if (placement->model_id != id || placement->n_layers != config->n_layers ||
	    placement->n_neurons != config->n_ffn)
		return error_set(err, -EINVAL,
				 "%s: the placement was made for another model; trace "
				 "and place this one",
				 path);
	if (predictor && (predictor->model_id != id || predictor->n_layers != config->n_layers ||
			  predictor->n_neurons != config->n_ffn ||
			  predictor->d_model != config->d_model))
		return error_set(err, -EINVAL, "%s: the predictor was trained for another model; "
				 "trace and train this one", path);
	return 0;
}

static int write_model(struct pack *pack, const char *output, struct error *err)
{
	struct model_origin origin = pack->model->origin;
	struct vocabulary *vocabulary;
	size_t model_id_place;
	int ret;

	strcpy(origin.placement, order_method_name(pack->placement->method));
	origin.placement_tokens = pack->placement->n_tokens;
	ret = model_file_vocabulary(pack->model, &vocabulary, err);
	if (ret < 0)
		return ret;
	ret = model_file_create(output, &pack->config, &origin, vocabulary, &pack->layout,
				&pack->writer, &model_id_place, err);
	vocabulary_free(vocabulary);
	if (ret < 0)
		return ret;
	ret = write_tensors(pack, err);
	/* A failed write is the writer's error; commit passes it on. */
	if (ret < 0 && gguf_writer_status(pack->writer) == 0) {
		gguf_writer_abort(pack->writer);
		return ret;
	}
	return gguf_writer_commit(pack->writer, err);
}

static int allocate(struct pack *pack, struct error *err)
{
	const struct model_config *config = &pack->model->config;
	size_t n = config->n_ffn;

	pack->old_slot = malloc(n * sizeof(*pack->old_slot));
	pack->old_position = malloc(n * sizeof(*pack->old_position));
	pack->old_primary = malloc(n * sizeof(*pack->old_primary));
	pack->old_slot_at = malloc(model_positions(config) * sizeof(*pack->old_slot_at));
	if (pack->old_slot && pack->old_position && pack->old_primary && pack->old_slot_at)
		return 0;
	return error_no_memory(err, "the order of a layer");
}

int pack_model(const struct model_file *model, const struct placement *placement,
	       const struct predictor *predictor, const char *output, struct progress *progress,
	       struct error *err)
{
	struct pack pack = {
		.model = model,
		.placement = placement,
		.predictor = predictor,
		.config = model->config,
		.progress = progress,
	};
	int ret;

	ret = check_match(&pack, err);
	if (ret < 0)
		return ret;
	if (predictor)
		pack.config.predictor_rank = predictor->rank;
	pack.config.n_positions = placement->n_positions;
	ret = allocate(&pack, err);
	if (ret == 0)
		ret = gguf_load_checksums(model->gguf, &pack.checksums, err);
	if (ret == 0)
		ret = model_layout_make(&pack.config, &pack.layout, err);
	if (ret == 0)
		ret = write_model(&pack, output, err);
	model_layout_free(&pack.layout);
	free(pack.checksums);
	free(pack.old_slot);
	free(pack.old_position);
	free(pack.old_primary);
	free(pack.old_slot_at);
	return ret;
}
