// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a source tells of its reads, a log of them against the plans that they came from, and
 * the file that fio reads: complete, or not there.
 */
#define _GNU_SOURCE
#include "bench/read_log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/random.h"
#include "bench/io_bench.h"
#include "helpers/arena.h"
#include "helpers/disk.h"
#include "helpers/folder_test.h"
#include "helpers/io_model.h"
#include "helpers/random_file.h"
#include "storage/plan.h"

#define FILE_BYTES ((1u << 20) + 777)
#define ARENA_BYTES (4u << 20)
#define N_READS 100

/* The log has the reads in the order in which they were given, each around what was asked. */
static void assert_around(const struct read_log *log, const struct source_read *reads, bool direct)
{
	uint32_t unit = direct ? 512 : 1; /* the least alignment of direct I/O */

	for (size_t i = 0; i < N_READS; i++) {
		const struct read_log_entry *entry = &log->reads[i];
		uint64_t end = entry->offset + entry->length;

		assert_int_equal(entry->offset % unit, 0);
		assert_int_equal(entry->length % unit, 0);
		assert_true(entry->offset <= reads[i].offset);
		assert_true(end >= reads[i].offset + reads[i].length);
		if (!direct)
			assert_int_equal(entry->length, reads[i].length);
	}
}

/* Bytes that the file has of them: one read is of its very end. */
static uint64_t bytes_in_file(const struct read_log *log)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < log->n; i++) {
		uint64_t end = log->reads[i].offset + log->reads[i].length;

		sum += (end < FILE_BYTES ? end : FILE_BYTES) - log->reads[i].offset;
	}
	return sum;
}

static void submit_all(struct source *source, struct source_read *reads, char *arena)
{
	struct random_state random;
	struct error err;

	random_seed(&random, 5);
	for (uint32_t i = 0; i < N_READS; i++) {
		uint32_t length = 1 + (uint32_t)random_below(&random, 20000);

		reads[i] = (struct source_read){
			.offset = i == 7 ? FILE_BYTES - length :
					   random_below(&random, FILE_BYTES - length + 1),
			.length = length,
			.room = arena,
		};
		arena += source_room(source, length);
	}
	assert_ok(source_submit(source, reads, N_READS, &err), &err);
	assert_ok(source_wait(source, reads, N_READS, &err), &err);
}

static void check_told(const char *name)
{
	struct source_read reads[N_READS];
	char *arena = arena_map(ARENA_BYTES);
	struct read_log log = { 0 };
	const struct source_observer observer = read_log_observer(&log);
	struct source_counts counts;
	struct random_file file;
	struct source *source;
	struct error err;

	random_file_make(&file, 3, FILE_BYTES);
	assert_ok(source_open(name, file.path, arena, ARENA_BYTES, 5, &source, &err), &err);
	source_observe(source, &observer);
	submit_all(source, reads, arena);
	assert_ok(source_get_counts(source, &counts, &err), &err);
	assert_int_equal(counts.reads, N_READS);
	assert_int_equal(log.n, N_READS);
	assert_int_equal(bytes_in_file(&log), counts.bytes);
	assert_around(&log, reads, source_is_direct(source));

	source_observe(source, NULL);
	submit_all(source, reads, arena);
	assert_int_equal(log.n, N_READS);
	source_close(source);
	read_log_free(&log);
	random_file_remove(&file);
	arena_unmap(arena, ARENA_BYTES);
}

static void uring_tells_what_it_asks_for(void **state)
{
	const struct folder *folder = *state;

	write_file(folder->file, "a", 1);
	if (!have_uring(folder->file))
		skip();
	check_told("uring");
}

static void pread_tells_what_it_asks_for(void **state)
{
	(void)state;
	check_told("pread");
}

/* Without a cache: token by token and layer by layer, each layer as planned, ascending. */
static void assert_as_planned(const struct read_log *log, const struct io_model *model,
			      const struct io_method *method)
{
	const struct plan_limits limits = {
		.cost = DEVICE_COST_UFS4,
		.gap_bytes = method->collapse ? device_break_even_bytes(DEVICE_COST_UFS4) : 0,
		.stride = IO_MODEL_STRIDE,
		.max_read_bytes = 1 << 20,
	};
	struct plan plan = { 0 };
	struct error err;
	size_t n = 0;

	for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++) {
		for (uint32_t layer = 0; layer < IO_MODEL_LAYERS; layer++) {
			assert_ok(plan_make(io_wanted(method, &model->inputs, token, layer),
					    IO_MODEL_SLOTS, &limits, &plan, &err), &err);
			assert_true(n + plan.n_reads <= log->n);
			for (uint32_t i = 0; i < plan.n_reads; i++, n++) {
				assert_int_equal(log->reads[n].offset,
						 model->inputs.geometry.offsets[layer] +
						 (uint64_t)plan.reads[i].first_slot *
						 IO_MODEL_STRIDE);
				assert_int_equal(log->reads[n].length,
						 plan.reads[i].n_slots * IO_MODEL_STRIDE);
			}
		}
	}
	assert_int_equal(n, log->n);
	plan_free(&plan);
}

static void log_is_what_is_planned(void **state)
{
	static const char *const methods[] = { "linked", "linked+collapse", "full" };
	struct io_model model;

	(void)state;
	io_model_make(&model);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		struct io_setting setting = io_model_setting(&model, 0);
		const struct io_method *method = io_method_find(methods[i]);
		struct read_log log = { 0 };
		const struct source_observer observer = read_log_observer(&log);

		setting.observer = &observer;
		setting.queue_depth = 3; /* most wait for their turn */
		io_model_replay(&model, method, &setting);
		assert_as_planned(&log, &model, method);
		read_log_free(&log);
	}
	io_model_free(&model);
}

static struct io_bench_options options_of(const struct io_model *model, const char *const *method,
					  struct read_log *log)
{
	return (struct io_bench_options){
		.model = model->model,
		.trace = model->trace,
		.tokens = IO_MODEL_TOKENS,
		.mmap_tokens = IO_MODEL_TOKENS,
		.repeats = 3,
		.cache_ratio = 0.2,
		.cost = DEVICE_COST_UFS4,
		.queue_depth = 16,
		.methods = method,
		.n_methods = 1,
		.reads = log,
		.groups = { "/dev/null", "/dev/null" },
	};
}

/* Of one replay, however often it is repeated; also of what is not the engine. */
static void bench_keeps_one_replay(void **state)
{
	static const char *const methods[] = { "full", "llm-in-a-flash" };
	struct io_model model;

	(void)state;
	io_model_make(&model);
	need_disk(model.folder);
	for (size_t i = 0; i < 2; i++) {
		struct read_log log = { 0 };
		const struct io_bench_options options = options_of(&model, &methods[i], &log);
		struct io_results results;
		uint64_t bytes = 0;
		struct error err;

		assert_ok(io_bench(&options, &model.inputs, &results, NULL, &err), &err);
		for (size_t k = 0; k < log.n; k++)
			bytes += log.reads[k].length;
		assert_true(log.n == results.results[0].samples[0].reads * IO_MODEL_TOKENS);
		assert_true(bytes == results.results[0].samples[0].bytes * IO_MODEL_TOKENS);
		io_results_free(&results);
		read_log_free(&log);
	}
	io_model_free(&model);
}

static void reads_of_one_method_only(void **state)
{
	static const char *const methods[] = { "full", "linked" }, *const maps[] = { "mmap" };
	struct io_model model = { 0 }; /* its files are not looked at */
	struct read_log log = { 0 };
	struct io_bench_options options = options_of(&model, methods, &log);
	struct error err;

	(void)state;
	assert_ok(io_bench_check(&options, &err), &err);
	options.n_methods = 2;
	assert_int_equal(io_bench_check(&options, &err), -EINVAL);
	assert_says(&err, "of one method");
	options.n_methods = 0;
	assert_int_equal(io_bench_check(&options, &err), -EINVAL);
	options = options_of(&model, maps, &log);
	assert_int_equal(io_bench_check(&options, &err), -EINVAL);
	assert_says(&err, "'mmap' maps the file");
}

static void fill(struct read_log *log, uint32_t n)
{
	const struct source_observer observer = read_log_observer(log);

	for (uint32_t i = 0; i < n; i++)
		observer.started(observer.arg, (UINT64_C(1) << 40) + i * 8192, 4096 + i);
}

static void file_is_as_fio_reads_it(void **state)
{
	const struct folder *folder = *state;
	char *log_path = path_in(folder->path, "log"), *text, *expected, *name;
	struct read_log log = { 0 };
	struct error err;
	size_t length;

	write_file(folder->file, "a", 1);
	fill(&log, 2);
	assert_ok(read_log_write(&log, folder->file, log_path, &err), &err);
	text = file_contents(log_path, &length);
	name = realpath(folder->file, NULL);
	assert_int_equal(name[0], '/');
	assert_true(asprintf(&expected, "fio version 2 iolog\n%s add\n%s open\n"
			     "%s read 1099511627776 4096\n%s read 1099511635968 4097\n%s close\n",
			     name, name, name, name, name) > 0);
	assert_string_equal(text, expected);
	remove(log_path);
	free(name);
	free(expected);
	free(text);
	free(log_path);
	read_log_free(&log);
}

/* fio could not read these names back. */
static void names_that_fio_cannot_read(void **state)
{
	const struct folder *folder = *state;
	char *spaced = path_in(folder->path, "two words"), *log_path = path_in(folder->path, "log");
	char *deep = path_in(folder->path, ""), *longer;
	struct read_log log = { 0 };
	struct error err;

	fill(&log, 1);
	assert_refused_with(read_log_write(&log, spaced, log_path, &err), &err, spaced,
			    "No such file");
	write_file(spaced, "a", 1);
	assert_refused_with(read_log_write(&log, spaced, log_path, &err), &err, spaced,
			    "a space in it");
	remove(spaced);
	assert_true(asprintf(&longer, "%s%0250d", deep, 0) > 0);
	write_file(longer, "a", 1);
	assert_refused_with(read_log_write(&log, longer, log_path, &err), &err, "more than 256",
			    "bytes");
	remove(longer);
	assert_int_equal(count_entries(folder->path), 0);
	free(longer);
	free(deep);
	free(spaced);
	free(log_path);
	read_log_free(&log);
}

/* With files limited to less than the log takes. */
static int write_beyond_limit(const struct read_log *log, const char *file, const char *path,
			      struct error *err)
{
	struct rlimit old, limit;
	int ret;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 300000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ret = read_log_write(log, file, path, err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	return ret;
}

static void failed_write_leaves_nothing(void **state)
{
	const struct folder *folder = *state;
	char *log_path = path_in(folder->path, "log"), *nowhere = path_in(folder->path, "no/log");
	struct read_log log = { 0 };
	struct error err;
	size_t length;
	char *text;

	write_file(folder->file, "a", 1);
	fill(&log, 20000);
	assert_refused_with(write_beyond_limit(&log, folder->file, log_path, &err), &err, log_path,
			    "File too large");
	assert_refused_with(read_log_write(&log, folder->file, nowhere, &err), &err, nowhere,
			    "No such file");
	assert_int_equal(count_entries(folder->path), 1);

	write_file(log_path, "old", 3);
	log.incomplete = true;
	assert_int_equal(read_log_write(&log, folder->file, log_path, &err), -ENOMEM);
	log.incomplete = false;
	assert_int_equal(write_beyond_limit(&log, folder->file, log_path, &err), -EFBIG);
	text = file_contents(log_path, &length);
	assert_string_equal(text, "old");
	assert_int_equal(count_entries(folder->path), 2);
	remove(log_path);
	free(text);
	free(log_path);
	free(nowhere);
	read_log_free(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(uring_tells_what_it_asks_for),
		cmocka_unit_test(pread_tells_what_it_asks_for),
		cmocka_unit_test(log_is_what_is_planned),
		cmocka_unit_test(bench_keeps_one_replay),
		cmocka_unit_test(reads_of_one_method_only),
		folder_test(file_is_as_fio_reads_it),
		folder_test(names_that_fio_cannot_read),
		folder_test(failed_write_leaves_nothing),
	};

	return cmocka_run_group_tests_name("read_log", tests, NULL, NULL);
}
