// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "storage/staging.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/huge_pages.h"

static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* A huge page more is mapped than asked for, and what lies outside is given back. */
void *staging_map(size_t bytes)
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
	huge_pages_ask(memory, bytes);
	return memory;
}

void staging_unmap(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}
