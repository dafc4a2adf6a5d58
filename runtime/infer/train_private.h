/* SPDX-License-Identifier: GPL-2.0-only */
/* What the steps of a training share (train.c, train_inputs.c, train_calibrate.c). */
#ifndef COLINK_INFER_TRAIN_PRIVATE_H
#define COLINK_INFER_TRAIN_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/progress.h"
#include "infer/linear.h"
#include "model/model_file.h"
#include "placement/trace.h"

struct training {
	const struct model_file *model;
	const struct trace *trace;
	struct compute compute;
	uint32_t rank;
	double ratio;
	uint32_t max_chunk; /* tokens of the largest chunk */
	uint64_t n_tokens; /* in chunks for the regression */
	uint64_t n_unseen; /* in the others */
	struct progress *progress;
	double done; /* operations */
	double total;
};

static inline void training_advance(struct training *training, double operations)
{
	training->done += operations;
	progress_report(training->progress, training->done, training->total);
}

/* Whether a chunk counts for the thresholds: the unseen ones; all when there are none. */
static inline bool training_calibrates(const struct training *training, uint32_t chunk)
{
	return !training->n_unseen || trace_chunk_unseen(training->trace, chunk);
}

#endif
