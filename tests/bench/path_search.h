/* SPDX-License-Identifier: GPL-2.0-only */
/* How much of the way from an order to the bound of its path weight is easily gone. */
#ifndef COLINK_TESTS_BENCH_PATH_SEARCH_H
#define COLINK_TESTS_BENCH_PATH_SEARCH_H

#include <stdint.h>

#include "placement/coactivation.h"

/*
 * Local search on an order's path weight, until no move is left that makes it heavier: a stretch
 * of slots is reversed (2-opt), or up to three are put elsewhere (Or-opt), so that a neuron gets
 * one of its 10 best friends for a neighbour. slot_to_neuron is (n_neurons). Ends the program
 * when memory is out.
 */
void path_search_improve(const struct coactivation *coactivation, uint32_t *slot_to_neuron);

#endif
