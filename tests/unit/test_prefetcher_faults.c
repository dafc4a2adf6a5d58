// SPDX-License-Identifier: GPL-2.0-only
/*
 * libcolink where calls fail: each allocation in turn, advice, reading, and io_uring, wrapped
 * by the linker (see the Makefile). Every failure is reported, and the next call works.
 */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <colink/prefetch.h>

#define PAGES 64

enum call {
	CALL_ALLOCATE,
	CALL_FADVISE,
	CALL_PREAD,
	CALL_QUEUE_INIT,
	CALL_SUBMIT,
};

/* The nth of these calls fails with that errno; nth 0: none. */
static struct {
	enum call call;
	int nth, error, seen;
} plan;

static bool fails(enum call call)
{
	return plan.nth && plan.call == call && ++plan.seen == plan.nth;
}

static void arm(enum call call, int nth, int error)
{
	plan.call = call;
	plan.nth = nth;
	plan.error = error;
	plan.seen = 0;
}

/* Whether it came to that call. */
static bool disarm(void)
{
	bool happened = plan.seen >= plan.nth;

	plan.nth = 0;
	return happened;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
int __real_posix_fadvise(int fd, off_t offset, off_t bytes, int advice);
int __wrap_posix_fadvise(int fd, off_t offset, off_t bytes, int advice);
ssize_t __real_pread(int fd, void *to, size_t bytes, off_t offset);
ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t offset);
int __real_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);
int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);

void *__wrap_malloc(size_t size)
{
	return fails(CALL_ALLOCATE) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails(CALL_ALLOCATE) ? NULL : __real_calloc(n, size);
}

int __wrap_posix_fadvise(int fd, off_t offset, off_t bytes, int advice)
{
	return fails(CALL_FADVISE) ? plan.error : __real_posix_fadvise(fd, offset, bytes, advice);
}

ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t offset)
{
	if (!fails(CALL_PREAD))
		return __real_pread(fd, to, bytes, offset);
	errno = plan.error;
	return -1;
}

int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags)
{
	if (fails(CALL_QUEUE_INIT))
		return -plan.error;
	return __real_io_uring_queue_init(entries, ring, flags);
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
	return fails(CALL_SUBMIT) ? -plan.error : __real_io_uring_submit(ring);
}

static int make_file(const struct folder *folder)
{
	size_t size = PAGES * (size_t)sysconf(_SC_PAGESIZE);
	char *bytes = calloc(1, size);
	int fd;

	assert_non_null(bytes);
	write_file(folder->file, bytes, size);
	free(bytes);
	fd = open(folder->file, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return fd;
}

static int open_prefetcher(int fd, enum colink_backend backend, char message[ERROR_MESSAGE_SIZE],
			   struct colink_prefetcher **prefetcher)
{
	struct colink_prefetcher_options options = {
		.size = sizeof(options),
		.backend = backend,
		.gap_bytes = COLINK_GAP_NONE,
		.message = message,
		.message_size = ERROR_MESSAGE_SIZE,
	};

	return colink_prefetcher_open(fd, &options, prefetcher);
}

/* Every third page. */
static int prefetch(struct colink_prefetcher *prefetcher, unsigned int flags,
		    struct colink_prefetch_counts *counts)
{
	struct colink_range ranges[PAGES / 3];

	for (uint64_t i = 0; i < PAGES / 3; i++)
		ranges[i] = (struct colink_range){ 3 * i * (uint64_t)sysconf(_SC_PAGESIZE), 1 };
	return colink_prefetch(prefetcher, ranges, PAGES / 3, flags, counts);
}

static void assert_says_no(const struct colink_prefetcher *prefetcher, const char *text)
{
	const char *error = colink_prefetcher_error(prefetcher);

	if (!strstr(error, text))
		fail_msg("\"%s\" does not say \"%s\"", error, text);
}

static void opening_without_memory(void **state)
{
	char message[ERROR_MESSAGE_SIZE] = "";
	struct colink_prefetcher *prefetcher;
	int fd = make_file(*state);

	arm(CALL_ALLOCATE, 1, ENOMEM);
	assert_int_equal(open_prefetcher(fd, COLINK_BACKEND_FADVISE, message, &prefetcher),
			 -ENOMEM);
	assert_true(disarm());
	assert_null(prefetcher);
	assert_non_null(strstr(message, "out of memory"));
	close(fd);
}

/* Both lists of runs are allocated by the first call, and by no later one. */
static void asking_without_memory(void **state)
{
	char message[ERROR_MESSAGE_SIZE];
	struct colink_prefetcher *prefetcher;
	struct colink_prefetch_counts counts;
	int fd = make_file(*state), nth;

	for (nth = 1;; nth++) {
		int ret;

		assert_int_equal(open_prefetcher(fd, COLINK_BACKEND_FADVISE, message, &prefetcher),
				 0);
		arm(CALL_ALLOCATE, nth, ENOMEM);
		ret = prefetch(prefetcher, COLINK_PREFETCH_WAIT, &counts);
		if (!disarm()) {
			assert_int_equal(ret, 0);
			break;
		}
		assert_int_equal(ret, -ENOMEM);
		assert_says_no(prefetcher, "out of memory");
		assert_int_equal(counts.ios, 0);
		assert_int_equal(prefetch(prefetcher, COLINK_PREFETCH_WAIT, NULL), 0);
		assert_string_equal(colink_prefetcher_error(prefetcher), "");
		colink_prefetcher_close(prefetcher);
	}
	assert_int_equal(nth, 3);
	arm(CALL_ALLOCATE, 1, ENOMEM);
	assert_int_equal(prefetch(prefetcher, COLINK_PREFETCH_WAIT, NULL), 0);
	assert_false(disarm());
	colink_prefetcher_close(prefetcher);
	close(fd);
}

static void advice_that_fails(void **state)
{
	char message[ERROR_MESSAGE_SIZE];
	struct colink_prefetcher *prefetcher;
	struct colink_prefetch_counts counts;
	int fd = make_file(*state);

	assert_int_equal(open_prefetcher(fd, COLINK_BACKEND_FADVISE, message, &prefetcher), 0);
	arm(CALL_FADVISE, 3, EINVAL);
	assert_int_equal(prefetch(prefetcher, 0, &counts), -EINVAL);
	assert_true(disarm());
	assert_says_no(prefetcher, "posix_fadvise of");
	assert_int_equal(counts.ios, 2);
	colink_prefetcher_close(prefetcher);

	arm(CALL_FADVISE, 1, ENOSYS);
	assert_int_equal(open_prefetcher(fd, COLINK_BACKEND_FADVISE, message, &prefetcher),
			 -ENOSYS);
	assert_true(disarm());
	assert_non_null(strstr(message, "posix_fadvise"));
	close(fd);
}

static void pages_that_cannot_be_read(void **state)
{
	char message[ERROR_MESSAGE_SIZE];
	struct colink_prefetcher *prefetcher;
	int fd = make_file(*state);

	assert_int_equal(open_prefetcher(fd, COLINK_BACKEND_FADVISE, message, &prefetcher), 0);
	arm(CALL_PREAD, 2, EIO);
	assert_int_equal(prefetch(prefetcher, COLINK_PREFETCH_WAIT, NULL), -EIO);
	assert_true(disarm());
	assert_says_no(prefetcher, "cannot be read at byte");
	arm(CALL_PREAD, 2, EINTR);
	assert_int_equal(prefetch(prefetcher, COLINK_PREFETCH_WAIT, NULL), 0);
	assert_true(disarm());
	arm(CALL_PREAD, 1, EIO);
	assert_int_equal(prefetch(prefetcher, 0, NULL), 0);
	assert_false(disarm());
	colink_prefetcher_close(prefetcher);
	close(fd);
}

static void without_io_uring(void **state)
{
	char message[ERROR_MESSAGE_SIZE] = "";
	struct colink_prefetcher *prefetcher;
	size_t n_open;
	int fd = make_file(*state);

	n_open = count_entries("/proc/self/fd");
	arm(CALL_QUEUE_INIT, 1, EPERM);
	assert_int_equal(open_prefetcher(fd, COLINK_BACKEND_URING, message, &prefetcher), -EPERM);
	assert_true(disarm());
	assert_non_null(strstr(message, "kernel.io_uring_disabled"));
	/* The probe is allocated after the ring, which must not stay. */
	if (open_prefetcher(fd, COLINK_BACKEND_URING, message, &prefetcher) == 0)
		colink_prefetcher_close(prefetcher);
	assert_int_equal(count_entries("/proc/self/fd"), n_open);
	close(fd);
}

/* What was not submitted goes with the next call, and nobody waits for it until then. */
static void submitting_that_fails(void **state)
{
	char message[ERROR_MESSAGE_SIZE];
	struct colink_prefetcher *prefetcher;
	int fd = make_file(*state);

	if (open_prefetcher(fd, COLINK_BACKEND_URING, message, &prefetcher) < 0) {
		close(fd);
		skip();
	}
	arm(CALL_SUBMIT, 1, EAGAIN);
	assert_int_equal(prefetch(prefetcher, COLINK_PREFETCH_WAIT, NULL), -EAGAIN);
	assert_true(disarm());
	assert_says_no(prefetcher, "io_uring");
	arm(CALL_SUBMIT, 1, EINTR);
	assert_int_equal(prefetch(prefetcher, COLINK_PREFETCH_WAIT, NULL), 0);
	assert_true(disarm());
	assert_int_equal(prefetch(prefetcher, COLINK_PREFETCH_WAIT, NULL), 0);
	colink_prefetcher_close(prefetcher);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(opening_without_memory),
		folder_test(asking_without_memory),
		folder_test(advice_that_fails),
		folder_test(pages_that_cannot_be_read),
		folder_test(without_io_uring),
		folder_test(submitting_that_fails),
	};

	return cmocka_run_group_tests_name("prefetcher_faults", tests, NULL, NULL);
}
