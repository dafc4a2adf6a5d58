/* SPDX-License-Identifier: GPL-2.0-only */
/* Logits that can be sampled from, summed and printed. */
#ifndef COLINK_INFER_LOGITS_H
#define COLINK_INFER_LOGITS_H

#include <stddef.h>

#include "base/error.h"

/*
 * -EDOM unless every logit is a finite number. The checksums of a model file say
 * that it is as it was written, not that its weights make sense: with NaN among
 * them comparisons, sums and JSON all go wrong, so it is found out here.
 */
int logits_check(const float *logits, size_t n, struct error *err);

#endif
