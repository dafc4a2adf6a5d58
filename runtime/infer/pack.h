/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The linked file: a model with its bundles in the order of a placement, the
 * hints of that placement, and a predictor.
 */
#ifndef COLINK_INFER_PACK_H
#define COLINK_INFER_PACK_H

#include "base/error.h"
#include "base/progress.h"
#include "infer/predictor.h"
#include "model/model_file.h"
#include "placement/placement.h"

/*
 * `model` may itself have any placement, and copies of bundles; the result has those of the
 * placement. Without a `predictor` (NULL) the
 * model's own, if any, is kept. Refused: a placement or predictor made for
 * another model. Every tensor read is checked against its checksum; memory stays
 * at the largest tensor (one layer's bundles, or the embedding). The same
 * arguments give the same bytes. Progress counts bytes written.
 */
int pack_model(const struct model_file *model, const struct placement *placement,
	       const struct predictor *predictor, const char *output, struct progress *progress,
	       struct error *err);

#endif
