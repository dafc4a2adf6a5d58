// SPDX-License-Identifier: GPL-2.0-only
/*
 * What libcolink asks the module for, and how it takes the answers: of a module that the test
 * plays (open() and ioctl() are wrapped, see the Makefile), which brings nothing in, however
 * much is asked for. The real one is in tests/selftests/colink/libcolink.sh.
 */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <colink/prefetch.h>

#include "kernel/kernel_device.h"

#define MAX_CALLS 8
#define REGION 5

static struct {
	size_t n_calls;
	struct colink_prefetch calls[MAX_CALLS];
	struct colink_extent first[MAX_CALLS], last[MAX_CALLS];
	uint64_t bytes[MAX_CALLS];
	struct colink_result result; /* of every call */
	int register_error, call_error; /* errno */
} module;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(args, mode_t);
	va_end(args);
	if (!strcmp(path, KERNEL_DEVICE_PATH))
		path = "/dev/null";
	return __real_open(path, flags, mode);
}

static int fails_with(int error)
{
	errno = error;
	return error ? -1 : 0;
}

static int register_file(const struct colink_register *args)
{
	assert_int_equal(args->size, sizeof(*args));
	assert_int_equal(args->n_layers, 0);
	return module.register_error ? fails_with(module.register_error) : REGION;
}

static int take_call(struct colink_prefetch *args)
{
	const struct colink_extent *extents = (const void *)(uintptr_t)args->extents;
	size_t call = module.n_calls++;

	assert_true(call < MAX_CALLS);
	assert_int_equal(args->size, sizeof(*args));
	module.calls[call] = *args;
	module.first[call] = extents[0];
	module.last[call] = extents[args->n_extents - 1];
	module.bytes[call] = 0;
	for (uint32_t i = 0; i < args->n_extents; i++) {
		assert_int_equal(extents[i].layer, COLINK_BYTES);
		assert_int_equal(extents[i].reserved, 0);
		module.bytes[call] += extents[i].count;
	}
	args->result = module.result;
	return fails_with(module.call_error);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list args;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	if (request == COLINK_REGISTER)
		return register_file(argument);
	if (request == COLINK_PREFETCH)
		return take_call(argument);
	return __real_ioctl(fd, request, argument);
}

static uint64_t page_bytes(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Of so many pages, all holes. */
static int make_file(const struct folder *folder, uint64_t n_pages)
{
	int fd = open(folder->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(n_pages * page_bytes())), 0);
	memset(&module, 0, sizeof(module));
	return fd;
}

static struct colink_prefetcher *open_prefetcher(int fd)
{
	struct colink_prefetcher *prefetcher;

	assert_int_equal(colink_prefetcher_open(fd, NULL, &prefetcher), 0);
	assert_int_equal(colink_prefetcher_backend(prefetcher), COLINK_BACKEND_MODULE);
	assert_string_equal(colink_prefetcher_describe(prefetcher), "the module");
	return prefetcher;
}

static void one_call(void **state)
{
	const struct colink_range ranges[] = {
		{ 8 * page_bytes(), 1 },
		{ 3 * page_bytes() + 1, page_bytes() },
		{ 4 * page_bytes(), 1 },
		{ 9 * page_bytes(), 100 * page_bytes() },
	};
	int fd = make_file(*state, 12);
	struct colink_prefetcher *prefetcher = open_prefetcher(fd);
	struct colink_prefetch_counts counts;

	module.result = (struct colink_result){
		.pages_resident = 1, .pages_issued = 7, .pages_given_up = 2,
		.gap_bytes = page_bytes(), .ios = 2,
	};
	assert_int_equal(colink_prefetch(prefetcher, ranges, 4, COLINK_PREFETCH_WAIT, &counts), 0);
	assert_int_equal(module.n_calls, 1);
	assert_int_equal(module.calls[0].region, REGION);
	assert_int_equal(module.calls[0].n_extents, 2);
	assert_int_equal(module.calls[0].flags, COLINK_WAIT);
	assert_int_equal(module.calls[0].eventfd, -1);
	assert_int_equal(module.calls[0].gap_bytes, 16 << 10);
	assert_int_equal(module.first[0].first, 3 * page_bytes());
	assert_int_equal(module.first[0].count, 2 * page_bytes());
	assert_int_equal(module.last[0].first, 8 * page_bytes());
	assert_int_equal(module.last[0].count, 4 * page_bytes());
	assert_int_equal(counts.wanted_bytes, 6 * page_bytes());
	assert_int_equal(counts.resident_bytes, page_bytes());
	assert_int_equal(counts.asked_bytes, 7 * page_bytes());
	assert_int_equal(counts.given_up_bytes, 2 * page_bytes());
	assert_int_equal(counts.gap_bytes, page_bytes());
	assert_int_equal(counts.ios, 2);
	assert_int_equal(colink_prefetch(prefetcher, ranges, 1, COLINK_PREFETCH_SPECULATIVE, NULL),
			 0);
	assert_int_equal(module.calls[1].flags, COLINK_SPECULATIVE);
	assert_int_equal(colink_prefetch(prefetcher, ranges, 0, 0, NULL), 0);
	assert_int_equal(module.n_calls, 2);
	colink_prefetcher_close(prefetcher);
	close(fd);
}

static void more_extents_than_a_call_takes(void **state)
{
	enum { N = COLINK_MAX_EXTENTS + 3 };
	int fd = make_file(*state, 2 * (uint64_t)N);
	struct colink_prefetcher *prefetcher = open_prefetcher(fd);
	struct colink_range *ranges = calloc(N, sizeof(*ranges));
	struct colink_prefetch_counts counts;

	assert_non_null(ranges);
	for (uint64_t i = 0; i < N; i++)
		ranges[i] = (struct colink_range){ 2 * i * page_bytes(), 1 };
	module.result.ios = 1;
	assert_int_equal(colink_prefetch(prefetcher, ranges, N, 0, &counts), 0);
	/* Of pages of 4 KiB, as many are just what a call may bring in. */
	assert_int_equal(module.n_calls, 2);
	assert_int_equal(module.calls[0].n_extents, COLINK_MAX_EXTENTS);
	assert_int_equal(module.calls[1].n_extents, 3);
	assert_int_equal(module.first[1].first, 2 * COLINK_MAX_EXTENTS * page_bytes());
	assert_int_equal(counts.ios, 2);
	free(ranges);
	colink_prefetcher_close(prefetcher);
	close(fd);
}

static void more_bytes_than_a_call_may_have(void **state)
{
	const uint64_t most = 256 << 20;
	const struct colink_range ranges[] = { { 0, page_bytes() }, { 2 * page_bytes(), 2 * most } };
	int fd = make_file(*state, 3 * most / page_bytes());
	struct colink_prefetcher *prefetcher = open_prefetcher(fd);

	assert_int_equal(colink_prefetch(prefetcher, ranges, 2, 0, NULL), 0);
	assert_int_equal(module.n_calls, 3);
	assert_int_equal(module.calls[0].n_extents, 2);
	assert_int_equal(module.bytes[0], most);
	assert_int_equal(module.first[1].first, most + page_bytes());
	assert_int_equal(module.bytes[1], most);
	assert_int_equal(module.bytes[2], page_bytes());
	assert_int_equal(module.last[2].first, 2 * most + page_bytes());
	colink_prefetcher_close(prefetcher);
	close(fd);
}

static void quotas_and_errors(void **state)
{
	const struct colink_range range = { 0, 1 };
	int fd = make_file(*state, 1);
	struct colink_prefetcher *prefetcher = open_prefetcher(fd);
	struct colink_prefetch_counts counts;

	module.result = (struct colink_result){ .refused = 1, .ios = 3 };
	assert_int_equal(colink_prefetch(prefetcher, &range, 1, 0, &counts), -EDQUOT);
	assert_non_null(strstr(colink_prefetcher_error(prefetcher), "refused 1 of 1"));
	assert_int_equal(counts.ios, 3);
	module.call_error = EINTR;
	assert_int_equal(colink_prefetch(prefetcher, &range, 1, 0, &counts), -EINTR);
	assert_non_null(strstr(colink_prefetcher_error(prefetcher), "the module cannot prefetch"));
	colink_prefetcher_close(prefetcher);
	close(fd);
}

/* As of a file on tmpfs: the next backend is taken, and the device is closed. */
static void a_file_that_the_module_does_not_take(void **state)
{
	struct colink_prefetcher_options options = { .size = sizeof(options) };
	struct colink_prefetcher *prefetcher;
	int fd = make_file(*state, 1);
	size_t n_open = count_entries("/proc/self/fd");

	module.register_error = EOPNOTSUPP;
	assert_int_equal(colink_prefetcher_open(fd, NULL, &prefetcher), 0);
	assert_int_equal(colink_prefetcher_backend(prefetcher), COLINK_BACKEND_FADVISE);
	assert_non_null(strstr(colink_prefetcher_describe(prefetcher), "not the module: file "
			       "descriptor"));
	colink_prefetcher_close(prefetcher);
	options.backend = COLINK_BACKEND_MODULE;
	assert_int_equal(colink_prefetcher_open(fd, &options, &prefetcher), -EOPNOTSUPP);
	assert_int_equal(count_entries("/proc/self/fd"), n_open);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(one_call),
		folder_test(more_extents_than_a_call_takes),
		folder_test(more_bytes_than_a_call_may_have),
		folder_test(quotas_and_errors),
		folder_test(a_file_that_the_module_does_not_take),
	};

	return cmocka_run_group_tests_name("prefetcher_module", tests, NULL, NULL);
}
