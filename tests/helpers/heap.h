/* SPDX-License-Identifier: GPL-2.0-only */
/* What malloc() has handed out: to compare what was said to be needed with. */
#ifndef COLINK_TESTS_HELPERS_HEAP_H
#define COLINK_TESTS_HELPERS_HEAP_H

#include <stdint.h>

/* Bytes in use, malloc's own included. The test is skipped where that is not known (ASan). */
uint64_t heap_bytes(void);

/*
 * Between `before` and now so much was added as was `planned`: no more, but for a few KiB of
 * small things and of rounding, and no less.
 */
void assert_heap_grew(uint64_t before, uint64_t planned);

#endif
