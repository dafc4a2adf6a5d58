/* SPDX-License-Identifier: GPL-2.0-only */
/* What order.c and order_linked.c share with each other and with their test. */
#ifndef COLINK_PLACEMENT_ORDER_PRIVATE_H
#define COLINK_PLACEMENT_ORDER_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "placement/coactivation.h"

/* Most frequent first; ties by index. */
int order_by_frequency(const uint32_t *frequency, uint32_t n, uint32_t *order, struct error *err);

/*
 * order_linked() that sorts at most `room` pairs at a time (at least 1). The
 * order does not depend on the room, the time does.
 */
int order_linked_in_room(const struct coactivation *coactivation, size_t room,
			 uint32_t *slot_to_neuron, struct error *err);

#endif
