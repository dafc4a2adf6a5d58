/* SPDX-License-Identifier: GPL-2.0-only */
/* A gated model's forward pass, written down from its definition, in double precision. */
#ifndef COLINK_TESTS_HELPERS_GATED_REFERENCE_H
#define COLINK_TESTS_HELPERS_GATED_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helpers/gated_model.h"

/*
 * What a neuron adds to the output, times its column of down, given what gate and up
 * give: not 0 if it is active.
 */
double gated_activation(const struct model_config *config, double gate, double up);

/*
 * Logits after every token: (n, n_vocab). Neurons that are not wanted (n_ffn) take no
 * part; NULL: all do. The caller frees them.
 */
double *gated_reference(const struct gated_model *model, const bool *wanted, const uint32_t *ids,
			size_t n);

#endif
