// SPDX-License-Identifier: GPL-2.0-only
/* The file that benchmarks read: what it holds, that it is evicted, that nothing stays. */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "bench/extent_file.h"
#include "helpers/disk.h"

/* More than is written at a time, and not a multiple of it. */
#define PAGES 300
#define BYTES (PAGES * (uint64_t)EXTENT_PAGE)

/* Stands for a file system on which every file has a name. */
static bool all_have_names;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	if (all_have_names && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return __real_open(path, flags, mode);
}

static void make_file(const struct folder *folder, struct extent_file *file)
{
	struct error err;

	need_disk(folder->path);
	assert_ok(extent_file_create(folder->path, BYTES, file, &err), &err);
}

static size_t resident(const struct extent_file *file)
{
	unsigned char vector[PAGES];
	size_t n = 0;

	assert_int_equal(mincore((void *)file->map, BYTES, vector), 0);
	for (size_t i = 0; i < PAGES; i++)
		n += vector[i] & 1;
	return n;
}

static void every_page_is_marked(void **state)
{
	static const struct extent all[] = { { 0, EXTENT_PAGE },
					     { EXTENT_PAGE, BYTES - EXTENT_PAGE } };
	struct extent_file file;
	struct error err;

	make_file(*state, &file);
	assert_int_equal(lseek(file.fd, 0, SEEK_END), BYTES);
	assert_ok(extent_file_use(&file, all, 2, &err), &err);
	for (size_t a = 0; a < PAGES; a++)
		for (size_t b = 0; b < a; b++)
			assert_memory_not_equal(&file.map[a * EXTENT_PAGE],
						&file.map[b * EXTENT_PAGE], sizeof(uint64_t));
	extent_file_remove(&file);
}

static void wrong_data_is_named_by_offset(void **state)
{
	static const struct extent around[] = { { 0, 7 * EXTENT_PAGE },
						{ 8 * EXTENT_PAGE, BYTES - 8 * EXTENT_PAGE } };
	static const struct extent with[] = { { 0, EXTENT_PAGE },
					      { 4 * EXTENT_PAGE, 8 * EXTENT_PAGE } };
	struct error err = { 0 };
	struct extent_file file;
	int ret;

	make_file(*state, &file);
	/* Page 7 holds what page 6 should. */
	assert_int_equal(pwrite(file.fd, &file.map[6 * EXTENT_PAGE], EXTENT_PAGE, 7 * EXTENT_PAGE),
			 EXTENT_PAGE);
	assert_ok(extent_file_use(&file, around, 2, &err), &err);
	ret = extent_file_use(&file, with, 2, &err);
	assert_int_equal(ret, -EIO);
	assert_refused_with(ret, &err, file.path, ": wrong data at 28672");
	extent_file_remove(&file);
}

static void evicted_pages_are_gone(void **state)
{
	static const struct extent all = { 0, BYTES };
	struct extent_file file;
	struct error err;

	make_file(*state, &file);
	for (int round = 0; round < 2; round++) {
		assert_ok(extent_file_use(&file, &all, 1, &err), &err);
		assert_int_equal(resident(&file), PAGES);
		assert_ok(extent_file_evict(&file, &err), &err);
		assert_int_equal(resident(&file), 0);
	}
	extent_file_remove(&file);
}

/* What somebody else has mapped and locked stays. */
static void locked_page_is_no_eviction(void **state)
{
	struct error err = { 0 };
	struct extent_file file;
	void *other;
	int ret;

	make_file(*state, &file);
	other = mmap(NULL, EXTENT_PAGE, PROT_READ, MAP_SHARED, file.fd, 5 * EXTENT_PAGE);
	assert_true(other != MAP_FAILED);
	/* The call itself: sanitizers make mlock() do nothing. */
	if (syscall(SYS_mlock, other, EXTENT_PAGE)) {
		munmap(other, EXTENT_PAGE);
		extent_file_remove(&file);
		skip(); /* RLIMIT_MEMLOCK */
	}
	ret = extent_file_evict(&file, &err);
	assert_int_equal(ret, -EBUSY);
	assert_refused_with(ret, &err, file.path, "pages do not leave the page cache");
	munmap(other, EXTENT_PAGE);
	assert_ok(extent_file_evict(&file, &err), &err);
	extent_file_remove(&file);
}

static bool is_tmpfs(const char *path)
{
	struct statfs status;

	return statfs(path, &status) == 0 && status.f_type == TMPFS_MAGIC;
}

static void tmpfs_is_refused(void **state)
{
	struct extent_file file;
	struct error err = { 0 };
	int ret;

	(void)state;
	if (!is_tmpfs("/dev/shm"))
		skip();
	ret = extent_file_create("/dev/shm", UINT64_C(64) << 30, &file, &err);
	assert_int_equal(ret, -EBUSY); /* at once: there is no room for 64 GiB */
	assert_refused_with(ret, &err, "/dev/shm/colink-bench-", "a file system on a disk");
}

static void reads_of_the_device(void **state)
{
	static const struct extent all = { 0, BYTES };
	struct device_reads before, after;
	struct extent_file file;
	struct error err;

	make_file(*state, &file);
	assert_ok(extent_file_evict(&file, &err), &err);
	assert_ok(extent_file_device_reads(&file, &before, &err), &err);
	assert_ok(extent_file_use(&file, &all, 1, &err), &err);
	assert_ok(extent_file_device_reads(&file, &after, &err), &err);
	/* Others may read from it as well. */
	assert_true(after.ios > before.ios);
	assert_true(after.bytes >= before.bytes + BYTES);
	extent_file_remove(&file);
}

static void device_without_statistics(void **state)
{
	char name[] = "the file";
	struct extent_file file = { .path = name };
	struct device_reads reads;
	struct error err = { 0 };
	int ret;

	(void)state;
	if (!is_tmpfs("/dev/shm"))
		skip();
	file.fd = open("/dev/shm", O_RDONLY | O_CLOEXEC);
	assert_true(file.fd >= 0);
	ret = extent_file_device_reads(&file, &reads, &err);
	assert_int_equal(ret, -ENODATA);
	assert_refused_with(ret, &err, "the file: ", "no statistics in /sys/dev/block/");
	close(file.fd);
}

static void nothing_is_left(void **state)
{
	const struct folder *folder = *state;
	struct extent_file file;

	for (int named = 0; named < 2; named++) {
		all_have_names = named;
		make_file(folder, &file);
		/* Not even now: the process may be killed. */
		assert_int_equal(count_entries(folder->path), 0);
		extent_file_remove(&file);
		assert_int_equal(count_entries(folder->path), 0);
		extent_file_remove(&file); /* a second time does nothing */
	}
	all_have_names = false;
}

/* A file that is there under the name for a moment is not this one's to delete. */
static void name_that_is_taken(void **state)
{
	const struct folder *folder = *state;
	struct extent_file file;
	struct error err = { 0 };
	char name[64], *path;
	int ret;

	snprintf(name, sizeof(name), "colink-bench-%d.tmp", (int)getpid());
	path = path_in(folder->path, name);
	write_file(path, "x", 1);
	all_have_names = true;
	ret = extent_file_create(folder->path, BYTES, &file, &err);
	all_have_names = false;
	assert_int_equal(ret, -EEXIST);
	assert_refused_with(ret, &err, path, "cannot create");
	assert_int_equal(count_entries(folder->path), 1);
	free(path);
}

static void cannot_be_created(void **state)
{
	const struct folder *folder = *state;
	struct extent_file file;
	struct error err = { 0 };
	int ret;

	ret = extent_file_create(folder->file, BYTES, &file, &err);
	assert_int_equal(ret, -ENOENT);
	assert_refused_with(ret, &err, folder->file, ": cannot create: No such file");

	write_file(folder->file, "x", 1);
	ret = extent_file_create(folder->file, BYTES, &file, &err);
	assert_int_equal(ret, -ENOTDIR);
	assert_refused_with(ret, &err, folder->file, ": cannot create: Not a directory");
}

/* The kernel takes a part of the block first: the message says where it ended. */
static void full_disk(void **state)
{
	const struct folder *folder = *state;
	struct rlimit old, limit;
	struct extent_file file;
	struct error err = { 0 };
	int ret;

	need_disk(folder->path);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 8 * EXTENT_PAGE;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ret = extent_file_create(folder->path, BYTES, &file, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(ret, -EFBIG);
	assert_refused_with(ret, &err, folder->path, " bytes at 32768: File too large");
	assert_int_equal(count_entries(folder->path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(every_page_is_marked),
		folder_test(wrong_data_is_named_by_offset),
		folder_test(evicted_pages_are_gone),
		folder_test(locked_page_is_no_eviction),
		cmocka_unit_test(tmpfs_is_refused),
		folder_test(reads_of_the_device),
		cmocka_unit_test(device_without_statistics),
		folder_test(nothing_is_left),
		folder_test(name_that_is_taken),
		folder_test(cannot_be_created),
		folder_test(full_disk),
	};

	return cmocka_run_group_tests_name("extent_file", tests, NULL, NULL);
}
