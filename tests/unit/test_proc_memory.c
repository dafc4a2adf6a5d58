// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel says follows what the process does. */
#include "helpers/test.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/proc_memory.h"

#define TOUCHED ((size_t)32 << 20)
/* The kernel counts in batches, for each CPU. */
#define SLACK ((uint64_t)4 << 20)

static void touched_memory_is_seen(void **state)
{
	struct proc_memory before, with, after;
	char *memory;

	(void)state;
	assert_int_equal(proc_memory_read(&before), 0);
	assert_true(before.resident_bytes > 0);
	assert_true(before.peak_bytes + SLACK >= before.resident_bytes);
	memory = mmap(NULL, TOUCHED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	memset(memory, 1, TOUCHED);
	assert_int_equal(proc_memory_read(&with), 0);
	munmap(memory, TOUCHED);
	assert_int_equal(proc_memory_read(&after), 0);
	assert_in_range(with.resident_bytes, before.resident_bytes + TOUCHED - SLACK,
			before.resident_bytes + TOUCHED + SLACK);
	assert_in_range(after.resident_bytes, 0, before.resident_bytes + SLACK);
	assert_true(after.peak_bytes + SLACK >= with.resident_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(touched_memory_is_seen),
	};

	return cmocka_run_group_tests_name("proc_memory", tests, NULL, NULL);
}
