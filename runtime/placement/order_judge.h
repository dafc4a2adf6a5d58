/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which of two orders: a search fits what the tokens did by chance as well as what they do in
 * general. So the searched order is taken only where it is better on tokens that the search
 * did not see; where it is not, greedy linking is, which fits less.
 */
#ifndef COLINK_PLACEMENT_ORDER_JUDGE_H
#define COLINK_PLACEMENT_ORDER_JUDGE_H

#include "base/error.h"
#include "placement/order.h"

/*
 * order_best() of seven eighths of input->seen, or order_linked() of input->coactivation, unless
 * the former costs at least 1 % less of the last eighth. Few tokens are not divided. Fails as
 * these do.
 */
int order_judged(const struct order_input *input, uint32_t *slot_to_neuron, struct error *err);

#endif
