/* SPDX-License-Identifier: GPL-2.0-only */
/* The sets of kernels that this build has; kernels.c picks one. */
#ifndef COLINK_INFER_KERNELS_PRIVATE_H
#define COLINK_INFER_KERNELS_PRIVATE_H

#include "infer/kernels.h"

extern const struct kernels kernels_portable;
#ifdef __x86_64__
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;
#endif
#ifdef __aarch64__
extern const struct kernels kernels_neon;
#endif

#endif
