// SPDX-License-Identifier: GPL-2.0-only
/* The runtime's own way: a bundle store, with or without each of its parts. */
#include <math.h>

#include "base/clock.h"
#include "bench/io_method.h"
#include "storage/bundle_store.h"

struct engine {
	const struct io_method *method;
	const struct io_inputs *inputs;
	const struct io_setting *setting;
	struct bundle_store *store;
};

static int request(const struct engine *engine, uint32_t token, uint32_t layer, struct error *err)
{
	const uint64_t *wanted = io_wanted(engine->method, engine->inputs, token, layer);

	return bundle_store_request(engine->store, layer, wanted, err);
}

static int consume(const struct engine *engine, uint32_t token, uint32_t layer, struct error *err)
{
	const struct io_setting *setting = engine->setting;
	struct bundle_window window;
	int ret;

	while ((ret = bundle_store_next(engine->store, layer, &window, err)) > 0)
		for (uint32_t i = 0; i < window.count; i++)
			setting->consume(setting->consume_arg, token, layer, window.slots[i],
					 (const uint8_t *)window.bundles[i],
					 engine->inputs->geometry.stride);
	return ret;
}

/* What the next token wants is not known before this one is done: it ends with the token. */
static int replay_layers(const struct engine *engine, uint32_t token, struct error *err)
{
	uint32_t n_layers = engine->inputs->geometry.n_layers, asked = 0;
	int ret = 0;

	for (uint32_t layer = 0; ret == 0 && layer < n_layers; layer++) {
		uint32_t last = layer + engine->method->layers_ahead;

		for (; ret == 0 && asked <= last && asked < n_layers; asked++)
			ret = request(engine, token, asked, err);
		if (ret == 0)
			ret = consume(engine, token, layer, err);
	}
	return ret;
}

int io_store_figures(const struct bundle_store *store, uint32_t parts, struct io_token *result,
		     struct error *err)
{
	struct bundle_store_stats stats;
	int ret = bundle_store_get_stats(store, &stats, err);

	if (ret < 0)
		return ret;
	result->bookkeeping_ms = stats.bookkeeping_ns / 1e6;
	result->predicted_ms = stats.predicted_us / 1e3;
	result->reads = stats.reads;
	result->bytes = stats.bytes;
	result->wanted = stats.wanted_bundles / parts;
	result->cached = stats.cached_bundles / parts;
	result->runs = stats.runs;
	result->run_bundles = stats.run_bundles;
	return 0;
}

static int replay_token(const struct engine *engine, uint32_t token, struct io_token *result,
			struct error *err)
{
	int ret = bundle_store_reset_stats(engine->store, err);
	double begin = clock_ms();

	if (ret == 0)
		ret = replay_layers(engine, token, err);
	result->io_ms = clock_ms() - begin;
	return ret < 0 ? ret : io_store_figures(engine->store, 1, result, err);
}

/* Bundles that stay in DRAM. */
static int count_kept(const struct engine *engine, uint64_t *n_kept, struct error *err)
{
	const struct bundle_geometry *geometry = &engine->inputs->geometry;
	uint64_t bytes;
	int ret;

	*n_kept = (uint64_t)(engine->setting->cache_ratio *
			     ((double)geometry->n_layers * geometry->slots));
	if (engine->method->dram == IO_DRAM_RATIO)
		return 0;
	ret = io_window_bytes(engine->inputs, &bytes, err);
	if (ret == 0)
		*n_kept = bytes / geometry->stride;
	return ret;
}

int io_engine_replay(const struct io_method *method, const struct io_inputs *inputs,
		     const struct io_setting *setting, struct io_outcome *outcome, struct error *err)
{
	struct engine engine = { .method = method, .inputs = inputs, .setting = setting };
	struct bundle_geometry geometry = inputs->geometry;
	const double n_bundles = (double)geometry.n_layers * geometry.slots;
	struct bundle_store_options options = {
		.source = "auto",
		.layers_in_flight = method->layers_ahead + 1,
		.cache_policy = method->cache_policy,
		.frequency = inputs->layouts[method->layout].frequency,
		.queue_depth = setting->queue_depth,
		.cost = setting->cost,
		.gap_bytes = method->collapse ? device_break_even_bytes(setting->cost) : 0,
		.observer = setting->observer,
	};
	uint64_t n_kept;
	int ret = count_kept(&engine, &n_kept, err);

	if (ret < 0)
		return ret;
	/* Half a bundle more, so that rounding does not lose one. */
	options.cache_ratio = fmin(((double)n_kept + 0.5) / n_bundles, 1);
	if (method->copies) {
		geometry.positions = geometry.slots + inputs->n_copies;
		geometry.slot_at = inputs->slot_at;
	}
	ret = bundle_store_open(inputs->path, &geometry, &options, &engine.store, err);
	outcome->cache_bytes = n_kept * geometry.stride;
	for (uint32_t token = 0; ret == 0 && token < outcome->n_tokens; token++)
		ret = replay_token(&engine, token, &outcome->tokens[token], err);
	if (engine.store)
		bundle_store_close(engine.store);
	return ret;
}
