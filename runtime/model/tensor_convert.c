// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion of checkpoint elements. One loop per type, so that the compiler can
 * vectorise it; memcpy() because the bytes may lie at any address.
 */
#include "model/tensor_convert.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/half.h"

#define F16_MAX 65504.0f

static uint16_t half_at(const uint8_t *from, size_t i)
{
	uint16_t half;

	memcpy(&half, from + i * sizeof(half), sizeof(half));
	return half;
}

static float float_at(const uint8_t *from, size_t i)
{
	float value;

	memcpy(&value, from + i * sizeof(value), sizeof(value));
	return value;
}

void tensor_to_f32(enum checkpoint_dtype dtype, const uint8_t *from, size_t n, float *out)
{
	switch (dtype) {
	case CHECKPOINT_F32:
		memcpy(out, from, n * sizeof(*out));
		break;
	case CHECKPOINT_F16:
		for (size_t i = 0; i < n; i++)
			out[i] = f16_to_f32(half_at(from, i));
		break;
	case CHECKPOINT_BF16:
		for (size_t i = 0; i < n; i++)
			out[i] = bf16_to_f32(half_at(from, i));
		break;
	case CHECKPOINT_OTHER:
		break;
	}
}

/* False for NaN, too: no comparison with it is true. */
static bool store_f16(float value, uint16_t *out)
{
	if (!(fabsf(value) <= F16_MAX))
		return false;
	*out = f32_to_f16(value);
	return true;
}

size_t tensor_to_f16(enum checkpoint_dtype dtype, const uint8_t *from, size_t n, uint16_t *out)
{
	size_t i = 0;

	switch (dtype) {
	case CHECKPOINT_F32:
		while (i < n && store_f16(float_at(from, i), &out[i]))
			i++;
		break;
	case CHECKPOINT_F16: /* all but infinities and NaN, whose exponent is all ones */
		for (; i < n && (half_at(from, i) & 0x7c00) != 0x7c00; i++)
			out[i] = half_at(from, i);
		break;
	case CHECKPOINT_BF16:
		while (i < n && store_f16(bf16_to_f32(half_at(from, i)), &out[i]))
			i++;
		break;
	case CHECKPOINT_OTHER:
		break;
	}
	return i;
}
