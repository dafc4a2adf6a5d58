// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for io_uring blocks in the kernel: every call made while waiting asks
 * for completions. The calls of liburing are wrapped (see the Makefile).
 */
#include "helpers/folder_test.h"

#include <liburing.h>
#include <stdlib.h>

#include "helpers/arena.h"
#include "storage/source.h"

#define N_READS 200
#define LENGTH 8192
#define ROOM (LENGTH + 2 * 4096)

static unsigned int blocking_calls, other_calls;

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned int n);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int n);
int __real_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring);

int __wrap_io_uring_submit(struct io_uring *ring)
{
	other_calls++;
	return __real_io_uring_submit(ring);
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int n)
{
	if (n)
		blocking_calls++;
	else
		other_calls++;
	return __real_io_uring_submit_and_wait(ring, n);
}

int __wrap_io_uring_submit_and_get_events(struct io_uring *ring)
{
	other_calls++;
	return __real_io_uring_submit_and_get_events(ring);
}

/* Reads more than the queue holds, so that waiting has to refill it, too. */
static void waiting_blocks(void **state)
{
	const struct folder *folder = *state;
	const size_t arena_bytes = (size_t)N_READS * ROOM;
	char *content = calloc(N_READS, LENGTH), *arena;
	static struct source_read reads[N_READS];
	struct source *source;
	struct error err;

	assert_non_null(content);
	write_file(folder->file, content, (size_t)N_READS * LENGTH);
	free(content);
	if (!have_uring(folder->file))
		skip();
	arena = arena_map(arena_bytes);
	assert_ok(source_open("uring", folder->file, arena, arena_bytes, 32, &source, &err), &err);
	for (uint32_t i = 0; i < N_READS; i++)
		reads[i] = (struct source_read){ .offset = (uint64_t)i * LENGTH,
						 .length = LENGTH,
						 .room = arena + (size_t)i * ROOM };
	assert_ok(source_submit(source, reads, N_READS, &err), &err);
	blocking_calls = 0;
	other_calls = 0;
	assert_ok(source_wait(source, reads, N_READS, &err), &err);
	assert_int_equal(other_calls, 0);
	assert_in_range(blocking_calls, 1, N_READS);
	source_close(source);
	arena_unmap(arena, arena_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = { folder_test(waiting_blocks) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
