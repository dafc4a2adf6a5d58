/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a Hugging Face checkpoint of an OPT model to a model file with identity
 * placement and no predictor.
 */
#ifndef COLINK_MODEL_IMPORT_OPT_H
#define COLINK_MODEL_IMPORT_OPT_H

#include "base/error.h"
#include "base/progress.h"

/*
 * `directory` holds config.json, vocab.json, merges.txt and the weights in any
 * form that checkpoint.h knows. Everything is checked before the first byte is
 * written; weights are streamed, so memory stays at one fc2 matrix in f16 and a
 * few buffers, whatever the model's size. Progress counts bytes of the result.
 */
int import_opt(const char *directory, const char *output, struct progress *progress,
	       struct error *err);

#endif
