// SPDX-License-Identifier: GPL-2.0-only
/* For every CPU: SSE2 on x86-64, NEON on arm64; and the reference in tests. */
#define GAP_ROWS gap_rows_portable
#define GAP_ROWS_NAME "portable"

#include "placement/gap_rows_impl.h"
