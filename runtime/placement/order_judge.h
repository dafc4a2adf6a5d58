/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which of two orders: a search fits what the tokens did by chance as well as what they do in
 * general. So there is a search only where a short one makes a better order for tokens that it
 * did not see; where it does not, greedy linking is taken, which fits less.
 */
#ifndef COLINK_PLACEMENT_ORDER_JUDGE_H
#define COLINK_PLACEMENT_ORDER_JUDGE_H

#include "base/error.h"
#include "placement/order.h"

/*
 * order_best() of input->seen, or order_linked() of input->coactivation where a short search by
 * seven eighths of the tokens does not cost at least 1 % less of the last eighth. Few tokens
 * are not divided. Fails as these do.
 */
int order_judged(const struct order_input *input, uint32_t *slot_to_neuron, struct error *err);

#endif
