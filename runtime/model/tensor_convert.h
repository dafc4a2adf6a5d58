/* SPDX-License-Identifier: GPL-2.0-only */
/* Stored elements (little endian, any alignment) as f32 or f16. */
#ifndef COLINK_MODEL_TENSOR_CONVERT_H
#define COLINK_MODEL_TENSOR_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include "model/checkpoint.h"

/* `dtype` is any but CHECKPOINT_OTHER. */
void tensor_to_f32(enum checkpoint_dtype dtype, const uint8_t *from, size_t n, float *out);

/*
 * Stops at the first value that f16 cannot hold (NaN, infinity, beyond +-65504);
 * returns how many were converted, `n` when all were.
 */
size_t tensor_to_f16(enum checkpoint_dtype dtype, const uint8_t *from, size_t n, uint16_t *out);

#endif
