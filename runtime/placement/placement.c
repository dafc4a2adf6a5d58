// SPDX-License-Identifier: GPL-2.0-only
/*
 * Placing a whole trace, layer by layer, and measuring every method on tokens
 * that were kept away from the search.
 */
#include "placement/placement.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "placement/placement_private.h"

int placement_create(const struct placement *shape, struct placement **result, struct error *err)
{
	struct placement *placement = malloc(sizeof(*placement));
	size_t n = shape->n_neurons;

	if (!placement)
		return error_no_memory(err, "a placement");
	*placement = *shape;
	placement->layers = calloc(shape->n_layers, sizeof(*placement->layers));
	if (!placement->layers)
		goto no_memory;
	for (uint32_t layer = 0; layer < shape->n_layers; layer++) {
		struct placement_layer *to = &placement->layers[layer];

		to->slot_to_neuron = calloc(n, sizeof(*to->slot_to_neuron));
		to->strength = calloc(n, sizeof(*to->strength));
		to->frequency = calloc(n, sizeof(*to->frequency));
		if (!to->slot_to_neuron || !to->strength || !to->frequency)
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
	}
	free(placement->layers);
	free(placement);
}

static int report_create(uint32_t n_layers, uint32_t gap, struct placement_report **result,
			 struct error *err)
{
	struct placement_report *report = calloc(1, sizeof(*report));
	size_t n = (size_t)n_layers * ORDER_METHODS;

	if (!report)
		return error_no_memory(err, "the report of a placement");
	report->n_layers = n_layers;
	report->gap = gap;
	report->plain = calloc(n, sizeof(*report->plain));
	report->collapsed = calloc(n, sizeof(*report->collapsed));
	if (!report->plain || !report->collapsed) {
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
	free(report);
}

/* What placement_make() was asked for, and how far it is. */
struct making {
	const struct trace *trace;
	const struct trace *unseen; /* NULL: the unseen chunks of `trace` */
	uint64_t seed;
	struct thread_pool *pool;
	struct progress *progress;
	struct placement *placement;
	struct placement_report *report; /* NULL: not asked for */
};

/* A layer is done in this many steps of about the same length. */
#define STEPS_PER_LAYER 3

static void report_step(const struct making *making, uint32_t layer, uint32_t step)
{
	progress_report(making->progress, layer * (double)STEPS_PER_LAYER + step,
			making->placement->n_layers * (double)STEPS_PER_LAYER);
}

/* Every method on tokens that `coactivation` does not know. */
static int measure_layer(const struct making *making, uint32_t layer,
			 const struct coactivation *coactivation, struct error *err)
{
	struct placement_report *report = making->report;
	uint32_t *order = malloc(coactivation->n_neurons * sizeof(*order));
	struct activity activity = { 0 };
	int ret;

	if (!order)
		return error_no_memory(err, "measuring orders");
	if (making->unseen)
		ret = activity_load(making->unseen, layer, ACTIVITY_ALL, &activity, err);
	else
		ret = activity_load(making->trace, layer, ACTIVITY_UNSEEN, &activity, err);
	if (ret < 0)
		goto out;
	report->n_tokens = activity.n_tokens;
	for (int method = 0; method < ORDER_METHODS; method++) {
		size_t at = (size_t)layer * ORDER_METHODS + (size_t)method;

		ret = order_make(method, coactivation, making->seed + layer, order, err);
		if (ret < 0)
			goto out;
		ret = order_measure(&activity, order, 0, &report->plain[at], err);
		if (ret < 0)
			goto out;
		ret = order_measure(&activity, order, report->gap, &report->collapsed[at], err);
		if (ret < 0)
			goto out;
	}
out:
	activity_free(&activity);
	free(order);
	return ret;
}

static int place_layer(const struct making *making, uint32_t layer,
		       const struct coactivation *coactivation, struct error *err)
{
	struct placement *placement = making->placement;
	struct placement_layer *to = &placement->layers[layer];
	double n_tokens = coactivation->n_tokens ? (double)coactivation->n_tokens : 1;
	int ret;

	ret = order_make(placement->method, coactivation, making->seed + layer, to->slot_to_neuron,
			 err);
	if (ret < 0)
		return ret;
	order_strengths(coactivation, to->slot_to_neuron, to->strength);
	for (uint32_t slot = 0; slot < placement->n_neurons; slot++)
		to->frequency[slot] =
			(float)(coactivation->frequency[to->slot_to_neuron[slot]] / n_tokens);
	placement->n_tokens = coactivation->n_tokens;
	return 0;
}

static int make_layer(const struct making *making, uint32_t layer, struct error *err)
{
	struct coactivation coactivation;
	int ret;

	report_step(making, layer, 0);
	ret = coactivation_count_trace(making->trace, layer, ACTIVITY_SEEN, making->pool,
				       &coactivation, err);
	if (ret < 0)
		return ret;
	report_step(making, layer, 1);
	ret = place_layer(making, layer, &coactivation, err);
	if (ret < 0)
		goto out;
	report_step(making, layer, 2);
	if (making->report)
		ret = measure_layer(making, layer, &coactivation, err);
out:
	coactivation_free(&coactivation);
	return ret;
}

static int check_unseen(const struct trace *trace, const struct trace *unseen, struct error *err)
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

int placement_make(const struct trace *trace, const struct trace *unseen, enum order_method method,
		   uint64_t seed, uint32_t gap, struct thread_pool *pool, struct progress *progress,
		   struct placement **placement, struct placement_report **report,
		   struct error *err)
{
	const struct placement shape = {
		.method = method,
		.n_layers = trace_get_shape(trace)->n_layers,
		.n_neurons = trace_get_shape(trace)->n_neurons,
		.model_id = trace_get_shape(trace)->model_id,
	};
	struct making making = {
		.trace = trace,
		.unseen = unseen,
		.seed = seed,
		.pool = pool,
		.progress = progress,
	};
	int ret = 0;

	if (unseen)
		ret = check_unseen(trace, unseen, err);
	if (ret == 0)
		ret = placement_create(&shape, &making.placement, err);
	if (ret == 0 && report)
		ret = report_create(shape.n_layers, gap, &making.report, err);
	for (uint32_t layer = 0; ret == 0 && layer < shape.n_layers; layer++)
		ret = make_layer(&making, layer, err);
	if (ret < 0) {
		placement_free(making.placement);
		placement_report_free(making.report);
		return ret;
	}
	report_step(&making, shape.n_layers, 0);
	*placement = making.placement;
	if (report)
		*report = making.report;
	return 0;
}
