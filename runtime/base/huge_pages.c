// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "base/huge_pages.h"

#include <stdint.h>
#include <sys/mman.h>

void huge_pages_ask(void *memory, size_t bytes)
{
	size_t before = -(uintptr_t)memory % HUGE_PAGE;

	if (bytes < before + HUGE_PAGE)
		return;
	madvise((char *)memory + before, (bytes - before) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
}
