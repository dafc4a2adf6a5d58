// SPDX-License-Identifier: GPL-2.0-only
/* Tables and JSON of what training found. */
#include <stdio.h>

#include "cli/steps.h"

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
