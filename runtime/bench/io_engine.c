// SPDX-License-Identifier: GPL-2.0-only
/* The runtime's own way: a bundle store, with or without each of its parts. */
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
					 (const uint8_t *)window.bundles[i]);
	return ret;
}

static int one_by_one(const struct engine *engine, uint32_t token, struct error *err)
{
	int ret = 0;

	for (uint32_t layer = 0; ret == 0 && layer < engine->inputs->geometry.n_layers; layer++) {
		ret = request(engine, token, layer, err);
		if (ret == 0)
			ret = consume(engine, token, layer, err);
	}
	return ret;
}

/* What the next token wants is not known before this one is done: it ends with the token. */
static int pipelined(const struct engine *engine, uint32_t token, struct error *err)
{
	uint32_t n_layers = engine->inputs->geometry.n_layers;
	int ret = request(engine, token, 0, err);

	for (uint32_t layer = 0; ret == 0 && layer < n_layers; layer++) {
		if (layer + 1 < n_layers)
			ret = request(engine, token, layer + 1, err);
		if (ret == 0)
			ret = consume(engine, token, layer, err);
	}
	return ret;
}

static int replay_token(const struct engine *engine, uint32_t token, struct io_token *result,
			struct error *err)
{
	struct bundle_store_stats stats;
	double begin;
	int ret = bundle_store_reset_stats(engine->store, err);

	if (ret < 0)
		return ret;
	begin = clock_ms();
	ret = engine->method->pipeline ? pipelined(engine, token, err) :
					 one_by_one(engine, token, err);
	result->io_ms = clock_ms() - begin;
	if (ret == 0)
		ret = bundle_store_get_stats(engine->store, &stats, err);
	if (ret < 0)
		return ret;
	result->bookkeeping_ms = stats.bookkeeping_ns / 1e6;
	result->predicted_ms = stats.predicted_us / 1e3;
	result->reads = stats.reads;
	result->bytes = stats.bytes;
	result->wanted = stats.wanted_bundles;
	result->cached = stats.cached_bundles;
	result->runs = stats.runs;
	result->run_bundles = stats.run_bundles;
	return 0;
}

int io_engine_replay(const struct io_method *method, const struct io_inputs *inputs,
		     const struct io_setting *setting, struct io_outcome *outcome, struct error *err)
{
	struct engine engine = { .method = method, .inputs = inputs, .setting = setting };
	const struct bundle_store_options options = {
		.source = "auto",
		.cache_ratio = setting->cache_ratio,
		.cache_policy = method->cache_policy,
		.frequency = inputs->layouts[method->layout].frequency,
		.queue_depth = setting->queue_depth,
		.cost = setting->cost,
		.gap_bytes = method->collapse ? device_break_even_bytes(setting->cost) : 0,
		.observer = setting->observer,
	};
	const struct bundle_geometry *geometry = &inputs->geometry;
	double bundles = (double)geometry->n_layers * geometry->slots;
	int ret = bundle_store_open(inputs->path, geometry, &options, &engine.store, err);

	outcome->cache_bytes = (uint64_t)(setting->cache_ratio * bundles) * geometry->stride;
	for (uint32_t token = 0; ret == 0 && token < inputs->n_tokens; token++)
		ret = replay_token(&engine, token, &outcome->tokens[token], err);
	if (engine.store)
		bundle_store_close(engine.store);
	return ret;
}
