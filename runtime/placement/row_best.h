/* SPDX-License-Identifier: GPL-2.0-only */
/* The highest count of one neuron with such higher ones as are wanted. */
#ifndef COLINK_PLACEMENT_ROW_BEST_H
#define COLINK_PLACEMENT_ROW_BEST_H

#include <stdint.h>

#include "placement/coactivation.h"

/* What `open` says of a neuron: all bits of a narrow count, or none. */
#define ROW_OPEN UINT16_MAX
#define ROW_CLOSED 0

/*
 * The highest count of `neuron` with a higher one that is open, which becomes *other; ties by
 * lower index. 0, and *other is untouched, when it fired together with none of these. `open`
 * is (n_neurons).
 */
uint32_t row_best(const struct coactivation *coactivation, uint32_t neuron, const uint16_t *open,
		  uint32_t *other);

#endif
