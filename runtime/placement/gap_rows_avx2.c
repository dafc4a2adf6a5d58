// SPDX-License-Identifier: GPL-2.0-only
/* x86-64 with AVX2; compiled with it switched on. */
#ifdef __x86_64__
#define GAP_ROWS gap_rows_avx2
#define GAP_ROWS_NAME "avx2"

#include "placement/gap_rows_impl.h"
#endif
