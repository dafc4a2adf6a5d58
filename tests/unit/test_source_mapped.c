// SPDX-License-Identifier: GPL-2.0-only
/* Mapped files with a read-ahead of their own. */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "helpers/random_file.h"
#include "storage/read_ahead.h"
#include "storage/source.h"

#define PAGE 4096
#define PAGES 512

/* The file of random bytes, of which nothing is in the page cache. */
static int set_up(void **state)
{
	struct random_file *file = malloc(sizeof(*file));
	int fd;

	assert_non_null(file);
	random_file_make(file, 1, PAGES * PAGE);
	fd = open(file->path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	*state = file;
	return 0;
}

static int tear_down(void **state)
{
	random_file_remove(*state);
	free(*state);
	return 0;
}

/* Pages of the file that are in the page cache. */
static size_t resident(const struct random_file *file)
{
	unsigned char pages[PAGES];
	size_t n = 0;
	int fd = open(file->path, O_RDONLY | O_CLOEXEC);
	void *bytes = mmap(NULL, file->size, PROT_READ, MAP_SHARED, fd, 0);

	assert_true(fd >= 0 && bytes != MAP_FAILED);
	assert_int_equal(mincore(bytes, file->size, pages), 0);
	for (size_t i = 0; i < PAGES; i++)
		n += pages[i] & 1;
	munmap(bytes, file->size);
	close(fd);
	return n;
}

/* Fault a page in the middle in, and return how many came. */
static size_t touch(const struct random_file *file, struct source *source)
{
	struct source_read read = { .offset = PAGES / 2 * PAGE, .length = 1 };
	struct error err;

	if (resident(file) > 0)
		skip(); /* a file system without storage */
	assert_ok(source_submit(source, &read, 1, &err), &err);
	assert_ok(source_wait(source, &read, 1, &err), &err);
	assert_int_equal(*(const volatile char *)read.data, file->content[read.offset]);
	return resident(file);
}

static void none_is_one_page(void **state)
{
	const struct random_file *file = *state;
	struct source *source;
	struct error err;

	assert_ok(source_open_mapped(file->path, 0, &source, &err), &err);
	assert_string_equal(source_name(source), "mmap");
	assert_string_equal(source_describe(source), "mmap, MADV_RANDOM");
	assert_int_equal(touch(file, source), 1);
	source_close(source);
}

static void as_much_as_was_asked_for(void **state)
{
	const struct random_file *file = *state;
	struct source *source;
	uint32_t before, after;
	struct error err;

	if (read_ahead_get(file->path, &before, &err) < 0)
		skip();
	if (source_open_mapped(file->path, 64, &source, &err) < 0)
		skip(); /* for root only */
	assert_ok(read_ahead_get(file->path, &after, &err), &err);
	assert_int_equal(after, before);
	assert_string_equal(source_describe(source), "mmap, readahead of 64 KiB");
	assert_in_range(touch(file, source), 2, 64 / 4);
	source_close(source);
}

/* That needs no right. */
static void what_the_device_has_anyway(void **state)
{
	const struct random_file *file = *state;
	struct source *source;
	struct error err;
	uint32_t kib;

	if (read_ahead_get(file->path, &kib, &err) < 0 || !kib)
		skip();
	assert_ok(source_open_mapped(file->path, kib, &source, &err), &err);
	source_close(source);
}

static void no_such_file(void **state)
{
	struct source *source;
	struct error err;

	(void)state;
	for (uint32_t kib = 0; kib <= 64; kib += 64) {
		assert_int_equal(source_open_mapped("/nonexistent/file", kib, &source, &err),
				 -ENOENT);
		assert_says(&err, "/nonexistent/file");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(none_is_one_page, set_up, tear_down),
		cmocka_unit_test_setup_teardown(as_much_as_was_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_device_has_anyway, set_up, tear_down),
		cmocka_unit_test(no_such_file),
	};

	return cmocka_run_group_tests_name("source_mapped", tests, NULL, NULL);
}
