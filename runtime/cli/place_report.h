/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What orders of neurons are worth on tokens that they were not made from: for people on
 * stdout, and as parts of JSON objects, which the caller owns.
 */
#ifndef COLINK_CLI_PLACE_REPORT_H
#define COLINK_CLI_PLACE_REPORT_H

#include <jansson.h>

#include "bench/order_costs.h"
#include "cli/cli.h"
#include "placement/placement.h"

struct place_report {
	struct placement_report *placement;
	struct order_replay_options replay;
	struct order_cost costs[ORDER_METHODS]; /* all 0 when there is nothing to measure on */
	uint32_t n_copies; /* per layer, of the placement that was written */
	struct order_cost with_copies; /* of that, if it has any */
};

void show_place_report(const struct place_report *report);
json_t *place_report_json(const struct place_report *report);

/* Rows of a table of n orders, whose columns have a width of 17 behind a first one of 16. */
void show_run_lengths(const struct order_cost *const *costs, size_t n);

/* `frequency`, what frequency order costs, is what the time is compared to; NULL: unknown. */
json_t *order_cost_json(const struct order_cost *cost, const struct order_cost *frequency);
json_t *device_cost_json(struct device_cost cost);

#endif
