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

#include "infer/kernels_impl.h"
#endif
