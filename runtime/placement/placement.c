// SPDX-License-Identifier: GPL-2.0-only
/*
 * Placing a whole trace, layer by layer, and measuring every method on tokens
 * that were kept away from the search.
 */
#include "placement/placement.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/places.h"
#include "placement/order_copies.h"
#include "placement/placement_private.h"

int placement_create(const struct placement *shape, struct placement **result, struct error *err)
{
	struct placement *placement = malloc(sizeof(*placement));
	size_t n = shape->n_neurons, positions = placement_positions(shape);

	if (!placement)
		return error_no_memory(err, "a placement");
	*placement = *shape;
	placement->layers = calloc(shape->n_layers, sizeof(*placement->layers));
	if (!placement->layers)
		goto no_memory;
	for (uint32_t layer = 0; layer < shape->n_layers; layer++) {
		struct placement_layer *to = &placement->layers[layer];

		to->slot_to_neuron = calloc(n, sizeof(*to->slot_to_neuron));
		to->strength = calloc(positions, sizeof(*to->strength));
		to->frequency = calloc(n, sizeof(*to->frequency));
		if (shape->n_positions)
			to->slot_at = calloc(positions, sizeof(*to->slot_at));
		if (!to->slot_to_neuron || !to->strength || !to->frequency ||
		    (shape->n_positions && !to->slot_at))
			goto no_memory;
	}
	*result = placement;
	return 0;
no_memory:
	placement_free(placement);
	return error_no_memory(err, "a placement");
}

void placement_free(struct placement *placement)
{
	if (!placement)
		return;
	for (uint32_t layer = 0; placement->layers && layer < placement->n_layers; layer++) {
		free(placement->layers[layer].slot_to_neuron);
		free(placement->layers[layer].strength);
		free(placement->layers[layer].frequency);
		free(placement->layers[layer].slot_at);
	}
	free(placement->layers);
	free(placement);
}

uint32_t *placement_neurons(const struct placement *placement)
{
	size_t positions = placement_positions(placement);
	uint32_t *neurons = malloc(placement->n_layers * positions * sizeof(*neurons));

	for (uint32_t l = 0; neurons && l < placement->n_layers; l++) {
		const struct placement_layer *layer = &placement->layers[l];

		for (size_t i = 0; i < positions; i++)
			neurons[l * positions + i] =
				layer->slot_to_neuron[layer->slot_at ? layer->slot_at[i] : i];
	}
	return neurons;
}

static int report_create(const struct placement *placement, uint32_t gap,
			 struct placement_report **result, struct error *err)
{
	struct placement_report *report = calloc(1, sizeof(*report));
	size_t n = (size_t)placement->n_layers * ORDER_METHODS;
	size_t n_bundles = (size_t)placement->n_layers * placement->n_neurons;

	if (!report)
		return error_no_memory(err, "the report of a placement");
	report->n_layers = placement->n_layers;
	report->n_methods = placement->method == ORDER_BEST ? ORDER_METHODS : ORDER_BEST;
	report->n_neurons = placement->n_neurons;
	report->gap = gap;
	report->plain = calloc(n, sizeof(*report->plain));
	report->collapsed = calloc(n, sizeof(*report->collapsed));
	report->slot_to_neuron = calloc(ORDER_METHODS * n_bundles, sizeof(*report->slot_to_neuron));
	report->frequency = calloc(n_bundles, sizeof(*report->frequency));
	if (!report->plain || !report->collapsed || !report->slot_to_neuron || !report->frequency) {
		placement_report_free(report);
		return error_no_memory(err, "the report of a placement");
	}
	*result = report;
	return 0;
}

void placement_report_free(struct placement_report *report)
{
	if (!report)
		return;
	free(report->plain);
	free(report->collapsed);
	free(report->slot_to_neuron);
	free(report->frequency);
	free(report);
}

uint32_t *placement_report_order(const struct placement_report *report, enum order_method method)
{
	return report->slot_to_neuron + (size_t)method * report->n_layers * report->n_neurons;
}

/* What placement_make() was asked for, and how far it is. */
struct making {
	const struct trace *trace;
	const struct placement_options *options;
	struct placement *placement;
	struct placement_report *report; /* NULL: not asked for */
	uint32_t *most_copies; /* of a layer, so far */
};

/* A layer is done in these steps, which take about as long as each other. */
static const char *const step_names[] = { "counting", "searching", "measuring" };

#define STEPS_PER_LAYER (sizeof(step_names) / sizeof(step_names[0]))

static void report_step(const struct making *making, uint32_t layer, uint32_t step)
{
	char doing[32];

	snprintf(doing, sizeof(doing), "layer %u: %s", layer, step_names[step]);
	progress_describe(making->options->progress, doing);
	progress_report(making->options->progress, layer * (double)STEPS_PER_LAYER + step,
			making->placement->n_layers * (double)STEPS_PER_LAYER);
}

/* The layer's order by a method in the report. */
static uint32_t *order_of(const struct making *making, uint32_t layer, int method)
{
	return placement_report_order(making->report, method) +
	       (size_t)layer * making->report->n_neurons;
}

/* Every method's order into the report; the placement's own is there already. */
static int make_orders(const struct making *making, uint32_t layer,
		       const struct order_input *input, struct error *err)
{
	const struct placement *placement = making->placement;
	const struct placement_layer *placed = &placement->layers[layer];
	int ret = 0;

	for (int method = 0; ret == 0 && method < making->report->n_methods; method++) {
		uint32_t *order = order_of(making, layer, method);

		if (method == (int)placement->method)
			memcpy(order, placed->slot_to_neuron, placement->n_neurons * sizeof(*order));
		else
			ret = order_make(method, input, order, err);
	}
	for (uint32_t slot = 0; slot < placement->n_neurons; slot++)
		making->report->frequency[(size_t)layer * placement->n_neurons +
					  placed->slot_to_neuron[slot]] = placed->frequency[slot];
	return ret;
}

/* Every method on tokens that it does not know. */
static int measure_layer(const struct making *making, uint32_t layer, struct error *err)
{
	struct placement_report *report = making->report;
	struct activity activity = { 0 };
	int ret;

	if (making->options->unseen)
		ret = activity_load(making->options->unseen, layer, ACTIVITY_ALL, &activity, err);
	else
		ret = activity_load(making->trace, layer, ACTIVITY_UNSEEN, &activity, err);
	if (ret < 0)
		return ret;
	report->n_tokens = activity.n_tokens;
	report->n_seen = making->placement->n_tokens;
	for (int method = 0; ret == 0 && method < report->n_methods; method++) {
		size_t at = (size_t)layer * ORDER_METHODS + (size_t)method;
		const uint32_t *order = order_of(making, layer, method);

		ret = order_measure(&activity, order, 0, &report->plain[at], err);
		if (ret == 0)
			ret = order_measure(&activity, order, report->gap, &report->collapsed[at],
					    err);
	}
	activity_free(&activity);
	return ret;
}

/* Beside the order without copies; *n_copies is how many there are then. */
static int place_copies(const struct making *making, const struct order_input *input,
			struct placement_layer *to, uint32_t *n_copies, struct error *err)
{
	uint32_t n = making->placement->n_neurons, positions = placement_positions(making->placement);
	uint32_t *neuron_at = malloc(positions * sizeof(*neuron_at));
	struct order_copies_result result = { 0 };
	int ret;

	if (!neuron_at)
		return error_no_memory(err, "copies of neurons");
	ret = order_copies(input->seen, to->slot_to_neuron, input->best, positions - n,
			   input->pool, neuron_at, &result, err);
	if (ret == 0)
		ret = order_copies_slots(to->slot_to_neuron, n, neuron_at, positions, to->slot_at,
					 err);
	for (uint32_t i = 0; ret == 0 && i < positions; i++)
		neuron_at[i] = to->slot_to_neuron[to->slot_at[i]];
	if (ret == 0)
		order_strengths(input->coactivation, neuron_at, positions, to->strength);
	free(neuron_at);
	*n_copies = result.copies;
	return ret;
}

/* What no layer has is in none of them. */
static void drop_copies(struct placement *placement, uint32_t n_copies)
{
	placement->n_positions = n_copies ? placement->n_neurons + n_copies : 0;
	for (uint32_t l = 0; l < placement->n_layers; l++) {
		struct placement_layer *layer = &placement->layers[l];

		layer->strength[placement_positions(placement) - 1] = 0;
		if (n_copies)
			continue;
		free(layer->slot_at);
		layer->slot_at = NULL;
	}
}

static int place_layer(const struct making *making, uint32_t layer,
		       const struct order_input *input, struct error *err)
{
	const struct coactivation *coactivation = input->coactivation;
	struct placement *placement = making->placement;
	struct placement_layer *to = &placement->layers[layer];
	double n_tokens = coactivation->n_tokens ? (double)coactivation->n_tokens : 1;
	uint32_t n_copies = 0;
	int ret;

	ret = order_make(placement->method, input, to->slot_to_neuron, err);
	if (ret == 0 && to->slot_at)
		ret = place_copies(making, input, to, &n_copies, err);
	if (ret < 0)
		return ret;
	if (n_copies > *making->most_copies)
		*making->most_copies = n_copies;
	if (!to->slot_at)
		order_strengths(coactivation, to->slot_to_neuron, placement->n_neurons,
				to->strength);
	for (uint32_t slot = 0; slot < placement->n_neurons; slot++)
		to->frequency[slot] =
			(float)(coactivation->frequency[to->slot_to_neuron[slot]] / n_tokens);
	placement->n_tokens = coactivation->n_tokens;
	return 0;
}

static int make_layer(const struct making *making, uint32_t layer, struct error *err)
{
	const struct placement_options *options = making->options;
	struct activity seen = { 0 };
	struct coactivation coactivation;
	struct order_input input = {
		.coactivation = &coactivation,
		.seed = options->seed + layer,
		.seen = &seen,
		.best = &options->best,
		.pool = options->pool,
	};
	int ret;

	report_step(making, layer, 0);
	ret = coactivation_count_trace(making->trace, layer, ACTIVITY_SEEN, options->pool,
				       &coactivation, err);
	if (ret < 0)
		return ret;
	if (options->method == ORDER_BEST)
		ret = activity_load_spread(making->trace, layer, ACTIVITY_SEEN,
					   ORDER_BEST_MOST_TOKENS, &seen, err);
	report_step(making, layer, 1);
	if (ret == 0)
		ret = place_layer(making, layer, &input, err);
	activity_free(&seen);
	if (ret < 0)
		goto out;
	if (making->report) {
		report_step(making, layer, 2);
		ret = make_orders(making, layer, &input, err);
		if (ret == 0)
			ret = measure_layer(making, layer, err);
	}
out:
	coactivation_free(&coactivation);
	return ret;
}

int placement_check_unseen(const struct trace *trace, const struct trace *unseen,
			   struct error *err)
{
	const struct trace_shape *a = trace_get_shape(trace);
	const struct trace_shape *b = trace_get_shape(unseen);

	if (a->model_id != b->model_id)
		return error_set(err, -EINVAL,
				 "the trace to measure on is of model %016llx, the trace to place "
				 "from of model %016llx",
				 (unsigned long long)b->model_id, (unsigned long long)a->model_id);
	if (a->n_layers != b->n_layers || a->n_neurons != b->n_neurons)
		return error_set(err, -EINVAL,
				 "the trace to measure on has %u layers of %u neurons, the trace "
				 "to place from %u of %u",
				 b->n_layers, b->n_neurons, a->n_layers, a->n_neurons);
	return 0;
}

int placement_make(const struct trace *trace, const struct placement_options *options,
		   struct placement **placement, struct placement_report **report,
		   struct error *err)
{
	const struct placement shape = {
		.method = options->method,
		.n_layers = trace_get_shape(trace)->n_layers,
		.n_neurons = trace_get_shape(trace)->n_neurons,
		.n_positions = options->n_copies ?
				       trace_get_shape(trace)->n_neurons + options->n_copies : 0,
		.model_id = trace_get_shape(trace)->model_id,
	};
	double n_steps = shape.n_layers * (double)STEPS_PER_LAYER;
	uint32_t most_copies = 0;
	struct making making = { .trace = trace, .options = options, .most_copies = &most_copies };
	int ret = 0;

	if (options->n_copies > shape.n_neurons ||
	    (options->n_copies && options->method != ORDER_BEST))
		return error_set(err, -EINVAL, "no %u copies of %u neurons by method %s",
				 options->n_copies, shape.n_neurons,
				 order_method_name(options->method));
	if (options->unseen)
		ret = placement_check_unseen(trace, options->unseen, err);
	if (ret == 0)
		ret = placement_create(&shape, &making.placement, err);
	if (ret == 0 && report)
		ret = report_create(&shape, options->gap, &making.report, err);
	for (uint32_t layer = 0; ret == 0 && layer < shape.n_layers; layer++)
		ret = make_layer(&making, layer, err);
	if (ret < 0) {
		placement_free(making.placement);
		placement_report_free(making.report);
		return ret;
	}
	if (options->n_copies)
		drop_copies(making.placement, most_copies);
	progress_report(options->progress, n_steps, n_steps);
	*placement = making.placement;
	if (report)
		*report = making.report;
	return 0;
}
