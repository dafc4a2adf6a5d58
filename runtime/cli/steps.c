// SPDX-License-Identifier: GPL-2.0-only
#include "cli/steps.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/engine.h"
#include "infer/pack.h"
#include "model/import_opt.h"

int step_import(const char *label, const char *source, const char *output, struct error *err)
{
	struct progress_bar bar;
	int ret;

	progress_begin(&bar, label);
	ret = import_opt(source, output, &bar.progress, err);
	progress_end(&bar, ret == 0);
	return ret;
}

static int record(const struct model *model, const struct trace_step *step,
		  struct record_result *result, struct error *err)
{
	struct engine_options defaults = engine_defaults();
	struct record_options options = {
		.threads = step->threads,
		.inputs = step->inputs,
		.store = engine_store_options(&defaults, DEVICE_COST_UFS4),
	};
	struct progress_bar bar;
	uint32_t *ids;
	size_t count;
	int ret;

	/* Every bundle is read in every window; a cache would only be turned over. */
	options.store.cache_ratio = 0;
	ret = engine_encode_files(model->tokenizer, step->texts, &ids, &count, err);
	if (ret < 0)
		return ret;
	if (step->max_tokens && step->max_tokens < count)
		count = step->max_tokens;
	progress_begin(&bar, step->label);
	ret = record_trace(model, ids, count, step->output, &options, &bar.progress, result, err);
	progress_end(&bar, ret == 0);
	free(ids);
	return ret;
}

int step_trace(const struct trace_step *step, struct record_result *result, struct error *err)
{
	struct model *model;
	int ret;

	ret = model_load(step->model, &model, err);
	if (ret < 0)
		return ret;
	ret = record(model, step, result, err);
	model_unload(model);
	return ret;
}

/* Tokens are enough when they are many times what the cache remembers. */
#define REPLAY_TOKENS 2000
#define REPLAY_WARM_UP 100

struct order_replay_options step_place_replay(void)
{
	return (struct order_replay_options){
		.cost = DEVICE_COST_UFS4, .cache_ratio = ENGINE_CACHE_RATIO,
		.warm_up = REPLAY_WARM_UP, .max_tokens = REPLAY_TOKENS,
	};
}

/*
 * Two rows of f16 for a neuron, as in OPT. A trace has their length when it has the vectors by
 * which they are multiplied; else, in OPT, a layer has four times as many neurons.
 */
static uint32_t bundle_bytes_of(const struct trace_shape *shape)
{
	return shape->n_inputs ? 4 * shape->n_inputs : shape->n_neurons;
}

static struct placement_options placement_options_of(const struct place_step *step,
						     const struct order_replay_options *replay,
						     uint32_t n_neurons)
{
	return (struct placement_options){
		.method = step->method,
		.seed = step->seed,
		.best = {
			.io_bundles = order_replay_io_bundles(replay),
			.cache_ratio = replay->cache_ratio,
			.effort = step->effort,
			.stop = step->stop,
		},
		.n_copies = (uint32_t)(step->copies * n_neurons),
		.gap = step->gap,
	};
}

/* Of each method's order, and of the placement, if it has copies. */
static int measure_device_time(const struct trace *trace, const struct trace *unseen,
			       const struct placement *placement, struct thread_pool *pool,
			       const char *label, struct place_report *report, struct error *err)
{
	const int n_methods = report->placement->n_methods;
	const uint32_t *orders[ORDER_METHODS + 1];
	uint32_t n_positions[ORDER_METHODS + 1];
	struct order_cost costs[ORDER_METHODS + 1];
	size_t n = (size_t)n_methods + (placement->n_positions > 0);
	uint32_t *with_copies = placement_neurons(placement);
	struct progress_bar bar;
	int ret;

	if (!with_copies)
		return error_no_memory(err, "an order with copies");
	for (int method = 0; method < n_methods; method++) {
		orders[method] = placement_report_order(report->placement, method);
		n_positions[method] = placement->n_neurons;
	}
	orders[n_methods] = with_copies;
	n_positions[n_methods] = placement_positions(placement);
	progress_begin(&bar, label);
	ret = order_costs(unseen ? unseen : trace, unseen ? ACTIVITY_ALL : ACTIVITY_UNSEEN,
			  &report->replay, report->placement->frequency, orders, n_positions, n,
			  pool, &bar.progress, costs, err);
	progress_end(&bar, ret == 0);
	free(with_copies);
	if (ret < 0)
		return ret;
	memcpy(report->costs, costs, (size_t)n_methods * sizeof(*costs));
	report->n_copies = placement_positions(placement) - placement->n_neurons;
	if (report->n_copies)
		report->with_copies = costs[n_methods];
	return 0;
}

static int save_placement(const struct place_step *step, struct picture_subject *subject,
			  const struct placement *placement, struct thread_pool *pool,
			  struct error *err)
{
	int ret = placement_save(placement, step->output, err);

	subject->placement = placement;
	if (ret == 0)
		ret = pictures_write(&step->pictures, subject, pool, err);
	return ret;
}

static int place(const struct place_step *step, const struct trace *trace,
		 const struct trace *unseen, struct place_report *report, struct error *err)
{
	struct picture_subject subject = {
		.trace = trace,
		.unseen = unseen,
		.name = picture_name(step->trace),
	};
	struct placement_options options;
	struct placement *placement = NULL;
	struct thread_pool *pool;
	struct progress_bar bar;
	int ret;

	/* Large pieces that are freed go back at once, also when larger ones were freed before. */
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	report->replay = step->replay;
	if (!report->replay.bundle_bytes)
		report->replay.bundle_bytes = bundle_bytes_of(trace_get_shape(trace));
	options = placement_options_of(step, &report->replay, trace_get_shape(trace)->n_neurons);
	ret = pictures_check(&step->pictures, &subject, err);
	if (ret == 0)
		ret = thread_pool_create(step->threads, &pool, err);
	if (ret < 0)
		return ret;
	options.unseen = unseen;
	options.pool = pool;
	ret = placement_check_memory(trace, &options, thread_pool_size(pool), step->memory, err);
	if (ret < 0) {
		thread_pool_destroy(pool);
		return ret;
	}
	progress_begin(&bar, step->label);
	options.progress = &bar.progress;
	ret = placement_make(trace, &options, &placement, &report->placement, err);
	progress_end(&bar, ret == 0);
	if (ret == 0)
		ret = save_placement(step, &subject, placement, pool, err);
	if (ret == 0)
		ret = measure_device_time(trace, unseen, placement, pool, step->measure_label,
					  report, err);
	thread_pool_destroy(pool);
	placement_free(placement);
	if (ret < 0) {
		placement_report_free(report->placement);
		report->placement = NULL;
	}
	return ret;
}

int step_place(const struct place_step *step, struct place_report *report, struct error *err)
{
	struct trace *trace = NULL, *unseen = NULL;
	int ret;

	*report = (struct place_report){ 0 };
	ret = trace_open(step->trace, &trace, err);
	if (ret == 0)
		ret = output_file_try(step->output, err);
	if (ret == 0 && step->unseen)
		ret = trace_open(step->unseen, &unseen, err);
	if (ret == 0)
		ret = place(step, trace, unseen, report, err);
	trace_close(unseen);
	trace_close(trace);
	return ret;
}

static int train(const struct train_step *step, const struct model_file *model,
		 const struct trace *trace, struct train_report **report, struct error *err)
{
	struct predictor *predictor = NULL;
	struct thread_pool *pool;
	struct progress_bar bar;
	int ret;

	ret = thread_pool_create(step->threads, &pool, err);
	if (ret < 0)
		return ret;
	progress_begin(&bar, step->label);
	ret = train_predictor(model, trace, &step->options, pool, &bar.progress, &predictor, report,
			      err);
	progress_end(&bar, ret == 0);
	thread_pool_destroy(pool);
	if (ret < 0)
		return ret;
	ret = predictor_save(predictor, step->output, err);
	predictor_free(predictor);
	if (ret < 0) {
		train_report_free(*report);
		*report = NULL;
	}
	return ret;
}

int step_train(const struct train_step *step, struct train_report **report, struct error *err)
{
	struct model_file *model = NULL;
	struct trace *trace = NULL;
	int ret;

	ret = model_file_open(step->model, &model, err);
	if (ret == 0)
		ret = trace_open(step->trace, &trace, err);
	if (ret == 0)
		ret = output_file_try(step->output, err);
	if (ret == 0)
		ret = train(step, model, trace, report, err);
	trace_close(trace);
	model_file_close(model);
	return ret;
}

int step_pack(const char *label, const char *model_path, const char *placement_path,
	      const char *predictor_path, const char *output, struct error *err)
{
	struct placement *placement = NULL;
	struct predictor *predictor = NULL;
	struct model_file *model = NULL;
	struct progress_bar bar;
	int ret;

	ret = model_file_open(model_path, &model, err);
	if (ret == 0)
		ret = placement_load(placement_path, &placement, err);
	if (ret == 0 && predictor_path)
		ret = predictor_load(predictor_path, &predictor, err);
	if (ret == 0) {
		progress_begin(&bar, label);
		ret = pack_model(model, placement, predictor, output, &bar.progress, err);
		progress_end(&bar, ret == 0);
	}
	predictor_free(predictor);
	placement_free(placement);
	model_file_close(model);
	return ret;
}
