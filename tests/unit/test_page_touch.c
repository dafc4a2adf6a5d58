// SPDX-License-Identifier: GPL-2.0-only
/* Touching pages that are no longer there: an error, and not the end of the process. */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/page_touch.h"

struct mapped {
	char *bytes;
	size_t page;
	int fd;
};

/* Three pages are mapped, of which the file then keeps one. */
static struct mapped map_shortened(const struct folder *folder)
{
	struct mapped mapped = { .page = (size_t)sysconf(_SC_PAGESIZE) };
	char *path = path_in(folder->path, "file");

	mapped.fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(mapped.fd >= 0);
	assert_int_equal(ftruncate(mapped.fd, (off_t)(3 * mapped.page)), 0);
	mapped.bytes = mmap(NULL, 3 * mapped.page, PROT_READ, MAP_SHARED, mapped.fd, 0);
	assert_ptr_not_equal(mapped.bytes, MAP_FAILED);
	assert_int_equal(ftruncate(mapped.fd, (off_t)mapped.page), 0);
	free(path);
	return mapped;
}

static void unmap(struct mapped *mapped)
{
	munmap(mapped->bytes, 3 * mapped->page);
	close(mapped->fd);
}

static int touch(const struct mapped *mapped, size_t offset, size_t bytes)
{
	return page_touch(mapped->bytes + offset, bytes, mapped->page);
}

static void a_page_that_is_gone_is_an_error(void **state)
{
	struct mapped mapped = map_shortened(*state);
	size_t page = mapped.page;
	struct error err;

	assert_ok(page_touch_begin(&err), &err);
	assert_int_equal(touch(&mapped, 0, page), 0);
	assert_int_equal(touch(&mapped, 0, page + 1), -EFAULT);
	assert_int_equal(touch(&mapped, page - 1, 1), 0);
	assert_int_equal(touch(&mapped, page - 1, 2), -EFAULT);
	assert_int_equal(touch(&mapped, 2 * page + 7, 1), -EFAULT);
	assert_int_equal(touch(&mapped, 2 * page, 0), 0);
	/* After a failure as before it. */
	assert_int_equal(touch(&mapped, 0, page), 0);
	page_touch_end();
	unmap(&mapped);
}

static void every_page_is_touched(void **state)
{
	struct mapped mapped = map_shortened(*state);
	unsigned char resident[3];
	struct error err;

	/* Two pages that are there once they are touched, and that nobody reads around. */
	assert_int_equal(ftruncate(mapped.fd, (off_t)(3 * mapped.page)), 0);
	assert_int_equal(madvise(mapped.bytes, 3 * mapped.page, MADV_RANDOM), 0);
	assert_ok(page_touch_begin(&err), &err);
	assert_int_equal(touch(&mapped, mapped.page - 1, mapped.page + 2), 0);
	page_touch_end();
	assert_int_equal(mincore(mapped.bytes, 3 * mapped.page, resident), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(resident[i] & 1, 1);
	unmap(&mapped);
}

static sigjmp_buf elsewhere;

static void catch_it(int signal)
{
	(void)signal;
	siglongjmp(elsewhere, 1);
}

static void other_faults_are_for_who_had_them(void **state)
{
	struct mapped mapped = map_shortened(*state);
	struct sigaction mine = { .sa_handler = catch_it }, old, now;
	struct error err;

	assert_int_equal(sigaction(SIGBUS, &mine, &old), 0);
	assert_ok(page_touch_begin(&err), &err);
	assert_ok(page_touch_begin(&err), &err);
	page_touch_end();
	assert_int_equal(touch(&mapped, mapped.page, 1), -EFAULT);
	if (sigsetjmp(elsewhere, 1) == 0) {
		*(volatile char *)(mapped.bytes + mapped.page);
		fail_msg("a page that is gone was read");
	}
	page_touch_end();
	assert_int_equal(sigaction(SIGBUS, &old, &now), 0);
	assert_ptr_equal(now.sa_handler, catch_it);
	unmap(&mapped);
}

static void the_last_end_gives_the_signal_back(void **state)
{
	struct sigaction before, now;
	struct error err;

	(void)state;
	assert_int_equal(sigaction(SIGBUS, NULL, &before), 0);
	assert_ok(page_touch_begin(&err), &err);
	assert_ok(page_touch_begin(&err), &err);
	page_touch_end();
	assert_int_equal(sigaction(SIGBUS, NULL, &now), 0);
	assert_ptr_not_equal(now.sa_handler, before.sa_handler);
	page_touch_end();
	assert_int_equal(sigaction(SIGBUS, NULL, &now), 0);
	assert_ptr_equal(now.sa_handler, before.sa_handler);
}

static void *fail_often(void *arg)
{
	const struct mapped *mapped = arg;
	intptr_t failures = 0;

	for (int i = 0; i < 1000; i++)
		failures += touch(mapped, mapped->page, 1) == -EFAULT;
	return (void *)failures;
}

static void threads_fail_each_for_itself(void **state)
{
	struct mapped mapped = map_shortened(*state);
	pthread_t thread;
	struct error err;
	void *failures;

	assert_ok(page_touch_begin(&err), &err);
	assert_int_equal(pthread_create(&thread, NULL, fail_often, &mapped), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(touch(&mapped, 0, 1), 0);
	assert_int_equal(pthread_join(thread, &failures), 0);
	assert_int_equal((intptr_t)failures, 1000);
	page_touch_end();
	unmap(&mapped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(a_page_that_is_gone_is_an_error),
		folder_test(every_page_is_touched),
		folder_test(other_faults_are_for_who_had_them),
		cmocka_unit_test(the_last_end_gives_the_signal_back),
		folder_test(threads_fail_each_for_itself),
	};

	return cmocka_run_group_tests_name("page_touch", tests, NULL, NULL);
}
