// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "storage/large_memory.h"

#include <stdint.h>
#include <sys/mman.h>

/* Of x86-64, and of arm64 with pages of 4 KiB. Elsewhere the alignment does no harm. */
#define HUGE_PAGE ((size_t)2 << 20)

static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* A huge page more is mapped than asked for, and what lies outside is given back. */
void *large_memory_map(size_t bytes)
{
	size_t before;
	char *memory;

	if (bytes < HUGE_PAGE || bytes > SIZE_MAX - HUGE_PAGE)
		return map(bytes);
	memory = map(bytes + HUGE_PAGE);
	if (!memory)
		return NULL;
	before = -(uintptr_t)memory % HUGE_PAGE;
	if (before)
		munmap(memory, before);
	memory += before;
	munmap(memory + bytes, HUGE_PAGE - before);
	/* Where there are none it is as good without. */
	madvise(memory, bytes, MADV_HUGEPAGE);
	return memory;
}

void large_memory_unmap(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}
