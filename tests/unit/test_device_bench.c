// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measuring a device: the file that it is measured by, what is concluded from samples, and
 * that all of it works on the disk at hand (what it finds there is nobody's business).
 */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <errno.h>
#include <linux/magic.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bench/device_bench.h"
#include "bench/device_file.h"
#include "helpers/arena.h"
#include "helpers/disk.h"

#define PART (UINT64_C(16) << 20) /* what is written at a time */

static bool is_zero(const uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (words[i])
			return false;
	return true;
}

/* Larger than a part, and not a multiple of one; no page of it is empty, and no two alike. */
static void a_file_is_made_full_and_nameless(void **state)
{
	const uint64_t bytes = PART + 5 * 4096;
	const struct folder *folder = *state;
	uint64_t words[512] = { 0 }, others[512];
	struct device_file file;
	struct error err;
	struct stat st;

	assert_ok(device_file_open(folder->path, bytes, 0, 1e9, 1, &file, &err), &err);
	assert_int_equal(file.bytes, bytes);
	assert_int_equal(fstat(file.fd, &st), 0);
	assert_int_equal(st.st_size, bytes);
	assert_true((uint64_t)st.st_blocks * 512 >= bytes);
	for (uint64_t at = 0; at < bytes; at += 4096) {
		memcpy(others, words, sizeof(words));
		assert_int_equal(pread(file.fd, words, sizeof(words), (off_t)at), 4096);
		assert_false(is_zero(words, 512));
		assert_true(at == 0 || memcmp(words, others, sizeof(words)) != 0);
	}
	assert_int_equal(count_entries(folder->path), 0);
	device_file_close(&file);
	assert_int_equal(count_entries(folder->path), 0);
}

/* When time is up at once, what there has to be is made all the same. */
static void a_slow_disk_gets_a_small_file(void **state)
{
	const struct folder *folder = *state;
	struct device_file file;
	struct error err;

	assert_ok(device_file_open(folder->path, 4 * PART, PART + 1, 0, 1, &file, &err), &err);
	assert_int_equal(file.bytes, 2 * PART);
	device_file_close(&file);
}

static void a_file_that_is_there_is_only_read(void **state)
{
	const struct folder *folder = *state;
	struct stat before, after;
	struct device_file file;
	struct error err;

	write_file(folder->file, "four", 4);
	chmod(folder->file, 0400);
	assert_int_equal(stat(folder->file, &before), 0);
	assert_ok(device_file_open(folder->file, PART, 4, 1, 1, &file, &err), &err);
	assert_int_equal(file.bytes, 4);
	assert_string_equal(file.path, folder->file);
	device_file_close(&file);
	assert_int_equal(stat(folder->file, &after), 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
	assert_int_equal(after.st_size, 4);

	assert_refused_with(device_file_open(folder->file, PART, 5, 1, 1, &file, &err), &err,
			    folder->file, "name the folder");
	unlink(folder->file);
	assert_refused_with(device_file_open(folder->file, PART, 4, 1, 1, &file, &err), &err,
			    folder->file, "No such file");
	assert_int_equal(mkfifo(folder->file, 0600), 0);
	assert_refused_with(device_file_open(folder->file, PART, 4, 1, 1, &file, &err), &err,
			    folder->file, "not a regular file");
}

static void nonsense_is_refused(void **state)
{
	static const double seconds[] = { 0, -1, 61, NAN };
	struct device_bench_options options = {
		.path = "/", .source = "auto", .file_bytes = DEVICE_BENCH_LEAST_BYTES, .seconds = 3,
	};
	struct error err;

	(void)state;
	assert_int_equal(device_bench_check(&options, &err), 0);
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		options.seconds = seconds[i];
		assert_int_equal(device_bench_check(&options, &err), -EINVAL);
		assert_says(&err, "seconds");
	}
	options.seconds = 3;
	options.file_bytes--;
	assert_int_equal(device_bench_check(&options, &err), -EINVAL);
	assert_says(&err, "a file of 63 MiB");
}

/* A device that answers after `latency_us`, and takes its cost for each read. */
static void add_cells(struct device_result *result, uint32_t bytes, double latency_us,
		      uint32_t most_depth)
{
	const struct device_cost cost = { 10, 1000 };

	for (uint32_t depth = 1; depth <= most_depth; depth *= 2) {
		struct device_cell *cell = &result->cells[result->n_cells++];
		double us = device_time_us(cost, 1, bytes);

		*cell = (struct device_cell){ .bytes = bytes, .depth = depth, .n_samples = 3 };
		us = fmax(us, latency_us / depth);
		cell->us[0] = us * 3; /* noise is on the slow side */
		cell->us[1] = us;
		cell->us[2] = us * 0.99;
	}
}

static void depth_and_cost_come_of_the_samples(void **state)
{
	struct device_result *result = calloc(1, sizeof(*result));
	struct error err;

	(void)state;
	assert_non_null(result);
	/* At 4 KiB, 13.9 us a read: 100 us of latency are covered by 8 in flight. */
	add_cells(result, 4096, 100, 64);
	add_cells(result, 16384, 100, 64);
	add_cells(result, 65536, 100, 64);
	add_cells(result, 1048576, 100, 4);
	assert_ok(device_result_fit(result, &err), &err);
	assert_int_equal(result->queue_depth, 8);
	assert_true(fabs(result->cost.a_us - 10) < 0.3);
	assert_true(fabs(result->cost.b_us_per_mib - 1000) < 30);
	assert_int_equal(device_result_cell(result, 16384)->depth, 8);
	assert_int_equal(device_result_cell(result, 1048576)->depth, 4);
	assert_null(device_result_cell(result, 12345));
	free(result);
}

static void measure_here(const struct folder *folder, const char *source, bool has_depths)
{
	struct device_bench_options options = {
		.path = folder->path,
		.source = source,
		.file_bytes = DEVICE_BENCH_LEAST_BYTES,
		.seconds = 0.05,
		.seed = 1,
	};
	struct device_result *result = calloc(1, sizeof(*result));
	struct error err;

	assert_non_null(result);
	assert_ok(device_bench(&options, result, NULL, &err), &err);
	assert_true(device_cost_is_possible(result->cost));
	assert_int_equal(result->file_bytes, DEVICE_BENCH_LEAST_BYTES);
	assert_true(result->n_cells >= 7);
	for (uint32_t i = 0; i < result->n_cells; i++) {
		assert_true(result->cells[i].n_samples > 0);
		assert_true(result->cells[i].median_us > 0);
		assert_true(has_depths || result->cells[i].depth == 1);
	}
	assert_int_equal(result->cells[result->n_cells - 1].depth > 1, has_depths);
	free(result);
	assert_int_equal(count_entries(folder->path), 0);
}

static void this_disk_can_be_measured(void **state)
{
	const struct folder *folder = *state;

	need_disk(folder->path);
	write_file(folder->file, "x", 1);
	if (have_uring(folder->file)) {
		unlink(folder->file);
		measure_here(folder, "auto", true);
	}
	unlink(folder->file);
	measure_here(folder, "pread", false);
}

/* What memory answers is no device. */
static void memory_is_no_device(void **state)
{
	struct device_bench_options options = {
		.path = "/dev/shm",
		.source = "auto",
		.file_bytes = DEVICE_BENCH_LEAST_BYTES,
		.seconds = 0.05,
	};
	struct device_result *result;
	struct statfs fs;
	struct error err;

	(void)state;
	if (statfs("/dev/shm", &fs) || fs.f_type != TMPFS_MAGIC ||
	    access("/proc/self/io", R_OK) || fs.f_bavail * (uint64_t)fs.f_bsize < 2 * PART * 4)
		skip();
	result = calloc(1, sizeof(*result));
	assert_non_null(result);
	assert_int_equal(device_bench(&options, result, NULL, &err), -ENODATA);
	assert_says(&err, "/dev/shm");
	assert_says(&err, "not, or not all, on a disk");
	free(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(a_file_is_made_full_and_nameless),
		folder_test(a_slow_disk_gets_a_small_file),
		folder_test(a_file_that_is_there_is_only_read),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(depth_and_cost_come_of_the_samples),
		folder_test(this_disk_can_be_measured),
		cmocka_unit_test(memory_is_no_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
