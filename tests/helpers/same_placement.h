/* SPDX-License-Identifier: GPL-2.0-only */
/* That two placements are one, for the tests that make, save and load them. */
#ifndef COLINK_TESTS_HELPERS_SAME_PLACEMENT_H
#define COLINK_TESTS_HELPERS_SAME_PLACEMENT_H

#include "placement/placement.h"

/* Fails the test unless both say the same, to the bit, places of copies included. */
void assert_same_placement(const struct placement *a, const struct placement *b);

#endif
