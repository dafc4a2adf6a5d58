// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/byte_model.h"

#include "base/utf8.h"
#include "helpers/test.h"
#include "model/byte_symbols.h"
#include "model/model_file.h"

#define MEMORY 4096

void byte_model_write(const char *path, const struct model_config *config, uint16_t weight,
		      uint32_t first_neuron)
{
	const struct model_origin origin = { .name = "bytes", .placement = "identity" };
	char symbols[BYTE_MODEL_TOKENS][8] = { 0 };
	const char *tokens[BYTE_MODEL_TOKENS];
	uint8_t types[BYTE_MODEL_TOKENS];
	struct vocabulary vocabulary = {
		.n_tokens = BYTE_MODEL_TOKENS, .tokens = tokens, .types = types, .merges = tokens,
		.bos = BYTE_MODEL_BOS, .eos = BYTE_MODEL_BOS,
		.pad = TOKEN_NONE, .unknown = TOKEN_NONE, .add_bos = true,
	};
	struct model_layout layout;
	struct gguf_writer *writer;
	size_t model_id_place;
	struct error err;

	for (unsigned int i = 0; i < BYTE_MODEL_TOKENS; i++) {
		bool bos = i == BYTE_MODEL_BOS;

		if (!bos)
			utf8_encode(byte_to_symbol((uint8_t)i), symbols[i]);
		tokens[i] = bos ? "<s>" : symbols[i];
		types[i] = bos ? TOKEN_CONTROL : TOKEN_NORMAL;
	}
	assert_ok(model_layout_make(config, &layout, &err), &err);
	assert_ok(model_file_create(path, config, &origin, &vocabulary, &layout, &writer,
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
