// SPDX-License-Identifier: GPL-2.0-only
#include "bench/io_inputs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bits.h"
#include "bench/order_replay.h"
#include "model/model_file.h"
#include "placement/activity.h"
#include "placement/coactivation.h"
#include "placement/order.h"
#include "placement/order_best.h"
#include "placement/order_copies.h"

static const enum order_method order_of[IO_LAYOUTS] = {
	[IO_IDENTITY] = ORDER_IDENTITY,
	[IO_FREQUENCY] = ORDER_FREQUENCY,
	[IO_LINKED] = ORDER_LINKED,
	[IO_BEST] = ORDER_BEST, /* the last one: copies are placed beside it */
};

/* A layer being placed. */
struct placing {
	const struct trace *trace;
	uint32_t layer;
	struct activity seen, unseen;
	struct coactivation counts; /* of the seen tokens */
	struct order_best_options best;
	struct thread_pool *pool;
	uint32_t *slot_to_neuron; /* (n_neurons) */
	uint32_t *slot_of; /* (n_neurons): its inverse */
};

/* Copies are read from where the file has some, whatever these are of. */
static int check_copies(struct io_inputs *inputs, const struct model_config *config,
			double copies, struct error *err)
{
	uint32_t room = model_positions(config) - config->n_ffn;

	inputs->n_copies = (uint32_t)(copies * config->n_ffn);
	if (inputs->n_copies > room)
		return error_set(err, -EINVAL,
				 "%s: its layers have room for %u copies of bundles, not for %u; "
				 "take a file made with at least as many", inputs->path, room,
				 inputs->n_copies);
	return 0;
}

static int read_geometry(const char *path, double copies, struct io_inputs *inputs,
			 uint64_t *model_id, struct error *err)
{
	struct model_file *model;
	struct stat status;
	size_t bytes;
	int ret;

	ret = model_file_open(path, &model, err);
	if (ret < 0)
		return ret;
	bytes = model->config.n_layers * sizeof(*inputs->offsets);
	inputs->offsets = malloc(bytes);
	if (!inputs->offsets) {
		ret = error_no_memory(err, "offsets of layers");
	} else if (stat(path, &status)) {
		ret = error_set(err, -errno, "%s: %s", path, strerror(errno));
	} else {
		memcpy(inputs->offsets, model->bundle_offsets, bytes);
		inputs->file_bytes = status.st_size;
		inputs->bundle_rows = model_bundle_rows(&model->config);
		inputs->geometry = (struct bundle_geometry){
			.n_layers = model->config.n_layers,
			.slots = model->config.n_ffn,
			.stride = model_bundle_stride(&model->config),
			.offsets = inputs->offsets,
		};
		*model_id = model->origin.model_id;
		ret = check_copies(inputs, &model->config, copies, err);
	}
	model_file_close(model);
	return ret;
}

static int check_trace(const struct io_inputs *inputs, uint64_t model_id,
		       const struct trace *trace, const char *trace_path, struct error *err)
{
	const struct trace_shape *shape = trace_get_shape(trace);

	if (shape->model_id != model_id || shape->n_layers != inputs->geometry.n_layers ||
	    shape->n_neurons != inputs->geometry.slots)
		return error_set(err, -EINVAL, "%s: the trace of another model than %s",
				 trace_path, inputs->path);
	if (trace_chunks(trace) < 2)
		return error_set(err, -EINVAL,
				 "%s: too short to place on a part and replay another: it has one "
				 "chunk of tokens",
				 trace_path);
	return 0;
}

/* By the identity it is told what tokens want; copies are placed beside the order of IO_BEST. */
static bool is_made(const struct io_inputs_options *options, enum io_layout layout)
{
	return options->layouts[layout] || layout == IO_IDENTITY ||
	       (layout == IO_BEST && options->copies > 0);
}

static int make_layout(const struct io_inputs *inputs, struct io_layout_inputs *layout,
		       struct error *err)
{
	const struct bundle_geometry *geometry = &inputs->geometry;

	layout->wanted = (struct token_slots){
		.n_tokens = inputs->n_tokens,
		.n_layers = geometry->n_layers,
		.n_slots = geometry->slots,
	};
	layout->wanted.sets = calloc((size_t)inputs->n_tokens * geometry->n_layers,
				     bits_words(geometry->slots) * sizeof(*layout->wanted.sets));
	layout->frequency = calloc((size_t)geometry->n_layers * geometry->slots,
				   sizeof(*layout->frequency));
	if (!layout->wanted.sets || !layout->frequency)
		return error_no_memory(err, "the slots of the trace's tokens");
	return 0;
}

static int make_layouts(struct io_inputs *inputs, const struct trace *trace,
			const struct io_inputs_options *options, struct error *err)
{
	const struct bundle_geometry *geometry = &inputs->geometry;
	uint64_t unseen = activity_tokens(trace, ACTIVITY_UNSEEN);
	int ret = 0;

	inputs->placed_tokens = activity_tokens(trace, ACTIVITY_SEEN);
	inputs->n_tokens = unseen < options->n_tokens ? (uint32_t)unseen : options->n_tokens;
	for (int i = 0; ret == 0 && i < IO_LAYOUTS; i++)
		if (is_made(options, i))
			ret = make_layout(inputs, &inputs->layouts[i], err);
	if (ret < 0)
		return ret;
	if (!inputs->n_copies)
		return 0;
	inputs->slot_at = calloc((size_t)geometry->n_layers * (geometry->slots + inputs->n_copies),
				 sizeof(*inputs->slot_at));
	return inputs->slot_at ? 0 : error_no_memory(err, "an order with copies");
}

/* The layer's unseen tokens, neuron by neuron, through slot_of. */
static void place_tokens(const struct placing *placing, struct token_slots *wanted)
{
	size_t n = wanted->n_slots, words = bits_words(n);

	for (uint32_t token = 0; token < wanted->n_tokens; token++) {
		const uint64_t *neurons = &placing->unseen.fired[token * words];
		size_t at = ((size_t)token * wanted->n_layers + placing->layer) * words;

		for (size_t neuron = bits_next(neurons, n, 0); neuron < n;
		     neuron = bits_next(neurons, n, neuron + 1))
			bits_set(&wanted->sets[at], placing->slot_of[neuron]);
	}
}

/* Beside the order by IO_BEST, which slot_to_neuron is. */
static int place_copies(const struct placing *placing, struct io_inputs *inputs, struct error *err)
{
	uint32_t n = inputs->geometry.slots, positions = n + inputs->n_copies;
	uint32_t *neuron_at = malloc(positions * sizeof(*neuron_at));
	int ret;

	if (!neuron_at)
		return error_no_memory(err, "an order with copies");
	ret = order_copies(&placing->seen, placing->slot_to_neuron, &placing->best,
			   inputs->n_copies, placing->pool, neuron_at, NULL, err);
	if (ret == 0)
		ret = order_copies_slots(placing->slot_to_neuron, n, neuron_at, positions,
					 inputs->slot_at + (size_t)placing->layer * positions, err);
	free(neuron_at);
	return ret;
}

static int place_by(struct placing *placing, enum order_method method,
		    struct io_layout_inputs *layout, struct error *err)
{
	uint32_t n = layout->wanted.n_slots;
	float *frequency = &layout->frequency[(size_t)placing->layer * n];
	const struct order_input input = {
		.coactivation = &placing->counts,
		.seen = &placing->seen,
		.best = &placing->best,
		.pool = placing->pool,
	};
	int ret = order_make(method, &input, placing->slot_to_neuron, err);

	if (ret < 0)
		return ret;
	for (uint32_t slot = 0; slot < n; slot++) {
		uint32_t neuron = placing->slot_to_neuron[slot];

		placing->slot_of[neuron] = slot;
		frequency[slot] = (float)placing->counts.frequency[neuron] /
				  (float)placing->counts.n_tokens;
	}
	place_tokens(placing, &layout->wanted);
	return 0;
}

/* Counted once, for all layouts. */
static int place_layer(struct placing *placing, struct io_inputs *inputs, struct error *err)
{
	int ret = activity_load_spread(placing->trace, placing->layer, ACTIVITY_SEEN,
				       ORDER_BEST_MOST_TOKENS, &placing->seen, err);

	if (ret < 0)
		return ret;
	ret = coactivation_count_trace(placing->trace, placing->layer, ACTIVITY_SEEN,
				       placing->pool, &placing->counts, err);
	if (ret < 0) {
		activity_free(&placing->seen);
		return ret;
	}
	ret = activity_load(placing->trace, placing->layer, ACTIVITY_UNSEEN, &placing->unseen, err);
	for (int i = 0; ret == 0 && i < IO_LAYOUTS; i++)
		if (inputs->layouts[i].wanted.sets)
			ret = place_by(placing, order_of[i], &inputs->layouts[i], err);
	if (ret == 0 && inputs->n_copies)
		ret = place_copies(placing, inputs, err);
	activity_free(&placing->unseen);
	coactivation_free(&placing->counts);
	activity_free(&placing->seen);
	return ret;
}

static struct order_best_options best_options(const struct io_inputs *inputs,
					      const struct io_inputs_options *options)
{
	const struct order_replay_options replay = {
		.cost = options->cost,
		.bundle_bytes = options->bundle_bytes ? options->bundle_bytes :
							inputs->geometry.stride,
	};

	return (struct order_best_options){
		.io_bundles = order_replay_io_bundles(&replay),
		.cache_ratio = options->cache_ratio,
		.effort = options->effort,
		.memory = ORDER_BEST_DEFAULT_MEMORY,
	};
}

static int place_layers(struct io_inputs *inputs, const struct trace *trace,
			const struct io_inputs_options *options, struct error *err)
{
	const struct bundle_geometry *geometry = &inputs->geometry;
	struct placing placing = {
		.trace = trace,
		.best = best_options(inputs, options),
		.slot_to_neuron = calloc(geometry->slots, sizeof(uint32_t)),
		.slot_of = calloc(geometry->slots, sizeof(uint32_t)),
	};
	int ret = 0;

	if (!placing.slot_to_neuron || !placing.slot_of)
		ret = error_no_memory(err, "an order of neurons");
	if (ret == 0)
		ret = thread_pool_create(0, &placing.pool, err);
	for (uint32_t layer = 0; ret == 0 && layer < geometry->n_layers; layer++) {
		placing.layer = layer;
		ret = place_layer(&placing, inputs, err);
		progress_report(options->progress, layer + 1, geometry->n_layers);
	}
	thread_pool_destroy(placing.pool);
	free(placing.slot_of);
	free(placing.slot_to_neuron);
	return ret;
}

int io_inputs_read(const struct io_inputs_options *options, struct io_inputs *inputs,
		   struct error *err)
{
	struct trace *trace = NULL;
	uint64_t model_id = 0;
	int ret;

	*inputs = (struct io_inputs){ .path = options->model };
	ret = read_geometry(options->model, options->copies, inputs, &model_id, err);
	if (ret == 0)
		ret = trace_open(options->trace, &trace, err);
	if (ret == 0)
		ret = check_trace(inputs, model_id, trace, options->trace, err);
	if (ret == 0)
		ret = make_layouts(inputs, trace, options, err);
	if (ret == 0)
		ret = place_layers(inputs, trace, options, err);
	if (trace)
		trace_close(trace);
	if (ret < 0)
		io_inputs_free(inputs);
	return ret;
}

int io_inputs_shrink(struct io_inputs *inputs, uint32_t bytes, struct error *err)
{
	uint32_t unit = 2 * inputs->bundle_rows;

	if (!bytes || bytes > inputs->geometry.stride || bytes % unit)
		return error_set(err, -EINVAL,
				 "bundles of %u bytes: %s has ones of %u, and parts of these have "
				 "to be multiples of %u",
				 bytes, inputs->path, inputs->geometry.stride, unit);
	inputs->geometry.stride = bytes;
	return 0;
}

void io_inputs_free(struct io_inputs *inputs)
{
	for (int i = 0; i < IO_LAYOUTS; i++) {
		token_slots_free(&inputs->layouts[i].wanted);
		free(inputs->layouts[i].frequency);
	}
	free(inputs->offsets);
	free(inputs->slot_at);
	*inputs = (struct io_inputs){ 0 };
}

uint64_t io_inputs_bundle_bytes(const struct io_inputs *inputs)
{
	const struct bundle_geometry *geometry = &inputs->geometry;

	return (uint64_t)geometry->n_layers * geometry->slots * geometry->stride;
}
