// SPDX-License-Identifier: GPL-2.0-only
/* x86-64 with AVX2, FMA and F16C; compiled with these switched on. */
#ifdef __x86_64__
#include <immintrin.h>

#include "infer/kernels_private.h"

#define KERNELS kernels_avx2
#define KERNELS_NAME "avx2"
#define LANES 8

typedef __m256 vec;

static inline vec load_f16(const uint16_t *p)
{
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline float fold(vec v)
{
	__m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	half = _mm_add_ps(half, _mm_movehl_ps(half, half));
	return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

#include "infer/kernels_impl.h"
#endif
