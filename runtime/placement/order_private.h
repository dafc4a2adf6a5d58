/* SPDX-License-Identifier: GPL-2.0-only */
/* What order.c and order_linked.c share. */
#ifndef COLINK_PLACEMENT_ORDER_PRIVATE_H
#define COLINK_PLACEMENT_ORDER_PRIVATE_H

#include <stdint.h>

#include "base/error.h"

/* Most frequent first; ties by index. */
int order_by_frequency(const uint32_t *frequency, uint32_t n, uint32_t *order, struct error *err);

#endif
