/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Conversions between IEEE 754 binary16 (f16), bfloat16 (bf16) and binary32
 * (f32), for loading weights and for CPUs without such instructions. Stored
 * halves are uint16_t in the CPU's byte order (little endian on every target).
 */
#ifndef COLINK_BASE_HALF_H
#define COLINK_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float f32_from_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline uint32_t f32_to_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline float bf16_to_f32(uint16_t half)
{
	return f32_from_bits((uint32_t)half << 16);
}

/* Exact for every input, subnormal numbers and NaN included. */
static inline float f16_to_f32(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16;
	uint32_t magnitude = half & 0x7fff;

	if (magnitude >= 0x7c00) /* infinity, NaN */
		return f32_from_bits(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
	if (magnitude < 0x400) { /* zero, subnormal: magnitude * 2^-24 */
		float value = (float)magnitude * 0x1p-24f;

		return sign ? -value : value;
	}
	return f32_from_bits(sign | ((magnitude << 13) + (112u << 23)));
}

/* Round to nearest, ties to even; what is too large becomes infinity. */
static inline uint16_t f32_to_f16(float value)
{
	uint32_t bits = f32_to_bits(value);
	uint32_t sign = bits >> 16 & 0x8000;
	uint32_t magnitude = bits & 0x7fffffff;
	uint32_t rounded;

	if (magnitude > 0x7f800000) /* NaN stays NaN */
		return sign | 0x7e00 | (magnitude >> 13 & 0x3ff);
	if (magnitude >= 0x477ff000) /* 65520 and above */
		return sign | 0x7c00;
	if (magnitude < 0x38800000) { /* subnormal: let the FPU round in units of 2^-24 */
		float scaled = f32_from_bits(magnitude) + 0.5f;

		return sign | (f32_to_bits(scaled) - f32_to_bits(0.5f));
	}
	rounded = magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1);
	return sign | rounded >> 13;
}

#endif
