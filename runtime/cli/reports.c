// SPDX-License-Identifier: GPL-2.0-only
/* Tables and JSON of what placing and training found. */
#include <stdio.h>

#include "cli/steps.h"

static const struct order_quality *quality_of(const struct order_quality *all, uint32_t layer,
					      int method)
{
	return &all[(size_t)layer * ORDER_METHODS + method];
}

/* Reads per token, summed over layers. */
static double total_reads(const struct placement_report *report, const struct order_quality *all,
			  int method)
{
	double sum = 0;

	for (uint32_t layer = 0; layer < report->n_layers; layer++)
		sum += quality_of(all, layer, method)->reads_per_token;
	return sum;
}

static double total_bundles(const struct placement_report *report,
			    const struct order_quality *all, int method)
{
	double sum = 0;

	for (uint32_t layer = 0; layer < report->n_layers; layer++)
		sum += quality_of(all, layer, method)->bundles_per_token;
	return sum;
}

/* Wanted bundles per run over all layers. */
static double mean_run_length(const struct placement_report *report, int method)
{
	double wanted = 0, reads = total_reads(report, report->plain, method);

	for (uint32_t layer = 0; layer < report->n_layers; layer++)
		wanted += quality_of(report->plain, layer, method)->wanted_per_token;
	return reads > 0 ? wanted / reads : 0;
}

void show_place_report(const struct placement_report *report)
{
	if (!report->n_tokens) {
		printf("The trace is too short to keep tokens apart to measure the order on.\n");
		return;
	}
	printf("On %llu unseen tokens, without collapse: reads per token (mean run length)\n",
	       (unsigned long long)report->n_tokens);
	printf("%-6s %9s", "layer", "fired");
	for (int method = 0; method < ORDER_METHODS; method++)
		printf("  %15s", order_method_name(method));
	printf("\n");
	for (uint32_t layer = 0; layer < report->n_layers; layer++) {
		printf("%-6u %9.1f", layer, quality_of(report->plain, layer, 0)->wanted_per_token);
		for (int method = 0; method < ORDER_METHODS; method++) {
			const struct order_quality *q = quality_of(report->plain, layer, method);

			printf("  %8.1f (%4.2f)", q->reads_per_token, q->run_length_mean);
		}
		printf("\n");
	}
	printf("%-6s %9s", "all", "");
	for (int method = 0; method < ORDER_METHODS; method++)
		printf("  %8.1f (%4.2f)", total_reads(report, report->plain, method),
		       mean_run_length(report, method));
	printf("\nWith gaps of up to %u bundles read over: reads (bundles) per token\n%-16s",
	       report->gap, "all");
	for (int method = 0; method < ORDER_METHODS; method++)
		printf("  %7.1f (%5.0f)", total_reads(report, report->collapsed, method),
		       total_bundles(report, report->collapsed, method));
	printf("\n");
}

static json_t *method_json(const struct placement_report *report, int method)
{
	json_t *layers = json_array();

	for (uint32_t layer = 0; layer < report->n_layers; layer++) {
		const struct order_quality *plain = quality_of(report->plain, layer, method);
		const struct order_quality *collapsed =
			quality_of(report->collapsed, layer, method);

		json_array_append_new(layers, json_pack("{s:f, s:f, s:f, s:i, s:f, s:f}",
			"wanted_per_token", plain->wanted_per_token,
			"reads_per_token", plain->reads_per_token,
			"run_length_mean", plain->run_length_mean,
			"run_length_max", (int)plain->run_length_max,
			"collapsed_reads_per_token", collapsed->reads_per_token,
			"collapsed_bundles_per_token", collapsed->bundles_per_token));
	}
	return json_pack("{s:s, s:f, s:f, s:f, s:f, s:o}",
		"name", order_method_name(method),
		"reads_per_token", total_reads(report, report->plain, method),
		"run_length_mean", mean_run_length(report, method),
		"collapsed_reads_per_token", total_reads(report, report->collapsed, method),
		"collapsed_bundles_per_token", total_bundles(report, report->collapsed, method),
		"layers", layers);
}

json_t *place_report_json(const struct placement_report *report)
{
	json_t *results = json_array();

	for (int method = 0; method < ORDER_METHODS; method++)
		json_array_append_new(results, method_json(report, method));
	return json_pack("{s:I, s:I, s:i, s:o}",
		"tokens", (json_int_t)report->n_seen,
		"unseen_tokens", (json_int_t)report->n_tokens,
		"gap_bundles", (int)report->gap,
		"results", results);
}

void show_train_report(const struct train_report *report)
{
	char bytes[HUMAN_SIZE];

	printf("Predictor: rank %u, %s of DRAM; trained on %llu tokens, thresholds from %llu "
	       "others\n",
	       report->rank, human_bytes(report->predictor_bytes, bytes),
	       (unsigned long long)report->n_tokens, (unsigned long long)report->n_unseen);
	printf("%-6s %9s %9s %9s %9s\n", "layer", "fired", "wanted", "recall", "precision");
	for (uint32_t layer = 0; layer < report->n_layers; layer++) {
		const struct train_layer_report *r = &report->layers[layer];

		printf("%-6u %7.2f %% %7.2f %% %7.2f %% %7.2f %%\n", layer, 100 * r->active_share,
		       100 * r->wanted_share, 100 * r->recall, 100 * r->precision);
	}
}

json_t *train_report_json(const struct train_report *report)
{
	json_t *layers = json_array();

	for (uint32_t layer = 0; layer < report->n_layers; layer++) {
		const struct train_layer_report *r = &report->layers[layer];

		json_array_append_new(layers, json_pack("{s:f, s:f, s:f, s:f}",
			"active_share", r->active_share,
			"wanted_share", r->wanted_share,
			"recall", r->recall,
			"precision", r->precision));
	}
	return json_pack("{s:i, s:I, s:I, s:I, s:o}",
		"rank", (int)report->rank,
		"tokens", (json_int_t)report->n_tokens,
		"unseen_tokens", (json_int_t)report->n_unseen,
		"dram_bytes", (json_int_t)report->predictor_bytes,
		"layers", layers);
}
