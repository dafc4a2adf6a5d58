// SPDX-License-Identifier: GPL-2.0-only
/*
 * colink eval: perplexity, and how well the predictor did. To know which neurons
 * would have fired, a sparse evaluation reads all of them, but lets only those
 * take part that the predictor asked for.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/engine.h"
#include "infer/perplexity.h"

struct eval_options {
	struct engine_options engine;
	struct string_list texts;
	uint32_t context;
	bool dense;
	bool json;
};

static json_t *layer_shares(const struct usage *usage, bool dense)
{
	double all = (double)usage->n_tokens * usage->n_neurons;
	json_t *layers = json_array();

	for (uint32_t i = 0; i < usage->n_layers; i++) {
		const struct usage_layer *layer = &usage->layers[i];
		json_t *object = json_pack("{s:f}", "active_share", (double)layer->fired / all);

		if (!dense) {
			json_object_set_new(object, "wanted_share",
					    json_real((double)layer->wanted / all));
			json_object_set_new(object, "recall", json_real(usage_recall(layer)));
			json_object_set_new(object, "precision", json_real(usage_precision(layer)));
		}
		json_array_append_new(layers, object);
	}
	return layers;
}

static json_t *eval_json(const struct engine *engine, const struct perplexity *result, bool dense)
{
	const struct usage *usage = engine->usage;
	json_t *object = json_pack("{s:f, s:f, s:I, s:f, s:f, s:o, s:s, s:{s:o}, s:o}",
		"perplexity", result->perplexity,
		"nll", result->nll,
		"tokens", (json_int_t)result->n_tokens,
		"ffn_active_share", usage_active_share(usage),
		"ffn_wanted_share", usage_wanted_share(usage),
		"layers", layer_shares(usage, dense),
		"kernels", session_kernels(engine->session),
		"io", "device", engine_device_json(&engine->io),
		"memory", engine_memory_json(&engine->io));

	if (!dense)
		json_object_set_new(object, "predictor", json_pack("{s:f, s:f, s:i, s:I}",
			"recall", usage_recall(&usage->total),
			"precision", usage_precision(&usage->total),
			"rank", (int)engine->model->config.predictor_rank,
			"dram_bytes", (json_int_t)engine->model->predictor_bytes));
	return object;
}

static void show(const struct engine *engine, const struct perplexity *result, bool dense)
{
	const struct usage *usage = engine->usage;

	printf("perplexity %.4f (nll %.5f nats per token, %llu tokens)\n", result->perplexity,
	       result->nll, (unsigned long long)result->n_tokens);
	printf("neurons that fire      %6.2f %%\n", 100 * usage_active_share(usage));
	if (dense)
		return;
	printf("neurons asked for      %6.2f %%\n", 100 * usage_wanted_share(usage));
	printf("predictor: recall      %6.2f %%\n", 100 * usage_recall(&usage->total));
	printf("predictor: precision   %6.2f %%\n", 100 * usage_precision(&usage->total));
}

static int eval_model(const char *path, const struct eval_options *options, struct error *err)
{
	struct engine_work work = {
		.mode = options->dense ? SESSION_DENSE : SESSION_MEASURE,
		.max_tokens = options->context,
	};
	struct progress_bar bar;
	struct perplexity result;
	struct engine engine;
	uint32_t *ids = NULL;
	size_t n_ids;
	int ret;

	ret = engine_open(path, &engine, err);
	if (ret == 0)
		ret = engine_encode_files(engine.model->tokenizer, &options->texts, &ids, &n_ids,
					  err);
	if (ret < 0)
		goto out;
	work.bytes = perplexity_bytes(engine.model->config.n_vocab,
				      engine.model->config.n_context);
	ret = engine_start(&engine, &options->engine, &work, err);
	if (ret < 0)
		goto out;
	progress_begin(&bar, "eval");
	ret = perplexity_measure(engine.session, engine.model, ids, n_ids, options->context,
				 &bar.progress, &result, err);
	progress_end(&bar, ret == 0);
	if (ret < 0)
		goto out;
	if (options->json) {
		ret = print_json(eval_json(&engine, &result, options->dense), err);
	} else {
		show(&engine, &result, options->dense);
		ret = finish_output(err);
	}
out:
	free(ids);
	engine_close(&engine);
	return ret;
}

int cmd_eval(const struct command *command, int argc, char **argv)
{
	struct eval_options options = { .engine = engine_defaults() };
	struct option_spec specs[4 + ENGINE_SPECS] = {
		{ "text", 0, OPTION_STRINGS, &options.texts,
		  "FILE: text to measure on (repeatable)" },
		{ "ctx", 0, OPTION_U32, &options.context,
		  "N: context length (the model's); windows do not overlap" },
		{ "dense", 0, OPTION_FLAG, &options.dense, "let every neuron take part" },
		{ "json", 0, OPTION_FLAG, &options.json, "print one JSON object" },
	};
	size_t n_specs = engine_add_specs(&options.engine, specs, 4);
	struct error err = { 0 };
	const char *path;
	int status;

	status = options_parse(command, specs, n_specs, argc, argv, &path, 1);
	if (status < 0 && !options.texts.count)
		status = usage_error(command, "--text FILE is missing");
	if (status < 0 && options.context == 1)
		status =
			usage_error(command, "--ctx 1: has to be at least 2, or 0 for the model's");
	if (status < 0)
		status = engine_check(command, &options.engine);
	if (status < 0)
		status = eval_model(path, &options, &err) < 0 ? report_failure(&err) : EXIT_DONE;
	string_list_free(&options.texts);
	return status;
}
