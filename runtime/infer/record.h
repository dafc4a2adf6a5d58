/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Recording a trace (placement/trace.h): a text goes through the model, dense, in
 * windows that each start with bos and know nothing of each other. A window is a
 * chunk of the trace. Neurons are recorded by their index in the checkpoint,
 * whatever the placement of the file they are read from.
 */
#ifndef COLINK_INFER_RECORD_H
#define COLINK_INFER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "infer/model.h"
#include "storage/bundle_store.h"

/* Positions of a window, where the model has that many. */
#define RECORD_WINDOW 512

struct record_options {
	unsigned int threads; /* 0: one per CPU */
	bool inputs; /* record FFN inputs as well: `colink train` needs them */
	struct bundle_store_options store;
};

struct record_result {
	uint64_t n_tokens; /* recorded ones, the bos of each window included */
	double active_share; /* of all neurons */
};

/* `ids` without bos. Progress counts tokens. */
int record_trace(const struct model *model, const uint32_t *ids, size_t n_ids, const char *output,
		 const struct record_options *options, struct progress *progress,
		 struct record_result *result, struct error *err);

#endif
