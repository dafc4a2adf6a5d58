/* SPDX-License-Identifier: GPL-2.0-only */
/* A model file that model_load() takes: a token per byte and bos; weights are all zero but one. */
#ifndef COLINK_TESTS_HELPERS_BYTE_MODEL_H
#define COLINK_TESTS_HELPERS_BYTE_MODEL_H

#include <stdint.h>

#include "helpers/byte_vocabulary.h"
#include "model/model_layout.h"

#define BYTE_MODEL_TOKENS BYTE_TOKENS

/*
 * No tensor may be larger than 4096 bytes. `weight` is the first one of every f16
 * tensor. Slots are neurons; `first_neuron` is that of slot 0, rightly 0.
 */
void byte_model_write(const char *path, const struct model_config *config, uint16_t weight,
		      uint32_t first_neuron);

#endif
