// SPDX-License-Identifier: GPL-2.0-only
/* For CPUs without halves in hardware, and the reference in tests. */
#include "infer/kernels_private.h"

#include "base/half.h"

#define KERNELS kernels_portable
#define KERNELS_NAME "portable"
#define LANES 4

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));

static inline vec load_f16(const uint16_t *p)
{
	return (vec){ f16_to_f32(p[0]), f16_to_f32(p[1]), f16_to_f32(p[2]), f16_to_f32(p[3]) };
}

static inline float fold(vec v)
{
	return (v[0] + v[2]) + (v[1] + v[3]);
}

#include "infer/kernels_impl.h"
