// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every source reads exactly the asked bytes, counts what it asked the kernel for,
 * reports a file that was cut, and may be closed at any time.
 */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/random.h"
#include "helpers/arena.h"
#include "helpers/random_file.h"
#include "storage/source.h"

#define FILE_BYTES ((1u << 20) + 777)
#define ARENA_BYTES (8u << 20)
#define MAX_READS 300

/* What the runtime gets instead of the C library's pread(): short and interrupted at will. */
static struct {
	size_t most_bytes; /* 0: no limit */
	unsigned int interruptions; /* calls that fail with EINTR */
	off_t bad_offset; /* reads that begin here fail with EIO; 0: none do */
} pread_faults;

ssize_t pread(int fd, void *buffer, size_t length, off_t offset)
{
	if (pread_faults.interruptions) {
		pread_faults.interruptions--;
		errno = EINTR;
		return -1;
	}
	if (pread_faults.bad_offset && offset == pread_faults.bad_offset) {
		errno = EIO;
		return -1;
	}
	if (pread_faults.most_bytes && length > pread_faults.most_bytes)
		length = pread_faults.most_bytes;
	return syscall(SYS_pread64, fd, buffer, length, offset);
}

static const char *const names[] = { "uring", "pread", "mmap", "auto" };
#define N_NAMES (sizeof(names) / sizeof(names[0]))

struct fixture {
	struct random_file file; /* of FILE_BYTES */
	char *arena; /* (ARENA_BYTES) */
	struct source_read reads[MAX_READS];
	bool have_uring;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	random_file_make(&fixture->file, 3, FILE_BYTES);
	fixture->arena = arena_map(ARENA_BYTES);
	fixture->have_uring = have_uring(fixture->file.path);
	*state = fixture;
	return 0;
}

/* Where the file system can: what is read next comes from storage. */
static void drop_page_cache(const struct fixture *fixture)
{
	int fd = open(fixture->file.path, O_RDONLY | O_CLOEXEC);

	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	arena_unmap(fixture->arena, ARENA_BYTES);
	random_file_remove(&fixture->file);
	free(fixture);
	return 0;
}

static bool missing_here(const struct fixture *fixture, const char *name)
{
	return !strcmp(name, "uring") && !fixture->have_uring;
}

static struct source *open_or_fail(struct fixture *fixture, const char *name, uint32_t depth)
{
	struct source *source;
	struct error err;

	assert_ok(source_open(name, fixture->file.path, fixture->arena, ARENA_BYTES, depth, &source,
			      &err), &err);
	assert_int_equal(source_is_direct(source),
			 strstr(source_describe(source), "O_DIRECT") != NULL);
	return source;
}

/* Ranges of all kinds: bytes, blocks, the whole file's start and end. */
static void random_range(struct random_state *random, struct source_read *read)
{
	uint32_t length = 1 + (uint32_t)random_below(random, random_below(random, 2) ? 20000 : 8);
	uint64_t offset = random_below(random, FILE_BYTES - length + 1);

	switch (random_below(random, 6)) {
	case 0:
		offset = 0;
		break;
	case 1:
		offset = FILE_BYTES - length;
		break;
	case 2:
		offset = offset / 512 * 512;
		break;
	default:
		break;
	}
	*read = (struct source_read){ .offset = offset, .length = length };
}

/* Rooms one behind the other from `at`; returns the end. */
static char *give_room(const struct source *source, struct source_read *reads, uint32_t n, char *at)
{
	for (uint32_t i = 0; i < n; i++) {
		reads[i].room = at;
		at += source_room(source, reads[i].length);
	}
	return at;
}

static bool same_content(const struct fixture *fixture, const struct source_read *reads, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!reads[i].done || memcmp(reads[i].data, fixture->file.content + reads[i].offset,
					     reads[i].length) != 0)
			return false;
	return true;
}

/* Several batches in flight at once, far more reads than the queue is deep. */
static void read_batches(struct fixture *fixture, const char *name, uint32_t depth)
{
	struct source *source = open_or_fail(fixture, name, depth);
	struct random_state random;
	struct error err;

	random_seed(&random, depth);
	for (int round = 0; round < 10; round++) {
		uint32_t begin = 0;

		for (uint32_t i = 0; i < MAX_READS; i++)
			random_range(&random, &fixture->reads[i]);
		memset(fixture->arena, 0, ARENA_BYTES);
		assert_true(give_room(source, fixture->reads, MAX_READS, fixture->arena + 3) <=
			    fixture->arena + ARENA_BYTES);
		while (begin < MAX_READS) {
			uint32_t n = (uint32_t)random_below(&random, MAX_READS - begin + 1);

			assert_ok(source_submit(source, fixture->reads + begin, n, &err), &err);
			begin += n;
		}
		/* The last first: waiting has to bring the earlier ones on their way. */
		assert_ok(source_wait(source, fixture->reads + 250, 50, &err), &err);
		assert_true(same_content(fixture, fixture->reads + 250, 50));
		assert_ok(source_wait(source, fixture->reads, MAX_READS, &err), &err);
		assert_true(same_content(fixture, fixture->reads, MAX_READS));
	}
	source_close(source);
}

static void exactly_the_asked_bytes(void **state)
{
	static const uint32_t depths[] = { 1, 4, 64, 512 };
	struct fixture *fixture = *state;

	for (size_t n = 0; n < N_NAMES; n++)
		for (size_t d = 0; d < 4 && !missing_here(fixture, names[n]); d++)
			read_batches(fixture, names[n], depths[d]);
}

static uint64_t process_io(const char *key)
{
	FILE *file = fopen("/proc/self/io", "re");
	unsigned long long value = 0;
	char line[128];

	if (!file)
		skip();
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			value = strtoull(line + strlen(key) + 1, NULL, 10);
	fclose(file);
	return value;
}

static void read_all(struct fixture *fixture, struct source *source, uint32_t n, uint32_t length,
		     uint64_t step)
{
	struct error err;

	for (uint32_t i = 0; i < n; i++)
		fixture->reads[i] = (struct source_read){ .offset = i * step, .length = length };
	give_room(source, fixture->reads, n, fixture->arena);
	assert_ok(source_submit(source, fixture->reads, n, &err), &err);
	assert_ok(source_wait(source, fixture->reads, n, &err), &err);
	assert_true(same_content(fixture, fixture->reads, n));
}

static void uring_counts_what_the_kernel_counts(void **state)
{
	struct fixture *fixture = *state;
	struct source_counts counts, counts_before;
	struct source *source;
	struct statfs fs;
	struct error err;
	uint64_t before;

	assert_int_equal(statfs(fixture->file.path, &fs), 0);
	if (!fixture->have_uring || fs.f_type == TMPFS_MAGIC)
		skip();
	source = open_or_fail(fixture, "uring", 64);
	if (!strstr(source_describe(source), "O_DIRECT")) {
		source_close(source);
		skip();
	}
	drop_page_cache(fixture); /* else dirty pages are written when they are read over */
	read_all(fixture, source, 200, 1000, 4999); /* so that all code is in memory */
	before = process_io("read_bytes");
	assert_ok(source_get_counts(source, &counts_before, &err), &err);
	read_all(fixture, source, 200, 1000, 4999);
	assert_ok(source_get_counts(source, &counts, &err), &err);
	assert_int_equal(counts.reads - counts_before.reads, 200);
	assert_int_equal(counts.bytes - counts_before.bytes, process_io("read_bytes") - before);
	assert_true(counts.bytes - counts_before.bytes > 200 * 1000);
	source_close(source);
}

/* At the end of an unaligned file nothing is asked for that is not there. */
static void counts_stop_at_the_end_of_the_file(void **state)
{
	struct fixture *fixture = *state;
	struct source_counts counts;
	struct error err;

	for (size_t n = 0; n < 2; n++) {
		struct source *source;

		if (missing_here(fixture, names[n]))
			continue;
		source = open_or_fail(fixture, names[n], 4);
		fixture->reads[0] = (struct source_read){ .offset = 0, .length = FILE_BYTES };
		give_room(source, fixture->reads, 1, fixture->arena);
		assert_ok(source_submit(source, fixture->reads, 1, &err), &err);
		assert_ok(source_wait(source, fixture->reads, 1, &err), &err);
		assert_true(same_content(fixture, fixture->reads, 1));
		assert_ok(source_get_counts(source, &counts, &err), &err);
		assert_int_equal(counts.reads, 1);
		assert_int_equal(counts.bytes, FILE_BYTES);
		source_get_finished(source, &counts.reads, &counts.bytes);
		assert_int_equal(counts.reads, 1);
		assert_int_equal(counts.bytes, FILE_BYTES);
		source_close(source);
	}
}

static void pread_counts_what_the_kernel_counts(void **state)
{
	struct fixture *fixture = *state;
	struct source *source = open_or_fail(fixture, "pread", 64);
	uint64_t chars, calls, chars_of_reading, calls_of_reading;
	struct source_counts counts;
	struct error err;

	/* Looking into /proc/self/io is itself counted. */
	chars_of_reading = process_io("rchar");
	calls_of_reading = process_io("syscr");
	chars = process_io("rchar");
	calls = process_io("syscr");
	chars_of_reading = (chars - chars_of_reading) / 2;
	calls_of_reading = (calls - calls_of_reading) / 2;
	read_all(fixture, source, 200, 1000, 4999);
	chars = process_io("rchar") - chars - 2 * chars_of_reading;
	calls = process_io("syscr") - calls - 2 * calls_of_reading;
	assert_ok(source_get_counts(source, &counts, &err), &err);
	assert_int_equal(counts.reads, 200);
	assert_int_equal(counts.bytes, 200 * 1000);
	assert_int_equal(counts.reads, calls);
	assert_in_range(chars, counts.bytes - 16, counts.bytes + 16); /* digits may be added */
	source_close(source);
}

static uint64_t major_faults(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return (uint64_t)usage.ru_majflt;
}

/* Between what the kernel counted while reading and what it counted around that. */
static void mmap_counts_what_the_kernel_counts(void **state)
{
	struct fixture *fixture = *state;
	uint64_t bytes, faults, bytes_around, faults_around;
	struct source_counts counts;
	struct source *source;
	struct error err;

	drop_page_cache(fixture);
	bytes_around = process_io("read_bytes");
	faults_around = major_faults();
	source = open_or_fail(fixture, "mmap", 1);
	bytes = process_io("read_bytes");
	faults = major_faults();
	read_all(fixture, source, 200, 1000, 4999);
	bytes = process_io("read_bytes") - bytes;
	faults = major_faults() - faults;
	memset(&counts, 0xff, sizeof(counts));
	assert_ok(source_get_counts(source, &counts, &err), &err);
	bytes_around = process_io("read_bytes") - bytes_around;
	faults_around = major_faults() - faults_around;
	assert_in_range(counts.bytes, bytes, bytes_around);
	assert_in_range(counts.reads, faults, faults_around);
	assert_int_equal(counts.gap_bytes, 0);
	assert_int_equal(counts.asked_bytes, 0);
	assert_int_equal(counts.resident_bytes, 0);
	source_close(source);
}

static void assert_refused(struct source *source, struct source_read read, const char *why)
{
	struct error err = { 0 };

	assert_int_equal(source_submit(source, &read, 1, &err), -EINVAL);
	assert_says(&err, why);
}

static void bad_requests_are_refused(void **state)
{
	struct fixture *fixture = *state;

	for (size_t n = 0; n < N_NAMES; n++) {
		struct source_read good = { .offset = 0, .length = 1, .room = fixture->arena };
		struct source_read bad = good;
		struct source *source;

		if (missing_here(fixture, names[n]))
			continue;
		source = open_or_fail(fixture, names[n], 2);
		bad.offset = FILE_BYTES;
		assert_refused(source, bad, "beyond its end");
		bad.offset = UINT64_MAX;
		assert_refused(source, bad, "beyond its end");
		bad.offset = FILE_BYTES - 1;
		bad.length = 2;
		assert_refused(source, bad, "beyond its end");
		bad.length = 0;
		assert_refused(source, bad, "0 bytes");
		bad = good;
		if (source_room(source, 1)) {
			bad.room = fixture->arena + ARENA_BYTES - source_room(source, 1) + 1;
			assert_refused(source, bad, "arena");
			bad.room = fixture->arena - 1;
			assert_refused(source, bad, "arena");
			bad.room = NULL;
			assert_refused(source, bad, "arena");
		}
		read_all(fixture, source, 10, 10, 100); /* it still works */
		source_close(source);
	}
}

static void assert_not_opened(const char *name, const char *path, uint32_t depth, const char *why)
{
	struct source *source;
	struct error err = { 0 };

	assert_true(source_open(name, path, NULL, 0, depth, &source, &err) < 0);
	assert_says(&err, why);
}

static void bad_files_are_refused(void **state)
{
	struct fixture *fixture = *state;
	char *empty = path_in(fixture->file.folder, "empty");
	char *missing = path_in(fixture->file.folder, "missing");

	write_file(empty, "", 0);
	assert_not_opened("auto", empty, 1, "empty");
	assert_not_opened("mmap", missing, 1, "missing: cannot open");
	assert_not_opened("pread", fixture->file.folder, 1, "not a regular file");
	assert_not_opened("tape", fixture->file.path, 1, "'tape'");
	assert_not_opened("auto", fixture->file.path, 0, "queue depth 0");
	assert_not_opened("auto", fixture->file.path, SOURCE_MAX_QUEUE_DEPTH + 1, "queue depth");
	free(missing);
	free(empty);
}

/* Cut at `end` after opening: reads before the end work, one across it names the place. */
static void read_a_cut_file(struct fixture *fixture, const char *name, uint32_t end)
{
	struct source *source = open_or_fail(fixture, name, 4);
	struct source_read *reads = fixture->reads;
	struct error err = { 0 };
	int ret;

	assert_int_equal(truncate(fixture->file.path, end), 0);
	read_all(fixture, source, 20, 1000, 1000);
	for (uint32_t i = 0; i < 3; i++)
		reads[i] = (struct source_read){ .offset = i * 3000, .length = 3000 };
	reads[1] = (struct source_read){ .offset = end - 100, .length = 5000 };
	give_room(source, reads, 3, fixture->arena);
	ret = source_submit(source, reads, 3, &err);
	/* The one behind it may be done already; if not, it must not be waited for. */
	if (ret == 0)
		ret = source_wait(source, &reads[2], 1, &err);
	if (ret == 0)
		ret = source_wait(source, reads, 3, &err);
	assert_int_equal(ret, -EIO);
	assert_int_equal(err.code, -EIO);
	assert_says(&err, fixture->file.path);
	assert_says(&err, "99900");
	/* From now on it can only be closed. */
	assert_int_equal(source_wait(source, reads, 1, &err), -EIO);
	source_close(source);
	random_file_restore(&fixture->file);
}

static void a_cut_file_is_an_error(void **state)
{
	struct fixture *fixture = *state;

	for (size_t n = 0; n < N_NAMES; n++)
		if (!missing_here(fixture, names[n]))
			read_a_cut_file(fixture, names[n], 100000); /* not a multiple of 512 */
}

static void short_and_interrupted_preads_go_on(void **state)
{
	struct fixture *fixture = *state;
	struct source *source = open_or_fail(fixture, "pread", 1);
	struct source_counts counts;
	struct error err;

	pread_faults.most_bytes = 400;
	pread_faults.interruptions = 5;
	read_all(fixture, source, 10, 1000, 5000);
	assert_int_equal(pread_faults.interruptions, 0);
	assert_ok(source_get_counts(source, &counts, &err), &err);
	assert_int_equal(counts.reads, 10 * 3);
	assert_int_equal(counts.bytes, 10 * (1000 + 600 + 200));
	pread_faults.most_bytes = 0;
	source_close(source);
}

static void a_failing_pread_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	struct source *source = open_or_fail(fixture, "pread", 1);
	struct source_read read = { .offset = 7000, .length = 10, .room = fixture->arena };
	struct error err;

	pread_faults.bad_offset = 7000;
	assert_ok(source_submit(source, &read, 1, &err), &err);
	assert_int_equal(source_wait(source, &read, 1, &err), -EIO);
	assert_says(&err, fixture->file.path);
	assert_says(&err, "offset 7000: Input/output error");
	pread_faults.bad_offset = 0;
	source_close(source);
}

/* Once a source is closed nothing arrives in its arena any more. */
static void closing_with_reads_in_flight(void **state)
{
	struct fixture *fixture = *state;
	struct error err;

	for (size_t n = 0; n < N_NAMES; n++) {
		char *arena, *end;
		struct source *source;

		if (missing_here(fixture, names[n]))
			continue;
		arena = arena_map(ARENA_BYTES);
		drop_page_cache(fixture);
		assert_ok(source_open(names[n], fixture->file.path, arena, ARENA_BYTES, 64, &source,
				      &err), &err);
		for (uint32_t i = 0; i < 100; i++)
			fixture->reads[i] = (struct source_read){ .offset = i * 9001,
								  .length = 5000 };
		end = give_room(source, fixture->reads, 100, arena);
		assert_ok(source_submit(source, fixture->reads, 100, &err), &err);
		source_close(source);
		memset(arena, 0x55, (size_t)(end - arena));
		usleep(20000);
		for (char *at = arena; at < end; at++)
			assert_int_equal(*at, 0x55);
		arena_unmap(arena, ARENA_BYTES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_file_is_an_error),
		cmocka_unit_test(a_failing_pread_is_an_error),
		cmocka_unit_test(bad_files_are_refused),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(closing_with_reads_in_flight),
		cmocka_unit_test(counts_stop_at_the_end_of_the_file),
		cmocka_unit_test(exactly_the_asked_bytes),
		cmocka_unit_test(mmap_counts_what_the_kernel_counts),
		cmocka_unit_test(pread_counts_what_the_kernel_counts),
		cmocka_unit_test(short_and_interrupted_preads_go_on),
		cmocka_unit_test(uring_counts_what_the_kernel_counts),
	};

	return cmocka_run_group_tests_name("source", tests, set_up, tear_down);
}
