// SPDX-License-Identifier: GPL-2.0-only
/* 64-bit ARM; conversions of halves are part of the base instruction set. */
#ifdef __aarch64__
#include <arm_neon.h>

#include "infer/kernels_private.h"

#define KERNELS kernels_neon
#define KERNELS_NAME "neon"
#define LANES 4

typedef float32x4_t vec;

static inline vec load_f16(const uint16_t *p)
{
	return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline float fold(vec v)
{
	return vaddvq_f32(v);
}

#include "infer/kernels_impl.h"
#endif
