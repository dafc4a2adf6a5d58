// SPDX-License-Identifier: GPL-2.0-only
/* Tables and JSON of what orders are worth on tokens that they were not made from. */
#include "cli/place_report.h"

#include <stdio.h>

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

static void show_method_names(const struct placement_report *report, const char *label)
{
	printf("%-16s", label);
	for (int method = 0; method < report->n_methods; method++)
		printf("  %15s", order_method_name(method));
	printf("\n");
}

/* What order and gap do by themselves. */
static void show_reads(const struct placement_report *report)
{
	printf("On %llu unseen tokens, without collapse: reads per token (mean run length)\n",
	       (unsigned long long)report->n_tokens);
	show_method_names(report, "layer      fired");
	for (uint32_t layer = 0; layer < report->n_layers; layer++) {
		printf("%-6u %9.1f", layer, quality_of(report->plain, layer, 0)->wanted_per_token);
		for (int method = 0; method < report->n_methods; method++) {
			const struct order_quality *q = quality_of(report->plain, layer, method);

			printf("  %8.1f (%4.2f)", q->reads_per_token, q->run_length_mean);
		}
		printf("\n");
	}
	printf("%-6s %9s", "all", "");
	for (int method = 0; method < report->n_methods; method++)
		printf("  %8.1f (%4.2f)", total_reads(report, report->plain, method),
		       mean_run_length(report, method));
	printf("\nWith gaps of up to %u bundles read over: reads (bundles) per token\n%-16s",
	       report->gap, "all");
	for (int method = 0; method < report->n_methods; method++)
		printf("  %7.1f (%5.0f)", total_reads(report, report->collapsed, method),
		       total_bundles(report, report->collapsed, method));
	printf("\n");
}

/* "1", "2-3", "4-7" and so on. */
static void show_lengths(int power)
{
	char label[32];

	if (power == 0)
		snprintf(label, sizeof(label), "1");
	else if (power == ORDER_REPLAY_LENGTHS - 1)
		snprintf(label, sizeof(label), "%u or more", 1u << power);
	else
		snprintf(label, sizeof(label), "%u-%u", 1u << power, (2u << power) - 1);
	printf("%-16s", label);
}

void show_run_lengths(const struct order_cost *const *costs, size_t n)
{
	for (int power = 0; power < ORDER_REPLAY_LENGTHS; power++) {
		bool any = false;

		for (size_t i = 0; i < n; i++)
			any |= costs[i]->runs_by_length[power] > 0;
		if (!any)
			continue;
		show_lengths(power);
		for (size_t i = 0; i < n; i++)
			printf("  %15.3f", costs[i]->runs_by_length[power]);
		printf("\n");
	}
}

static void show_device_times(const struct order_cost *const *costs, size_t n,
			      const struct order_cost *frequency)
{
	printf("%-16s", "us per token");
	for (size_t i = 0; i < n; i++)
		printf("  %15.1f", costs[i]->device_us);
	printf("\n");
	if (!frequency || !(frequency->device_us > 0))
		return;
	printf("%-16s", "vs frequency");
	for (size_t i = 0; i < n; i++)
		printf("  %+13.1f %%",
		       100 * (costs[i]->device_us / frequency->device_us - 1));
	printf("\n");
}

/* Copies are a column of their own. */
static void show_order_names(const struct place_report *report)
{
	printf("%-16s", "");
	for (int method = 0; method < report->placement->n_methods; method++)
		printf("  %15s", order_method_name(method));
	if (report->n_copies)
		printf("  %15s", "best+copies");
	printf("\n");
}

/* Of all layers. */
static uint64_t copies_bytes(const struct place_report *report)
{
	return (uint64_t)report->placement->n_layers * report->n_copies *
	       report->replay.bundle_bytes;
}

static void show_costs(const struct place_report *report)
{
	const struct order_cost *costs[ORDER_METHODS + 1];
	size_t n = (size_t)report->placement->n_methods;
	char bundle[HUMAN_SIZE], copies[HUMAN_SIZE];

	for (int method = 0; method < report->placement->n_methods; method++)
		costs[method] = &report->costs[method];
	if (report->n_copies)
		costs[n++] = &report->with_copies;
	printf("\nDevice time predicted for a token, all layers, on %u of these tokens: %g us an "
	       "I/O,\n%g us a MiB, bundles of %s, %g %% of them cached\n",
	       costs[0]->tokens, report->replay.cost.a_us, report->replay.cost.b_us_per_mib,
	       human_bytes(report->replay.bundle_bytes, bundle), 100 * report->replay.cache_ratio);
	show_order_names(report);
	show_device_times(costs, n, costs[ORDER_FREQUENCY]);
	if (report->n_copies)
		printf("Copies: %u of the %u bundles of a layer are stored again, %s in all\n",
		       report->n_copies, report->placement->n_neurons,
		       human_bytes(copies_bytes(report), copies));
	printf("\nRuns of a token by their length in bundles, all layers, nothing cached\n");
	show_order_names(report);
	show_run_lengths(costs, n);
}

void show_place_report(const struct place_report *report)
{
	if (!report->placement->n_tokens) {
		printf("The trace is too short to keep tokens apart to measure the order on.\n");
		return;
	}
	show_reads(report->placement);
	show_costs(report);
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

static json_t *lengths_json(const struct order_cost *cost)
{
	json_t *array = json_array();

	for (int power = 0; power < ORDER_REPLAY_LENGTHS; power++)
		json_array_append_new(array, json_real(cost->runs_by_length[power]));
	return array;
}

json_t *order_cost_json(const struct order_cost *cost, const struct order_cost *frequency)
{
	bool known = frequency && frequency->device_us > 0;

	return json_pack("{s:f, s:f, s:f, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:o}",
		"device_us_per_token", cost->device_us,
		"device_us_median", cost->device_us_median,
		"device_us_p99", cost->device_us_p99,
		"against_frequency", known ? json_real(cost->device_us / frequency->device_us) :
					     json_null(),
		"wanted_per_token", cost->wanted,
		"missed_per_token", cost->missed,
		"missed_run_length_mean", cost->missed_run_length,
		"cache_hit_share", cost->cache_hit_share,
		"device_reads_per_token", cost->reads,
		"device_bundles_per_token", cost->bundles,
		"runs_by_length", lengths_json(cost));
}

json_t *device_cost_json(struct device_cost cost)
{
	return json_pack("{s:f, s:f, s:I}",
		"a_us", cost.a_us,
		"b_us_per_mib", cost.b_us_per_mib,
		"break_even_bytes", (json_int_t)device_break_even_bytes(cost));
}

/* Copies per layer, and what they are worth. */
static json_t *copies_json(const struct place_report *report)
{
	double best_us = report->costs[ORDER_BEST].device_us;
	json_t *object = order_cost_json(&report->with_copies, &report->costs[ORDER_FREQUENCY]);

	json_object_set_new(object, "per_layer", json_integer(report->n_copies));
	json_object_set_new(object, "bytes", json_integer((json_int_t)copies_bytes(report)));
	json_object_set_new(object, "choice_us_per_token", json_real(report->with_copies.choice_us));
	json_object_set_new(object, "against_best",
			    best_us > 0 ? json_real(report->with_copies.device_us / best_us) :
					  json_null());
	return object;
}

json_t *place_report_json(const struct place_report *report)
{
	const struct placement_report *placement = report->placement;
	json_t *results = json_array();

	for (int method = 0; method < placement->n_methods; method++) {
		json_t *object = method_json(placement, method);
		json_t *cost = order_cost_json(&report->costs[method],
					       &report->costs[ORDER_FREQUENCY]);

		json_object_update(object, cost);
		json_decref(cost);
		json_array_append_new(results, object);
	}
	return json_pack("{s:I, s:I, s:I, s:i, s:o, s:I, s:f, s:o, s:o*}",
		"tokens", (json_int_t)placement->n_seen,
		"unseen_tokens", (json_int_t)placement->n_tokens,
		"gap_bundles", (json_int_t)placement->gap,
		"replayed_tokens", (int)report->costs[0].tokens,
		"device", device_cost_json(report->replay.cost),
		"bundle_bytes", (json_int_t)report->replay.bundle_bytes,
		"cache_ratio", report->replay.cache_ratio,
		"results", results,
		"copies", report->n_copies ? copies_json(report) : NULL);
}
