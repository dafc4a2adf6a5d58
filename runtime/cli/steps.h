/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The steps from a checkpoint to a linked file, each with its progress bar: as
 * commands of their own, and in one go in `colink link`. `label` names the step on
 * that bar: "trace", or "2/5 trace" as part of the whole.
 */
#ifndef COLINK_CLI_STEPS_H
#define COLINK_CLI_STEPS_H

#include <stdatomic.h>

#include "cli/cli.h"
#include "cli/place_report.h"
#include "cli/pictures.h"
#include "infer/record.h"
#include "infer/train.h"

struct trace_step {
	const char *label;
	const char *model;
	const struct string_list *texts;
	const char *output;
	bool inputs;
	uint64_t max_tokens; /* of the text; 0: all */
	uint32_t threads;
};

struct place_step {
	const char *label;
	const char *measure_label; /* of its second part */
	const char *trace;
	const char *unseen; /* a trace to measure on, or NULL */
	enum order_method method;
	uint64_t seed;
	uint32_t effort; /* of ORDER_BEST */
	double copies; /* likewise: share of the neurons that are stored again, 0 to 1 */
	const atomic_bool *stop; /* likewise; or NULL */
	uint32_t gap; /* bundles */
	/* bundle_bytes of 0: as far as the trace tells. */
	struct order_replay_options replay;
	uint64_t memory; /* bytes that the process may have */
	const char *output;
	struct picture_step pictures; /* all zero: none */
	uint32_t threads;
};

struct train_step {
	const char *label;
	const char *model;
	const char *trace;
	struct train_options options;
	const char *output;
	uint32_t threads;
};

int step_import(const char *label, const char *source, const char *output, struct error *err);
int step_trace(const struct trace_step *step, struct record_result *result, struct error *err);
/* By default: a UFS 4.0 phone, with as much of the model cached as by default. */
struct order_replay_options step_place_replay(void);
/*
 * The options for the replay have been checked. The caller frees report->placement. When a
 * picture fails, the placement is there all the same.
 */
int step_place(const struct place_step *step, struct place_report *report, struct error *err);
int step_train(const struct train_step *step, struct train_report **report, struct error *err);
/* `predictor` may be NULL. */
int step_pack(const char *label, const char *model, const char *placement, const char *predictor,
	      const char *output, struct error *err);

/* What the steps found, for people on stdout and as parts of JSON objects. */
void show_train_report(const struct train_report *report);
json_t *train_report_json(const struct train_report *report);

#endif
