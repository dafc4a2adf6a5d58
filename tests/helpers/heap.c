// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "helpers/heap.h"

#include <malloc.h>

#include "helpers/test.h"

#define SMALL_THINGS 8192
/* A large piece is mapped by itself, in whole pages; of these there are a few. */
#define ROUNDING (8 * 4096)

uint64_t heap_bytes(void)
{
#ifdef __SANITIZE_ADDRESS__
	skip();
	return 0;
#else
	struct mallinfo2 info = mallinfo2();

	return (uint64_t)info.uordblks + info.hblkhd;
#endif
}

void assert_heap_grew(uint64_t before, uint64_t planned)
{
	uint64_t grown = heap_bytes() - before;

	if (grown > planned + SMALL_THINGS + ROUNDING || grown + SMALL_THINGS < planned)
		fail_msg("%llu bytes were planned, %llu taken", (unsigned long long)planned,
			 (unsigned long long)grown);
}
