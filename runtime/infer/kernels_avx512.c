// SPDX-License-Identifier: GPL-2.0-only
/* x86-64 with AVX-512 F, VL and BW; compiled with these switched on. */
#ifdef __x86_64__
#include <immintrin.h>

#include "infer/kernels_private.h"

#define KERNELS kernels_avx512
#define KERNELS_NAME "avx512"
#define LANES 16

typedef __m512 vec;

static inline vec load_f16(const uint16_t *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline float fold(vec v)
{
	__m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1));
	__m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), high);
	__m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));

	quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
	return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

#include "infer/kernels_impl.h"
#endif
