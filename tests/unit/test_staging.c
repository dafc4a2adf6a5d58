// SPDX-License-Identifier: GPL-2.0-only
/* Memory for reads: as large as asked for and no larger, zero, aligned to huge pages. */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "storage/staging.h"

#define PAGE ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)

static bool is_mapped(char *page)
{
	unsigned char resident;

	return mincore(page, PAGE, &resident) == 0 || errno != ENOMEM;
}

/* The line of that memory in /proc/self/smaps that begins with `key`; "" without smaps. */
static void find_line(const char *memory, const char *key, char line[256])
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	bool inside = false;
	uintptr_t begin, end;

	while (maps && fgets(line, 256, maps)) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			inside = begin <= (uintptr_t)memory && (uintptr_t)memory < end;
		else if (inside && !strncmp(line, key, strlen(key)))
			goto out;
	}
	*line = '\0';
out:
	if (maps)
		fclose(maps);
}

static void it_is_there_and_nothing_beside_it(void **state)
{
	static const size_t sizes[] = {
		PAGE, 7 * PAGE, HUGE_PAGE - PAGE, HUGE_PAGE, HUGE_PAGE + PAGE, 5 * HUGE_PAGE - PAGE,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *memory = staging_map(sizes[i]);

		assert_non_null(memory);
		if (sizes[i] >= HUGE_PAGE)
			assert_int_equal((uintptr_t)memory % HUGE_PAGE, 0);
		for (size_t at = 0; at < sizes[i]; at += PAGE) {
			assert_int_equal(memory[at], 0);
			memory[at] = 1;
		}
		staging_unmap(memory, sizes[i]);
		for (size_t at = 0; at < sizes[i]; at += PAGE)
			assert_false(is_mapped(memory + at));
	}
	staging_unmap(NULL, PAGE);
}

static void it_asks_for_huge_pages(void **state)
{
	char *memory = staging_map(3 * HUGE_PAGE), line[256];

	(void)state;
	assert_non_null(memory);
	find_line(memory, "VmFlags:", line);
	if (!*line) {
		staging_unmap(memory, 3 * HUGE_PAGE);
		skip();
	}
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0)
		assert_non_null(strstr(line, " hg"));
	staging_unmap(memory, 3 * HUGE_PAGE);
}

/* Bytes of address space that are in use. */
static size_t space_used(void)
{
	char line[128] = "";
	FILE *statm = fopen("/proc/self/statm", "r");

	assert_non_null(statm);
	assert_non_null(fgets(line, sizeof(line), statm));
	fclose(statm);
	return strtoul(line, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

/* What was mapped to align it is given back. */
static void it_takes_no_more_than_it_has(void **state)
{
	size_t before, with;
	char *memory;

	(void)state;
	space_used(); /* for what reading it takes once */
	before = space_used();
	memory = staging_map(3 * HUGE_PAGE + PAGE);
	assert_non_null(memory);
	with = space_used();
	assert_int_equal(with - before, 3 * HUGE_PAGE + PAGE);
	staging_unmap(memory, 3 * HUGE_PAGE + PAGE);
	assert_int_equal(space_used(), before);
}

static void more_than_there_is_is_refused(void **state)
{
	(void)state;
	assert_null(staging_map(SIZE_MAX / 2));
	assert_null(staging_map(SIZE_MAX - PAGE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_there_and_nothing_beside_it),
		cmocka_unit_test(it_asks_for_huge_pages),
		cmocka_unit_test(it_takes_no_more_than_it_has),
		cmocka_unit_test(more_than_there_is_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
