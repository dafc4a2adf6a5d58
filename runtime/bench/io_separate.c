// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rows that are not bundled: what belongs to a neuron lies in two or three tensors, by
 * neuron, and not at a page's or block's begin (as in PowerInfer's files, whose tensors are
 * aligned to 32 bytes). Each of them is read by itself, no gaps, with what the block around
 * it adds; a layer's tensors are asked for one ahead. DRAM is that of the engine, least
 * recently used rows of each tensor go.
 *
 * To the store a tensor is a layer of rows. The file is the one that all methods read: what
 * it has at these places does not matter.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "bench/io_method.h"
#include "storage/bundle_store.h"

/* Of a tensor's begin, off any block's. All of them come after the file's head. */
#define UNALIGNED_BYTES 32

struct separate {
	const struct io_method *method;
	const struct io_inputs *inputs;
	const struct io_setting *setting;
	struct bundle_geometry rows; /* n_layers is the number of tensors */
	uint64_t *offsets; /* (rows.n_layers) */
	struct bundle_store *store;
};

static int lay_out(struct separate *separate, struct error *err)
{
	const struct bundle_geometry *bundles = &separate->inputs->geometry;
	const uint32_t n = separate->inputs->bundle_rows;

	separate->rows = (struct bundle_geometry){
		.n_layers = bundles->n_layers * n,
		.slots = bundles->slots,
		.stride = bundles->stride / n,
	};
	separate->offsets = calloc(separate->rows.n_layers, sizeof(*separate->offsets));
	if (!separate->offsets)
		return error_no_memory(err, "offsets of tensors");
	for (uint32_t i = 0; i < separate->rows.n_layers; i++) {
		uint64_t before = (uint64_t)(i % n) * bundles->slots * separate->rows.stride;

		separate->offsets[i] = bundles->offsets[i / n] + before - UNALIGNED_BYTES;
	}
	separate->rows.offsets = separate->offsets;
	return 0;
}

static int open_store(struct separate *separate, struct error *err)
{
	const struct io_setting *setting = separate->setting;
	const struct bundle_store_options options = {
		.source = "auto",
		.cache_ratio = setting->cache_ratio,
		.cache_policy = separate->method->cache_policy,
		.queue_depth = setting->queue_depth,
		.cost = setting->cost,
		.observer = setting->observer,
	};

	return bundle_store_open(separate->inputs->path, &separate->rows, &options,
				 &separate->store, err);
}

static int consume(const struct separate *separate, uint32_t token, uint32_t layer,
		   uint32_t tensor, struct error *err)
{
	const struct io_setting *setting = separate->setting;
	struct bundle_window window;
	int ret;

	while ((ret = bundle_store_next(separate->store, tensor, &window, err)) > 0)
		for (uint32_t i = 0; i < window.count; i++)
			setting->consume(setting->consume_arg, token, layer, window.slots[i],
					 (const uint8_t *)window.bundles[i],
					 separate->rows.stride);
	return ret;
}

static int replay_layer(const struct separate *separate, uint32_t token, uint32_t layer,
			struct error *err)
{
	const uint64_t *wanted = io_wanted(separate->method, separate->inputs, token, layer);
	const uint32_t n = separate->inputs->bundle_rows;
	int ret = bundle_store_request(separate->store, layer * n, wanted, err);

	for (uint32_t i = 0; ret == 0 && i < n; i++) {
		if (i + 1 < n)
			ret = bundle_store_request(separate->store, layer * n + i + 1, wanted, err);
		if (ret == 0)
			ret = consume(separate, token, layer, layer * n + i, err);
	}
	return ret;
}

static int replay_token(const struct separate *separate, uint32_t token,
			struct io_token *result, struct error *err)
{
	int ret = bundle_store_reset_stats(separate->store, err);
	double begin = clock_ms();

	for (uint32_t layer = 0; ret == 0 && layer < separate->inputs->geometry.n_layers; layer++)
		ret = replay_layer(separate, token, layer, err);
	result->io_ms = clock_ms() - begin;
	return ret < 0 ? ret : io_store_figures(separate->store, separate->inputs->bundle_rows,
						result, err);
}

int io_separate_replay(const struct io_method *method, const struct io_inputs *inputs,
		       const struct io_setting *setting, struct io_outcome *outcome,
		       struct error *err)
{
	struct separate separate = { .method = method, .inputs = inputs, .setting = setting };
	int ret = lay_out(&separate, err);

	if (ret == 0)
		ret = open_store(&separate, err);
	outcome->cache_bytes =
		(uint64_t)(setting->cache_ratio * (double)io_inputs_bundle_bytes(inputs));
	for (uint32_t token = 0; ret == 0 && token < outcome->n_tokens; token++)
		ret = replay_token(&separate, token, &outcome->tokens[token], err);
	bundle_store_close(separate.store);
	free(separate.offsets);
	return ret;
}
