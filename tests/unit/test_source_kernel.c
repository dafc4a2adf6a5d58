// SPDX-License-Identifier: GPL-2.0-only
/*
 * The source "kernel", with a module that is a fake: what it is asked, what is waited for, what
 * is counted, and that what cannot be read is an error. The real one is asked in the virtual
 * machine (tests/selftests/colink/run_kernel.sh).
 */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/random.h"
#include "helpers/disk.h"
#include "helpers/fake_module.h"
#include "helpers/random_file.h"
#include "kernel/kernel_device.h"
#include "storage/source.h"

#define PAGE 4096
#define PAGES 512
#define FILE_BYTES (PAGES * PAGE - 777)
#define GAP 12345

struct fixture {
	struct random_file file; /* of FILE_BYTES, nothing of it in the page cache */
	struct source *source;
};

static const struct source_kernel_options options = { .gap_bytes = GAP };

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error err;
	int fd;

	assert_non_null(fixture);
	fake_module_reset();
	random_file_make(&fixture->file, 5, FILE_BYTES);
	fd = open(fixture->file.path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	assert_ok(source_open_kernel(fixture->file.path, &options, &fixture->source, &err), &err);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	source_close(fixture->source);
	random_file_remove(&fixture->file);
	free(fixture);
	fake_module_reset();
	return 0;
}

static struct source_read read_of(uint64_t offset, uint32_t length)
{
	return (struct source_read){ .offset = offset, .length = length };
}

static void assert_right(const struct fixture *fixture, const struct source_read *reads, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		assert_true(reads[i].done);
		assert_memory_equal(reads[i].data, fixture->file.content + reads[i].offset,
				    reads[i].length);
	}
}

static void submit(const struct fixture *fixture, struct source_read *reads, uint32_t n)
{
	struct error err;

	assert_ok(source_submit(fixture->source, reads, n, &err), &err);
}

static void wait_for(const struct fixture *fixture, const struct source_read *reads, uint32_t n)
{
	struct error err;

	assert_ok(source_wait(fixture->source, reads, n, &err), &err);
}

static void what_it_is(void **state)
{
	const struct fixture *fixture = *state;

	assert_string_equal(source_name(fixture->source), "kernel");
	assert_false(source_is_direct(fixture->source));
	assert_false(source_uses_arena("kernel"));
	assert_true(source_collapses(fixture->source));
	assert_false(source_reads_on_touch(fixture->source));
	assert_int_equal(source_room(fixture->source, 1000), 0);
	assert_int_equal(source_footprint(fixture->source, 1000), 1000);
}

/* As they are, in one call that does not wait, whatever the order. */
static void one_call_for_all_reads(void **state)
{
	const struct fixture *fixture = *state;
	struct source_read reads[] = { read_of(9000, 3), read_of(0, PAGE), read_of(20000, 5000) };

	submit(fixture, reads, 3);
	assert_int_equal(fake_module.calls, 1);
	assert_int_equal(fake_module.last.n_extents, 3);
	assert_int_equal(fake_module.last.gap_bytes, GAP);
	assert_int_equal(fake_module.last.flags, 0);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(fake_module.extents[i].layer, COLINK_BYTES);
		assert_int_equal(fake_module.extents[i].first, reads[i].offset);
		assert_int_equal(fake_module.extents[i].count, reads[i].length);
	}
	wait_for(fixture, reads, 3);
	assert_right(fixture, reads, 3);
	assert_int_equal(fake_module.calls, 1);
}

static void nothing_to_read(void **state)
{
	const struct fixture *fixture = *state;

	submit(fixture, NULL, 0);
	wait_for(fixture, NULL, 0);
	assert_int_equal(fake_module.calls, 0);
}

/* What the module says, and major faults, of which there are none when all was prefetched. */
static void counts(void **state)
{
	const struct fixture *fixture = *state;
	struct source_read reads[] = { read_of(100, 5000), read_of(10 * PAGE, 1) };
	struct source_read again[] = { read_of(0, 3 * PAGE) };
	struct source_counts counts;
	struct error err;

	need_disk(fixture->file.folder);
	submit(fixture, reads, 2);
	wait_for(fixture, reads, 2);
	assert_ok(source_get_counts(fixture->source, &counts, &err), &err);
	assert_int_equal(counts.reads, 2);
	assert_int_equal(counts.bytes, 3 * PAGE);
	assert_int_equal(counts.asked_bytes, 3 * PAGE);
	assert_int_equal(counts.resident_bytes, 0);

	submit(fixture, again, 1);
	wait_for(fixture, again, 1);
	assert_ok(source_get_counts(fixture->source, &counts, &err), &err);
	assert_int_equal(counts.reads, 3);
	assert_int_equal(counts.bytes, 4 * PAGE);
	assert_int_equal(counts.asked_bytes, 6 * PAGE);
	assert_int_equal(counts.resident_bytes, 2 * PAGE);
}

/* Left to page faults, which are counted. */
static void what_quotas_refuse(void **state)
{
	const struct fixture *fixture = *state;
	struct source_read reads[] = { read_of(100, 5000), read_of(100 * PAGE, 1) };
	struct source_counts counts;
	struct error err;

	need_disk(fixture->file.folder);
	fake_module.prefetch_error = -EDQUOT;
	submit(fixture, reads, 2);
	wait_for(fixture, reads, 2);
	assert_right(fixture, reads, 2);
	assert_ok(source_get_counts(fixture->source, &counts, &err), &err);
	assert_int_equal(counts.reads, 3);
	assert_int_equal(counts.bytes, 3 * PAGE);
	assert_int_equal(counts.asked_bytes, 0);
}

struct teller {
	uint32_t held; /* which call it tells of */
	atomic_bool told;
};

static void *tell_later(void *arg)
{
	struct teller *teller = arg;

	usleep(50000);
	teller->told = true;
	fake_module_tell(teller->held);
	return NULL;
}

/* A wait is over when the module says so, and not when another request is done. */
static void waits_for_its_own_reads(void **state)
{
	const struct fixture *fixture = *state;
	struct source_read first[] = { read_of(0, PAGE), read_of(5 * PAGE, PAGE) };
	struct source_read second[] = { read_of(50 * PAGE, PAGE) };
	struct teller teller = { .held = 0 };
	pthread_t thread;

	need_disk(fixture->file.folder);
	fake_module.holds = true;
	submit(fixture, first, 2);
	submit(fixture, second, 1);
	fake_module_tell(1);
	wait_for(fixture, second, 1);
	assert_right(fixture, second, 1);
	assert_int_equal(pthread_create(&thread, NULL, tell_later, &teller), 0);
	wait_for(fixture, &first[1], 1);
	assert_true(teller.told);
	wait_for(fixture, first, 1);
	assert_right(fixture, first, 2);
	pthread_join(thread, NULL);
}

/* Nothing is in flight then, and what the module would tell is not waited for. */
static void resident_reads_need_no_telling(void **state)
{
	const struct fixture *fixture = *state;
	struct source_read reads[] = { read_of(0, 3 * PAGE) };

	submit(fixture, reads, 1);
	wait_for(fixture, reads, 1);
	fake_module.holds = true;
	submit(fixture, reads, 1);
	wait_for(fixture, reads, 1);
	assert_right(fixture, reads, 1);
}

/* What a batch was told of late is not taken for its next reads. */
static void told_late(void **state)
{
	const struct fixture *fixture = *state;
	struct source_read resident[] = { read_of(0, PAGE) }, missing[] = { read_of(9 * PAGE, 1) };
	struct teller teller = { .held = 1 };
	pthread_t thread;

	need_disk(fixture->file.folder);
	submit(fixture, resident, 1);
	wait_for(fixture, resident, 1);
	fake_module.holds = true;
	submit(fixture, resident, 1);
	wait_for(fixture, resident, 1);
	submit(fixture, missing, 1);
	fake_module_tell(0);
	assert_int_equal(pthread_create(&thread, NULL, tell_later, &teller), 0);
	wait_for(fixture, missing, 1);
	assert_true(teller.told);
	pthread_join(thread, NULL);
}

/* As many descriptors as requests were ever in flight. */
static void many_requests(void **state)
{
	const struct fixture *fixture = *state;
	struct random_state random;
	size_t n_open = 0;

	random_seed(&random, 1);
	for (uint32_t k = 0; k < 300; k++) {
		struct source_read reads[3];

		for (uint32_t i = 0; i < 3; i++) {
			uint32_t length = 1 + (uint32_t)random_below(&random, 3 * PAGE);

			reads[i] = read_of(random_below(&random, FILE_BYTES - length + 1), length);
		}
		submit(fixture, reads, 2);
		submit(fixture, &reads[2], 1);
		wait_for(fixture, reads, 3);
		assert_right(fixture, reads, 3);
		if (k == 0)
			n_open = count_entries("/proc/self/fd");
	}
	assert_int_equal(count_entries("/proc/self/fd"), n_open);
}

static void more_reads_than_a_call_takes(void **state)
{
	const struct fixture *fixture = *state;
	const uint32_t n = COLINK_MAX_EXTENTS + 1;
	struct source_read *reads = calloc(n, sizeof(*reads));

	assert_non_null(reads);
	for (uint32_t i = 0; i < n; i++)
		reads[i] = read_of(i * 31 % FILE_BYTES, 1);
	fake_module.reads_nothing = true;
	submit(fixture, reads, n);
	assert_int_equal(fake_module.calls, 2);
	assert_int_equal(fake_module.last.n_extents, 1);
	assert_int_equal(fake_module.extents[0].first, reads[n - 1].offset);
	wait_for(fixture, reads, n);
	assert_right(fixture, reads, n);
	free(reads);
}

static void other_failures_of_the_module(void **state)
{
	const struct fixture *fixture = *state;
	struct source_read read = read_of(0, 10);
	struct error err = { 0 };
	int ret;

	fake_module.prefetch_error = -ENOENT;
	ret = source_submit(fixture->source, &read, 1, &err);
	assert_int_equal(ret, -ENOENT);
	assert_refused_with(ret, &err, fixture->file.path, "cannot prefetch");
}

/* At any moment up to the wait: a message that names the place, no SIGBUS. */
static void a_file_that_gets_shorter(void **state)
{
	struct fixture *fixture = *state;
	struct source_read reads[] = { read_of(0, PAGE), read_of(PAGE, PAGE),
				       read_of(2 * PAGE, 5000) };
	struct error err = { 0 };
	int ret;

	/* cmocka handles signals in the test, and has done so after set_up(). */
	source_close(fixture->source);
	assert_ok(source_open_kernel(fixture->file.path, &options, &fixture->source, &err), &err);
	fake_module.reads_nothing = true;
	submit(fixture, reads, 3);
	assert_int_equal(truncate(fixture->file.path, 2 * PAGE + 100), 0);
	wait_for(fixture, reads, 2);
	assert_int_equal(truncate(fixture->file.path, 2 * PAGE), 0);
	ret = source_wait(fixture->source, reads, 3, &err);
	assert_int_equal(ret, -EIO);
	assert_refused_with(ret, &err, "ends at offset 8192, within a read of 5000 bytes at offset "
			    "8192; it became shorter", fixture->file.path);
	/* And so from then on. */
	assert_int_equal(source_submit(fixture->source, reads, 1, &err), -EIO);
}

static void shorter_before_it_is_asked_for(void **state)
{
	const struct fixture *fixture = *state;
	struct source_read read = read_of(2 * PAGE, 5000);
	struct error err = { 0 };
	int ret;

	assert_int_equal(truncate(fixture->file.path, PAGE), 0);
	ret = source_submit(fixture->source, &read, 1, &err);
	assert_refused_with(ret, &err, "ends at offset 4096", "it became shorter");
	assert_int_equal(fake_module.calls, 0);
}

/* Pages of the file that are in the page cache. */
static uint64_t resident(const struct fixture *fixture)
{
	unsigned char pages[PAGES];
	uint64_t n = 0;
	int fd = open(fixture->file.path, O_RDONLY | O_CLOEXEC);
	void *map = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);

	assert_true(fd >= 0 && map != MAP_FAILED);
	assert_int_equal(mincore(map, FILE_BYTES, pages), 0);
	for (size_t i = 0; i < PAGES; i++)
		n += pages[i] & 1;
	munmap(map, FILE_BYTES);
	close(fd);
	return n;
}

/* Some long reads and short ones, used, and given up. Returns the pages that are gone then. */
static uint64_t pages_gone(struct fixture *fixture, enum source_after_use after_use)
{
	const struct source_kernel_options how = { .gap_bytes = GAP, .after_use = after_use };
	struct source_read reads[40];
	struct source *source;
	struct error err;
	uint64_t before;

	for (uint32_t i = 0; i < 40; i++)
		reads[i] = read_of(i * 12 * PAGE + 100, i % 2 ? 9 * PAGE : GAP - 1);
	assert_ok(source_open_kernel(fixture->file.path, &how, &source, &err), &err);
	assert_ok(source_submit(source, reads, 40, &err), &err);
	assert_ok(source_wait(source, reads, 40, &err), &err);
	before = resident(fixture);
	source_release(source, reads, 40);
	before -= resident(fixture);
	source_close(source);
	return before;
}

/* Whole pages of most reads that are long; what is shared with what is beside them stays. */
static void after_use(void **state)
{
	uint64_t gone;

	need_disk(((struct fixture *)*state)->file.folder);
	assert_int_equal(pages_gone(*state, SOURCE_KEEP), 0);
	assert_int_equal(pages_gone(*state, SOURCE_COLD), 0);
	assert_int_equal(fake_module.drops, 0);
	gone = pages_gone(*state, SOURCE_DROP);
	assert_int_equal(gone, fake_module.dropped_bytes / PAGE);
	assert_int_equal(fake_module.drops, 1);
	assert_int_equal(fake_module.dropped_bytes % (8 * PAGE), 0);
	assert_in_range(fake_module.dropped_bytes / (8 * PAGE), 8, 19);
}

/* What is in flight is no hindrance. */
static void closed_before_it_is_told(void **state)
{
	const struct fixture *fixture = *state;
	size_t n_open = count_entries("/proc/self/fd");
	struct source_read read = read_of(0, 5000);
	struct source *source;
	struct error err;

	assert_ok(source_open_kernel(fixture->file.path, &options, &source, &err), &err);
	fake_module.holds = true;
	assert_ok(source_submit(source, &read, 1, &err), &err);
	source_close(source);
	/* The one that the fake module holds. */
	assert_int_equal(count_entries("/proc/self/fd"), n_open + fake_module.n_held);
}

static void without_the_module(void **state)
{
	const struct fixture *fixture = *state;
	size_t n_open = count_entries("/proc/self/fd");
	struct source *source;
	struct error err = { 0 };
	int ret;

	fake_module.open_error = -ENOENT;
	ret = source_open_kernel(fixture->file.path, &options, &source, &err);
	assert_int_equal(ret, -ENOENT);
	assert_refused_with(ret, &err, KERNEL_DEVICE_PATH, "--io uring does without");
	assert_int_equal(count_entries("/proc/self/fd"), n_open);
}

#define kernel_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(what_it_is),
		kernel_test(one_call_for_all_reads),
		kernel_test(nothing_to_read),
		kernel_test(counts),
		kernel_test(what_quotas_refuse),
		kernel_test(waits_for_its_own_reads),
		kernel_test(resident_reads_need_no_telling),
		kernel_test(told_late),
		kernel_test(many_requests),
		kernel_test(more_reads_than_a_call_takes),
		kernel_test(other_failures_of_the_module),
		kernel_test(a_file_that_gets_shorter),
		kernel_test(shorter_before_it_is_asked_for),
		kernel_test(after_use),
		kernel_test(closed_before_it_is_told),
		kernel_test(without_the_module),
	};

	return cmocka_run_group_tests_name("source_kernel", tests, NULL, NULL);
}
