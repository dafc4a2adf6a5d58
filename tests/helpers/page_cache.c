// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "helpers/page_cache.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helpers/test.h"

void page_cache_look(int fd, bool *present, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *states = malloc(n);
	void *map = mmap(NULL, n * page, PROT_READ, MAP_SHARED, fd, 0);

	assert_non_null(states);
	assert_true(map != MAP_FAILED);
	assert_int_equal(mincore(map, n * page, states), 0);
	for (size_t i = 0; i < n; i++)
		present[i] = states[i] & 1;
	munmap(map, n * page);
	free(states);
}

size_t page_cache_count(int fd, size_t n)
{
	bool *present = calloc(n, sizeof(*present));
	size_t count = 0;

	assert_non_null(present);
	page_cache_look(fd, present, n);
	for (size_t i = 0; i < n; i++)
		count += present[i];
	free(present);
	return count;
}

void page_cache_drop(int fd)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct stat status;

	assert_int_equal(fsync(fd), 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	if (page_cache_count(fd, ((size_t)status.st_size + page - 1) / page))
		skip();
}
