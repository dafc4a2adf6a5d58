// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/byte_model.h"

#include "helpers/test.h"
#include "model/model_file.h"

#define MEMORY 4096

void byte_model_write(const char *path, const struct model_config *config, uint16_t weight,
		      uint32_t first_neuron)
{
	const struct model_origin origin = { .name = "bytes", .placement = "identity" };
	struct byte_vocabulary bytes;
	struct model_layout layout;
	struct gguf_writer *writer;
	size_t model_id_place;
	struct error err;

	byte_vocabulary_make(&bytes);
	assert_ok(model_layout_make(config, &layout, &err), &err);
	assert_ok(model_file_create(path, config, &origin, &bytes.vocabulary, &layout, &writer,
				    &model_id_place, &err), &err);
	for (size_t i = 0; i < layout.n_tensors; i++) {
		const struct model_tensor *tensor = &layout.tensors[i];
		union {
			uint16_t halves[MEMORY / 2];
			uint32_t words[MEMORY / 4];
		} data = { 0 };

		assert_true(model_tensor_bytes(tensor) <= sizeof(data));
		for (uint32_t slot = 0; tensor->id == MODEL_HINT_NEURON && slot < config->n_ffn;
		     slot++)
			data.words[slot] = slot ? slot : first_neuron;
		if (tensor->type == GGUF_TENSOR_F16)
			data.halves[0] = weight;
		gguf_writer_data(writer, &data, model_tensor_bytes(tensor));
	}
	assert_ok(gguf_writer_commit(writer, &err), &err);
	model_layout_free(&layout);
}
