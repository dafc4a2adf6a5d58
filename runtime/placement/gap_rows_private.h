/* SPDX-License-Identifier: GPL-2.0-only */
/* The sets of loops that this build has; gap_rows.c picks one. */
#ifndef COLINK_PLACEMENT_GAP_ROWS_PRIVATE_H
#define COLINK_PLACEMENT_GAP_ROWS_PRIVATE_H

#include "placement/gap_rows.h"

extern const struct gap_rows gap_rows_portable;
#ifdef __x86_64__
extern const struct gap_rows gap_rows_avx2;
extern const struct gap_rows gap_rows_avx512;
#endif

#endif
