// SPDX-License-Identifier: GPL-2.0-only
/*
 * libcolink by its public functions: what is in the page cache afterwards, what is counted,
 * what is refused. Each case of the page cache is run by each backend that there is here.
 */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <colink/prefetch.h>

#include "helpers/page_cache.h"
#include "kernel/kernel_device.h"
#include "library/read_limit.h"

#define PAGES 1024
#define TAIL 10 /* bytes of the last page */

static uint64_t page_bytes(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct colink_range pages(uint64_t first, uint64_t n)
{
	return (struct colink_range){ first * page_bytes(), n * page_bytes() };
}

/* Of PAGES pages, of which the last is cut. */
static int make_file(const struct folder *folder)
{
	uint64_t size = (PAGES - 1) * page_bytes() + TAIL;
	char *bytes = malloc(size);
	int fd;

	assert_non_null(bytes);
	memset(bytes, 7, size);
	write_file(folder->file, bytes, size);
	free(bytes);
	fd = open(folder->file, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static struct colink_prefetcher *open_prefetcher(int fd, enum colink_backend backend, uint64_t gap)
{
	char message[ERROR_MESSAGE_SIZE] = "";
	struct colink_prefetcher_options options = {
		.size = sizeof(options),
		.backend = backend,
		.gap_bytes = gap,
		.message = message,
		.message_size = sizeof(message),
	};
	struct colink_prefetcher *prefetcher;
	int ret = colink_prefetcher_open(fd, &options, &prefetcher);

	if (ret < 0 && backend == COLINK_BACKEND_URING)
		return NULL;
	if (ret < 0)
		fail_msg("%s", message);
	assert_string_equal(message, "");
	if (backend != COLINK_BACKEND_AUTO)
		assert_int_equal(colink_prefetcher_backend(prefetcher), backend);
	return prefetcher;
}

typedef void body(struct colink_prefetcher *prefetcher, int fd);

/* A case with nothing resident at first, by both ways of giving advice. */
static void by_each_backend(const struct folder *folder, uint64_t gap, body *test)
{
	static const enum colink_backend backends[] = { COLINK_BACKEND_FADVISE,
							COLINK_BACKEND_URING };
	size_t n_open = count_entries("/proc/self/fd");
	int fd = make_file(folder);

	for (size_t i = 0; i < 2; i++) {
		struct colink_prefetcher *prefetcher = open_prefetcher(fd, backends[i], gap);

		page_cache_drop(fd);
		if (prefetcher)
			test(prefetcher, fd);
		colink_prefetcher_close(prefetcher);
	}
	close(fd);
	assert_int_equal(count_entries("/proc/self/fd"), n_open);
}

static void prefetch(struct colink_prefetcher *prefetcher, const struct colink_range *ranges,
		     size_t n, struct colink_prefetch_counts *counts)
{
	int ret = colink_prefetch(prefetcher, ranges, n, COLINK_PREFETCH_WAIT, counts);

	if (ret < 0)
		fail_msg("%s", colink_prefetcher_error(prefetcher));
	assert_string_equal(colink_prefetcher_error(prefetcher), "");
}

static bool residency_is_told(const struct colink_prefetcher *prefetcher)
{
	return !strstr(colink_prefetcher_describe(prefetcher), "what is resident is not known");
}

/* --- What comes in --- */

static void assert_present(int fd, const bool *expected)
{
	bool present[PAGES];

	page_cache_look(fd, present, PAGES);
	for (size_t i = 0; i < PAGES; i++)
		if (present[i] != expected[i])
			fail_msg("page %zu: %s", i, present[i] ? "is there" : "is missing");
}

static void exactly(struct colink_prefetcher *prefetcher, int fd)
{
	const struct colink_range ranges[] = {
		pages(900, 3),
		{ 100 * page_bytes() - 1, 2 }, /* 99 and 100 */
		pages(10, 1),
		pages(13, 2), /* a gap of two pages, as many as are read over */
		pages(18, 1), /* and one of three */
		pages(901, 1),
		pages(PAGES - 1, 1),
		pages(PAGES, 1), /* beyond the end */
		{ 500 * page_bytes(), 0 },
	};
	struct colink_prefetch_counts counts;
	bool expected[PAGES] = { false };

	for (size_t i = 10; i < 15; i++)
		expected[i] = true;
	expected[18] = expected[99] = expected[100] = expected[PAGES - 1] = true;
	expected[900] = expected[901] = expected[902] = true;
	prefetch(prefetcher, ranges, sizeof(ranges) / sizeof(ranges[0]), &counts);
	assert_present(fd, expected);
	assert_int_equal(counts.wanted_bytes, 10 * page_bytes());
	assert_int_equal(counts.gap_bytes, 2 * page_bytes());
	assert_int_equal(counts.asked_bytes, 12 * page_bytes());
	assert_int_equal(counts.resident_bytes, 0);
	assert_int_equal(counts.given_up_bytes, 0);
	assert_int_equal(counts.ios, 5);
}

static void exactly_what_is_wanted(void **state)
{
	by_each_backend(*state, 2 * page_bytes(), exactly);
}

static void never(struct colink_prefetcher *prefetcher, int fd)
{
	const struct colink_range ranges[] = { pages(1, 1), pages(3, 1) };
	struct colink_prefetch_counts counts;

	prefetch(prefetcher, ranges, 2, &counts);
	assert_int_equal(counts.gap_bytes, 0);
	assert_int_equal(counts.ios, 2);
	assert_int_equal(page_cache_count(fd, PAGES), 2);
}

static void gaps_that_are_never_read(void **state)
{
	by_each_backend(*state, COLINK_GAP_NONE, never);
	by_each_backend(*state, page_bytes() - 1, never);
}

static void published(struct colink_prefetcher *prefetcher, int fd)
{
	const uint64_t gap = (16 << 10) / page_bytes();
	const struct colink_range ranges[] = { pages(0, 1), pages(1 + gap, 1),
					       pages(3 + 2 * gap, 1) };
	struct colink_prefetch_counts counts;

	prefetch(prefetcher, ranges, 3, &counts);
	assert_int_equal(counts.gap_bytes, gap * page_bytes());
	assert_int_equal(page_cache_count(fd, PAGES), 3 + gap);
}

static void gaps_by_default(void **state)
{
	by_each_backend(*state, 0, published);
}

static void again(struct colink_prefetcher *prefetcher, int fd)
{
	const struct colink_range ranges[] = { pages(10, 1), pages(12, 1), pages(14, 2) };
	struct colink_prefetch_counts counts;

	(void)fd;
	if (!residency_is_told(prefetcher))
		skip();
	prefetch(prefetcher, &ranges[1], 1, NULL);
	/* 12 is there, 14 and 15 are half there, and no gap beside 12 saves an I/O. */
	prefetch(prefetcher, &(struct colink_range){ 15 * page_bytes(), 1 }, 1, NULL);
	prefetch(prefetcher, ranges, 3, &counts);
	assert_int_equal(counts.wanted_bytes, 4 * page_bytes());
	assert_int_equal(counts.resident_bytes, 2 * page_bytes());
	assert_int_equal(counts.asked_bytes, 2 * page_bytes());
	assert_int_equal(counts.gap_bytes, 0);
	assert_int_equal(counts.ios, 2);
	prefetch(prefetcher, ranges, 3, &counts);
	assert_int_equal(counts.resident_bytes, 4 * page_bytes());
	assert_int_equal(counts.asked_bytes, 0);
	assert_int_equal(counts.ios, 0);
}

static void what_is_resident_drops_out(void **state)
{
	by_each_backend(*state, 4 * page_bytes(), again);
}

/*
 * The kernel would cut it. Nobody waits by reading here, so what was cut would be missing. What
 * is beyond the file's own pages is a hole, which is read like anything else.
 */
static void whole(struct colink_prefetcher *prefetcher, int fd)
{
	const struct colink_range all = { 0, INT64_MAX };
	struct colink_prefetch_counts counts;
	struct stat status;
	uint64_t limit;
	size_t n;

	assert_int_equal(fstat(fd, &status), 0);
	limit = read_limit_bytes("/sys", status.st_dev);
	if (limit > 64 << 20)
		skip();
	n = 2 * limit / page_bytes() + 1;
	assert_int_equal(ftruncate(fd, (off_t)(n * page_bytes())), 0);
	page_cache_drop(fd);
	assert_int_equal(colink_prefetch(prefetcher, &all, 1, 0, &counts), 0);
	assert_int_equal(counts.wanted_bytes, n * page_bytes());
	assert_int_equal(counts.asked_bytes, n * page_bytes());
	assert_int_equal(counts.ios, 3);
	for (int patience = 1000; page_cache_count(fd, n) < n && patience; patience--)
		usleep(10000);
	assert_int_equal(page_cache_count(fd, n), n);
}

static void longer_than_the_kernel_reads(void **state)
{
	by_each_backend(*state, 0, whole);
}

/* More pieces than a ring has room for, each called for anew. */
static void many(struct colink_prefetcher *prefetcher, int fd)
{
	enum { N = 5000 };
	struct colink_range *ranges = malloc(N * sizeof(*ranges));
	struct colink_prefetch_counts counts;
	bool expected[2 * N];

	assert_non_null(ranges);
	assert_int_equal(ftruncate(fd, (off_t)(2 * N * page_bytes())), 0);
	for (uint64_t i = 0; i < N; i++) /* from the end to the beginning */
		ranges[i] = pages(2 * (N - 1 - i), 1);
	for (int round = 0; round < 2; round++) {
		page_cache_drop(fd);
		prefetch(prefetcher, ranges, N, &counts);
		assert_int_equal(counts.ios, N);
		page_cache_look(fd, expected, 2 * N);
		for (size_t i = 0; i < 2 * N; i++)
			assert_true(expected[i] == (i % 2 == 0));
	}
	assert_int_equal(colink_prefetch(prefetcher, ranges, N, COLINK_PREFETCH_SPECULATIVE, NULL),
			 0);
	free(ranges);
}

static void many_ranges(void **state)
{
	by_each_backend(*state, COLINK_GAP_NONE, many);
}

/* The end is where it is at each call. */
static void other_size(struct colink_prefetcher *prefetcher, int fd)
{
	const struct colink_range range = pages(0, PAGES);
	struct colink_prefetch_counts counts;

	assert_int_equal(ftruncate(fd, (off_t)page_bytes() + 1), 0);
	prefetch(prefetcher, &range, 1, &counts);
	assert_int_equal(counts.wanted_bytes, 2 * page_bytes());
	assert_int_equal(ftruncate(fd, 0), 0);
	prefetch(prefetcher, &range, 1, &counts);
	assert_int_equal(counts.wanted_bytes, 0);
	assert_int_equal(ftruncate(fd, (off_t)((PAGES - 1) * page_bytes() + TAIL)), 0);
	prefetch(prefetcher, &range, 1, &counts);
	assert_int_equal(counts.wanted_bytes, PAGES * page_bytes());
}

static void a_file_that_changes_its_size(void **state)
{
	by_each_backend(*state, 0, other_size);
}

static void asks_for_nothing(struct colink_prefetcher *prefetcher, int fd)
{
	const struct colink_range none[] = { { 0, 0 }, { INT64_MAX, INT64_MAX } };
	struct colink_prefetch_counts counts, zero = { 0 };

	prefetch(prefetcher, NULL, 0, &counts);
	assert_memory_equal(&counts, &zero, sizeof(zero));
	prefetch(prefetcher, none, 2, &counts);
	assert_memory_equal(&counts, &zero, sizeof(zero));
	assert_int_equal(page_cache_count(fd, PAGES), 0);
}

static void nothing(void **state)
{
	by_each_backend(*state, 0, asks_for_nothing);
}

static void wrong_calls(struct colink_prefetcher *prefetcher, int fd)
{
	const struct colink_range ranges[] = { pages(0, 1), { (uint64_t)-4096, 1 } };
	struct colink_prefetch_counts counts, zero = { 0 };

	memset(&counts, 1, sizeof(counts));
	assert_int_equal(colink_prefetch(prefetcher, ranges, 2, 0, &counts), -EINVAL);
	assert_non_null(strstr(colink_prefetcher_error(prefetcher), "range 1 of 2"));
	assert_memory_equal(&counts, &zero, sizeof(zero));
	assert_int_equal(colink_prefetch(prefetcher, ranges, 1, 4, NULL), -EINVAL);
	assert_non_null(strstr(colink_prefetcher_error(prefetcher), "unknown flags 0x4"));
	assert_int_equal(colink_prefetch(prefetcher, NULL, 1, 0, NULL), -EINVAL);
	assert_int_equal(page_cache_count(fd, PAGES), 0);
	prefetch(prefetcher, ranges, 1, NULL);
}

static void calls_that_are_refused(void **state)
{
	by_each_backend(*state, 0, wrong_calls);
}

/* --- Opening --- */

static void assert_open_fails(int fd, const struct colink_prefetcher_options *given, int error,
			      const char *text)
{
	struct colink_prefetcher *prefetcher = (void *)-1;
	struct colink_prefetcher_options options = { .size = sizeof(options) };
	char message[ERROR_MESSAGE_SIZE] = "";

	if (given)
		options = *given;
	options.message = message;
	options.message_size = sizeof(message);
	assert_int_equal(colink_prefetcher_open(fd, &options, &prefetcher), error);
	assert_null(prefetcher);
	if (!strstr(message, text))
		fail_msg("\"%s\" does not say \"%s\"", message, text);
	assert_null(strchr(message, '\n'));
	assert_int_equal(colink_prefetcher_open(fd, given, &prefetcher), error);
}

static void assert_flags_refused(const struct folder *folder, int flags, int error,
				 const char *text)
{
	int fd = open(folder->file, flags | O_CLOEXEC);

	if (fd < 0 && flags & O_DIRECT)
		return;
	assert_true(fd >= 0);
	assert_open_fails(fd, NULL, error, text);
	close(fd);
}

static void what_is_no_file(void **state)
{
	const struct folder *folder = *state;
	int fds[2], fd;

	write_file(folder->file, "x", 1);
	assert_open_fails(-1, NULL, -EBADF, "file descriptor -1");
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_open_fails(fds[0], NULL, -ESPIPE, "a pipe");
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_open_fails(fds[0], NULL, -ESPIPE, "a socket");
	close(fds[0]);
	close(fds[1]);
	fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_open_fails(fd, NULL, -EISDIR, "is a directory");
	close(fd);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_open_fails(fd, NULL, -EINVAL, "not a regular file");
	close(fd);
	assert_flags_refused(folder, O_WRONLY, -EBADF, "not open for reading");
	assert_flags_refused(folder, O_PATH, -EBADF, "not open for reading");
	assert_flags_refused(folder, O_RDONLY | O_DIRECT, -EINVAL, "O_DIRECT");
}

static void wrong_options(void **state)
{
	struct colink_prefetcher_options options = { .size = sizeof(options) };
	int fd = make_file(*state);

	options.size--;
	assert_int_equal(colink_prefetcher_open(fd, &options, &(struct colink_prefetcher *){ 0 }),
			 -EINVAL);
	options.size = sizeof(options);
	options.backend = 4;
	assert_open_fails(fd, &options, -EINVAL, "no backend 4");
	options.backend = 0;
	options.flags = 1;
	assert_open_fails(fd, &options, -EINVAL, "flags 0x1");
	options.flags = 0;
	options.gap_bytes = (uint64_t)INT64_MAX + 1;
	assert_open_fails(fd, &options, -EINVAL, "gap");
	close(fd);
}

static void options_of_a_newer_header(void **state)
{
	struct {
		struct colink_prefetcher_options options;
		uint64_t news;
	} newer = { .options.size = sizeof(newer) };
	struct colink_prefetcher *prefetcher;
	int fd = make_file(*state);

	assert_int_equal(colink_prefetcher_open(fd, &newer.options, &prefetcher), 0);
	colink_prefetcher_close(prefetcher);
	newer.news = UINT64_C(1) << 56;
	assert_int_equal(colink_prefetcher_open(fd, &newer.options, &prefetcher), -E2BIG);
	assert_null(prefetcher);
	close(fd);
}

/* No more of a message than there is room for, and it ends. */
static void little_room_for_a_message(void **state)
{
	char message[8] = "xxxxxxx";
	struct colink_prefetcher_options options = {
		.size = sizeof(options),
		.message = message,
		.message_size = 5,
	};
	struct colink_prefetcher *prefetcher;

	(void)state;
	assert_int_equal(colink_prefetcher_open(-1, &options, &prefetcher), -EBADF);
	assert_string_equal(message, "file");
	assert_int_equal(message[5], 'x');
	options.message_size = 0;
	assert_int_equal(colink_prefetcher_open(-1, &options, &prefetcher), -EBADF);
	assert_string_equal(message, "file");
}

static void without_the_module(void **state)
{
	struct colink_prefetcher_options options = { .size = sizeof(options) };
	struct colink_prefetcher *prefetcher;
	int fd;

	if (access(KERNEL_DEVICE_PATH, F_OK) == 0)
		skip();
	fd = make_file(*state);
	prefetcher = open_prefetcher(fd, COLINK_BACKEND_AUTO, 0);
	assert_int_equal(colink_prefetcher_backend(prefetcher), COLINK_BACKEND_FADVISE);
	assert_non_null(strstr(colink_prefetcher_describe(prefetcher), "posix_fadvise; not the "
			       "module: cannot open /dev/colink: the module is not loaded"));
	colink_prefetcher_close(prefetcher);
	assert_int_equal(colink_prefetcher_open(fd, NULL, &prefetcher), 0);
	colink_prefetcher_close(prefetcher);
	options.backend = COLINK_BACKEND_MODULE;
	assert_open_fails(fd, &options, -ENOENT, "the module is not loaded");
	close(fd);
	colink_prefetcher_close(NULL);
}

/* --- How much the kernel reads at once --- */

static void tell(const struct folder *folder, const char *name, const char *text)
{
	char *path = path_in(folder->path, name);

	for (char *slash = strchr(path + strlen(folder->path) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	write_file(path, text, strlen(text));
	free(path);
}

static void limit_of_the_disk(void **state)
{
	const struct folder *folder = *state;
	dev_t whole = makedev(8, 0), part = makedev(8, 1), other = makedev(8, 2);

	assert_int_equal(read_limit_bytes(folder->path, whole), 128 << 10);
	tell(folder, "class/bdi/8:0/read_ahead_kb", "64\n");
	assert_int_equal(read_limit_bytes(folder->path, whole), 64 << 10);
	tell(folder, "dev/block/8:0/queue/max_sectors_kb", "1280\n");
	assert_int_equal(read_limit_bytes(folder->path, whole), 1280 << 10);
	tell(folder, "class/bdi/8:0/read_ahead_kb", "4096\n");
	assert_int_equal(read_limit_bytes(folder->path, whole), 4096 << 10);
	tell(folder, "dev/block/queue/max_sectors_kb", "512\n");
	tell(folder, "dev/block/8:1/partition", "1\n");
	assert_int_equal(read_limit_bytes(folder->path, part), 512 << 10);
	tell(folder, "dev/block/8:1/../queue/max_sectors_kb", "nonsense");
	assert_int_equal(read_limit_bytes(folder->path, part), 128 << 10);
	tell(folder, "class/bdi/8:2/read_ahead_kb", "1\n");
	assert_int_equal(read_limit_bytes(folder->path, other), 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(exactly_what_is_wanted),
		folder_test(gaps_that_are_never_read),
		folder_test(gaps_by_default),
		folder_test(what_is_resident_drops_out),
		folder_test(longer_than_the_kernel_reads),
		folder_test(many_ranges),
		folder_test(a_file_that_changes_its_size),
		folder_test(nothing),
		folder_test(calls_that_are_refused),
		folder_test(what_is_no_file),
		folder_test(wrong_options),
		folder_test(options_of_a_newer_header),
		folder_test(little_room_for_a_message),
		folder_test(without_the_module),
		folder_test(limit_of_the_disk),
	};

	return cmocka_run_group_tests_name("prefetcher", tests, NULL, NULL);
}
