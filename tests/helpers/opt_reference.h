/* SPDX-License-Identifier: GPL-2.0-only */
/* OPT's forward pass, written down from its definition, slowly and in double precision. */
#ifndef COLINK_TESTS_HELPERS_OPT_REFERENCE_H
#define COLINK_TESTS_HELPERS_OPT_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include "helpers/opt_checkpoint.h"

/* Logits after every token: (n, n_vocab). The caller frees them. */
double *opt_reference(const struct opt_checkpoint *checkpoint, const uint32_t *ids, size_t n);

#endif
