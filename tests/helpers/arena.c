// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/arena.h"

#include <sys/mman.h>

#include "helpers/test.h"
#include "storage/source.h"

#define SMALL_ARENA 4096

char *arena_map(size_t bytes)
{
	char *arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(arena != MAP_FAILED);
	return arena;
}

void arena_unmap(char *arena, size_t bytes)
{
	assert_int_equal(munmap(arena, bytes), 0);
}

bool have_uring(const char *path)
{
	char *arena = arena_map(SMALL_ARENA);
	struct source *source;
	bool have = source_open("uring", path, arena, SMALL_ARENA, 1, &source, NULL) == 0;

	if (have)
		source_close(source);
	arena_unmap(arena, SMALL_ARENA);
	return have;
}
