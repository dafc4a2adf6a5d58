// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "helpers/io_model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "helpers/activity.h"
#include "helpers/test.h"
#include "helpers/tiny_model.h"
#include "placement/order_best.h"

#define MODEL_ID 9
#define D_MODEL (IO_MODEL_STRIDE / 4)
#define ALL (IO_MODEL_LAYERS * IO_MODEL_SLOTS)
#define CLUSTER 4
#define SHARE 0.1

static void write_model(const char *path)
{
	uint16_t *up = calloc(ALL * D_MODEL, sizeof(*up)), *down = calloc(ALL * D_MODEL, sizeof(*up));
	static const float zeros[ALL];
	uint32_t neuron[IO_MODEL_SLOTS];
	const struct tiny_model model = {
		.config = { .n_layers = IO_MODEL_LAYERS, .d_model = D_MODEL, .d_embed = D_MODEL,
			    .n_ffn = IO_MODEL_SLOTS, .n_heads = 1, .n_vocab = 16, .n_context = 8,
			    .norm_epsilon = 1e-5f, .final_norm = true, .tied = true },
		.model_id = MODEL_ID,
		.neuron = neuron, .up = up, .up_bias = zeros, .down = down,
		.link = zeros, .frequency = zeros,
	};

	assert_non_null(up);
	assert_non_null(down);
	for (uint32_t i = 0; i < IO_MODEL_SLOTS; i++)
		neuron[i] = i;
	for (uint32_t i = 0; i < ALL; i++) {
		up[i * D_MODEL] = (uint16_t)(i / IO_MODEL_SLOTS + 1);
		down[i * D_MODEL + D_MODEL - 1] = (uint16_t)(i % IO_MODEL_SLOTS + 1);
	}
	tiny_model_write(&model, path);
	free(up);
	free(down);
}

struct io_inputs_options io_model_options(const char *model, const char *trace)
{
	return (struct io_inputs_options){
		.effort = ORDER_BEST_DEFAULT_EFFORT,
		.model = model, .trace = trace, .n_tokens = 1000,
		.layouts = { true, true, true, true },
		/* An I/O costs 16 bundles: see make_order() of helpers/activity.h. */
		.cost = { .a_us = 16, .b_us_per_mib = 1048576 / IO_MODEL_STRIDE },
		.cache_ratio = best_of_16_bundles.cache_ratio,
	};
}

void io_model_make(struct io_model *model)
{
	struct io_inputs_options options;
	struct error err;

	memset(model, 0, sizeof(*model));
	model->folder = make_folder();
	model->model = path_in(model->folder, "model.gguf");
	model->trace = path_in(model->folder, "trace");
	write_model(model->model);
	for (uint32_t layer = 0; layer < IO_MODEL_LAYERS; layer++)
		model->layers[layer] = make_clustered_activity(layer + 1, IO_MODEL_SLOTS,
							       IO_MODEL_SEEN + IO_MODEL_TOKENS,
							       CLUSTER, SHARE);
	write_activities(model->trace, MODEL_ID, model->layers, IO_MODEL_LAYERS, IO_MODEL_CHUNK);
	model->consumed = mmap(NULL, sizeof(*model->consumed), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(model->consumed, MAP_FAILED);
	options = io_model_options(model->model, model->trace);
	assert_ok(io_inputs_read(&options, &model->inputs, &err), &err);
}

void io_model_free(struct io_model *model)
{
	io_inputs_free(&model->inputs);
	munmap(model->consumed, sizeof(*model->consumed));
	for (uint32_t layer = 0; layer < IO_MODEL_LAYERS; layer++)
		activity_free(&model->layers[layer]);
	free(model->model);
	free(model->trace);
	remove_folder(model->folder);
}

uint32_t io_model_traced(uint32_t token)
{
	return IO_MODEL_CHUNK + token;
}

static void consume(void *arg, uint32_t token, uint32_t layer, uint32_t slot,
		    const uint8_t *bundle, uint32_t n_bytes)
{
	struct io_consumed *consumed = arg;
	uint16_t first, last;

	if (n_bytes != IO_MODEL_STRIDE) {
		consumed->rows++;
		consumed->row_bytes += n_bytes;
		return;
	}
	memcpy(&first, bundle, sizeof(first));
	memcpy(&last, bundle + IO_MODEL_STRIDE - sizeof(last), sizeof(last));
	consumed->wrong += first != layer + 1 || last != slot + 1;
	if (consumed->bundles && token == consumed->last_token)
		consumed->out_of_order += layer < consumed->last_layer ||
					  (layer == consumed->last_layer &&
					   slot <= consumed->last_slot);
	consumed->last_token = token;
	consumed->last_layer = layer;
	consumed->last_slot = slot;
	consumed->bundles++;
	consumed->times[token][layer][slot]++;
}

struct io_setting io_model_setting(struct io_model *model, double cache_ratio)
{
	return (struct io_setting){
		.cost = DEVICE_COST_UFS4,
		.cache_ratio = cache_ratio,
		.queue_depth = 16,
		.mmap_tokens = IO_MODEL_TOKENS,
		.groups = MEMORY_CONTROLLER_SOURCES,
		.consume = consume,
		.consume_arg = model->consumed,
	};
}

void io_model_check(const struct io_model *model, const struct io_method *method)
{
	const struct io_consumed *consumed = model->consumed;

	assert_int_equal(consumed->wrong, 0);
	assert_int_equal(consumed->out_of_order, 0);
	for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++) {
		uint32_t wanted = 0;

		for (uint32_t layer = 0; layer < IO_MODEL_LAYERS; layer++) {
			const uint64_t *set = io_wanted(method, &model->inputs, token, layer);

			for (uint32_t slot = 0; slot < IO_MODEL_SLOTS; slot++)
				assert_int_equal(consumed->times[token][layer][slot],
						 bits_test(set, slot));
			wanted += (uint32_t)bits_count(set, bits_words(IO_MODEL_SLOTS));
		}
		assert_int_equal(model->tokens[token].wanted, wanted);
		assert_true(model->tokens[token].io_ms > 0);
	}
}

void io_model_replay(struct io_model *model, const struct io_method *method,
		     const struct io_setting *setting)
{
	struct io_outcome outcome = { .tokens = model->tokens, .n_tokens = IO_MODEL_TOKENS };
	struct error err;

	memset(model->consumed, 0, sizeof(*model->consumed));
	memset(model->tokens, 0, sizeof(model->tokens));
	assert_ok(method->replay(method, &model->inputs, setting, &outcome, &err), &err);
	io_model_check(model, method);
}
