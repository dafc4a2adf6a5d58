// SPDX-License-Identifier: GPL-2.0-only
/* Which memory is marked for huge pages. */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/huge_pages.h"

#define PAGE ((size_t)4096)
#define BYTES (6 * HUGE_PAGE)

/* Of /proc/self/smaps, whether the page of memory is marked. */
static bool is_marked(const char *memory)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	char line[256];
	bool inside = false, marked = false;
	uintptr_t begin, end;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			inside = begin <= (uintptr_t)memory && (uintptr_t)memory < end;
		else if (inside && !strncmp(line, "VmFlags:", 8))
			marked = strstr(line, " hg") != NULL;
	}
	fclose(maps);
	return marked;
}

static int set_up(void **state)
{
	*state = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return *state == MAP_FAILED ? -1 : 0;
}

static int tear_down(void **state)
{
	return munmap(*state, BYTES);
}

static char *first_whole(char *memory)
{
	return memory + -(uintptr_t)memory % HUGE_PAGE;
}

/* Not the parts at both ends. */
static void whole_ones_within(void **state)
{
	char *whole = first_whole(*state);

	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0)
		skip();
	huge_pages_ask(whole + 64, 3 * HUGE_PAGE);
	assert_false(is_marked(whole + HUGE_PAGE - PAGE));
	assert_true(is_marked(whole + HUGE_PAGE));
	assert_true(is_marked(whole + 3 * HUGE_PAGE - PAGE));
	assert_false(is_marked(whole + 3 * HUGE_PAGE));
}

static void none_in_little(void **state)
{
	char *whole = first_whole(*state);

	huge_pages_ask(NULL, 0);
	huge_pages_ask(whole, HUGE_PAGE - 1);
	huge_pages_ask(whole + 64, 2 * HUGE_PAGE - 65);
	for (size_t at = 0; at < 4 * HUGE_PAGE; at += HUGE_PAGE)
		assert_false(is_marked(whole + at));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_ones_within, set_up, tear_down),
		cmocka_unit_test_setup_teardown(none_in_little, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("huge_pages", tests, NULL, NULL);
}
