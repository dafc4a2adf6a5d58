/* SPDX-License-Identifier: GPL-2.0-only */
/* What order_best.c and order_copies.c share. */
#ifndef COLINK_PLACEMENT_ORDER_BEST_PRIVATE_H
#define COLINK_PLACEMENT_ORDER_BEST_PRIVATE_H

#include <stdbool.h>

#include "placement/order_best.h"

/* -EINVAL, with a line on it, for options out of range. */
int order_best_check(const struct order_best_options *options, struct error *err);

/* Is the search to end? `stop` may be NULL. */
static inline bool order_best_stopped(const atomic_bool *stop)
{
	return stop && atomic_load_explicit(stop, memory_order_relaxed);
}

/*
 * The tokens to search by: as many as the effort asks for, and as an arrangement with so many
 * copies has room for in the memory, evenly spread. The caller calls activity_free(). Fails
 * with -ENOMEM.
 */
int order_best_sample(const struct activity *missed, const struct order_best_options *options,
		      uint32_t copies, struct activity *sample, struct error *err);

#endif
