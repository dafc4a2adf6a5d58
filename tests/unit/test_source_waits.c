// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for io_uring blocks in the kernel: every call made while waiting asks
 * for completions. Advancing never does. The calls of liburing are wrapped (see the Makefile).
 */
#include "helpers/folder_test.h"

#include <liburing.h>
#include <stdlib.h>
#include <time.h>

#include "helpers/arena.h"
#include "storage/source.h"

#define N_READS 200
#define DEPTH 32
#define PATIENCE_MS 20000
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

static struct source_read reads[N_READS];

/* Submits more reads than the queue holds; the caller closes and unmaps. */
static struct source *submit_many(const struct folder *folder, char **arena)
{
	const size_t arena_bytes = (size_t)N_READS * ROOM;
	char *content = calloc(N_READS, LENGTH);
	struct source *source;
	struct error err;

	assert_non_null(content);
	write_file(folder->file, content, (size_t)N_READS * LENGTH);
	free(content);
	if (!have_uring(folder->file))
		skip();
	*arena = arena_map(arena_bytes);
	assert_ok(source_open("uring", folder->file, *arena, arena_bytes, DEPTH, &source, &err),
		  &err);
	for (uint32_t i = 0; i < N_READS; i++)
		reads[i] = (struct source_read){ .offset = (uint64_t)i * LENGTH,
						 .length = LENGTH,
						 .room = *arena + (size_t)i * ROOM };
	assert_ok(source_submit(source, reads, N_READS, &err), &err);
	blocking_calls = 0;
	other_calls = 0;
	return source;
}

/* Waiting has to refill the queue, too. */
static void waiting_blocks(void **state)
{
	struct source *source;
	struct error err;
	char *arena;

	source = submit_many(*state, &arena);
	assert_ok(source_wait(source, reads, N_READS, &err), &err);
	assert_int_equal(other_calls, 0);
	assert_in_range(blocking_calls, 1, N_READS);
	source_close(source);
	arena_unmap(arena, (size_t)N_READS * ROOM);
}

/* In the end no more are left than the queue holds, without ever having blocked. */
static void advancing_goes_on(void **state)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct source *source;
	uint64_t finished = 0, bytes;
	struct error err;
	char *arena;

	source = submit_many(*state, &arena);
	for (int i = 0; i < PATIENCE_MS && finished < N_READS - DEPTH; i++) {
		source_advance(source);
		source_get_finished(source, &finished, &bytes);
		nanosleep(&pause, NULL);
	}
	assert_in_range(finished, N_READS - DEPTH, N_READS);
	assert_int_equal(blocking_calls, 0);
	assert_ok(source_wait(source, reads, N_READS, &err), &err);
	source_close(source);
	arena_unmap(arena, (size_t)N_READS * ROOM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(waiting_blocks),
		folder_test(advancing_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
