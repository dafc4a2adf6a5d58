// SPDX-License-Identifier: GPL-2.0-only
/*
 * Methods of bench io that map the file, in a folder that behaves as a cgroup without a
 * limit: what they touch, and what they count. What a limit does is not seen here.
 */
#define _GNU_SOURCE
#include "helpers/io_model.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "helpers/disk.h"
#include "helpers/test.h"

#define WORDS ((IO_MODEL_SLOTS + 63) / 64)

static const char *const group_files[] = { "memory.limit_in_bytes", "cgroup.procs" };
#define N_GROUP_FILES (sizeof(group_files) / sizeof(group_files[0]))
static const char limit_file[] = "/limit"; /* in the folder of the test: what was set last */

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_rmdir(const char *path);
int __wrap_rmdir(const char *path);

int __wrap_mkdir(const char *path, mode_t mode)
{
	int ret = __real_mkdir(path, mode);

	for (size_t i = 0; ret == 0 && strstr(path, "/colink-bench-") && i < N_GROUP_FILES; i++) {
		char *file = path_in(path, group_files[i]);

		write_file(file, "", 0);
		free(file);
	}
	return ret;
}

/* The limit is kept, for the test to see. */
int __wrap_rmdir(const char *path)
{
	if (strstr(path, "/colink-bench-")) {
		char *limit = path_in(path, group_files[0]), *procs = path_in(path, group_files[1]);
		char *kept;

		if (asprintf(&kept, "%s/..%s", path, limit_file) > 0)
			rename(limit, kept);
		unlink(procs);
		free(kept);
		free(limit);
		free(procs);
	}
	return __real_rmdir(path);
}

struct mapping {
	struct io_model model;
	char *group; /* a folder: the group of this process */
	char *mounts, *own; /* what the kernel would say */
	struct io_setting setting;
};

static int set_up(void **state)
{
	struct mapping *mapping = calloc(1, sizeof(*mapping));
	char *text;

	assert_non_null(mapping);
	io_model_make(&mapping->model);
	mapping->group = path_in(mapping->model.folder, "group");
	mapping->mounts = path_in(mapping->model.folder, "mounts");
	mapping->own = path_in(mapping->model.folder, "own");
	assert_int_equal(__real_mkdir(mapping->group, 0755), 0);
	assert_true(asprintf(&text, "1 2 0:1 / %s rw - cgroup cgroup rw,memory\n",
			     mapping->group) > 0);
	write_file(mapping->mounts, text, strlen(text));
	free(text);
	write_file(mapping->own, "4:memory:/\n", 11);
	mapping->setting = io_model_setting(&mapping->model, 0.5);
	mapping->setting.groups =
		(struct memory_controller_sources){ mapping->mounts, mapping->own };
	*state = mapping;
	return 0;
}

static int tear_down(void **state)
{
	struct mapping *mapping = *state;

	free(mapping->group);
	free(mapping->mounts);
	free(mapping->own);
	io_model_free(&mapping->model);
	free(mapping);
	return 0;
}

#define mapping_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* The file begins with none of it in the page cache. */
static void evict(const struct io_model *model)
{
	FILE *file = fopen(model->model, "r+");

	assert_non_null(file);
	assert_int_equal(fsync(fileno(file)), 0);
	assert_int_equal(posix_fadvise(fileno(file), 0, 0, POSIX_FADV_DONTNEED), 0);
	fclose(file);
}

static uint32_t count_runs(const struct io_model *model, const struct io_method *method,
			   uint32_t token)
{
	uint32_t runs = 0;

	for (uint32_t layer = 0; layer < IO_MODEL_LAYERS; layer++) {
		const uint64_t *set = io_wanted(method, &model->inputs, token, layer);

		for (uint32_t slot = 0; slot < IO_MODEL_SLOTS; slot++)
			runs += bits_test(set, slot) && (!slot || !bits_test(set, slot - 1));
	}
	return runs;
}

/* Without readahead each bundle of a page is one fault, the first time that it is wanted. */
static void each_page_by_itself(void **state)
{
	const struct io_method *method = io_method_find("mmap-random");
	struct mapping *mapping = *state;
	struct io_model *model = &mapping->model;
	uint64_t any[IO_MODEL_LAYERS][WORDS] = { 0 };

	need_disk(model->folder);
	evict(model);
	io_model_replay(model, method, &mapping->setting);
	for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++) {
		const struct io_token *result = &model->tokens[token];
		uint64_t new = 0;

		for (uint32_t layer = 0; layer < IO_MODEL_LAYERS; layer++) {
			const uint64_t *set = io_wanted(method, &model->inputs, token, layer);

			for (size_t i = 0; i < WORDS; i++) {
				new += (uint64_t)__builtin_popcountll(set[i] & ~any[layer][i]);
				any[layer][i] |= set[i];
			}
		}
		assert_int_equal(result->reads, new);
		assert_int_equal(result->bytes, new * IO_MODEL_STRIDE);
		assert_int_equal(result->cached, result->wanted - new);
		assert_int_equal(result->runs, count_runs(model, method, token));
		assert_int_equal(result->run_bundles, result->wanted);
	}
}

/* With readahead there are fewer faults, and more is read than is wanted. */
static void pages_around(void **state)
{
	struct mapping *mapping = *state;
	struct io_model *model = &mapping->model;
	struct io_outcome outcome = { .tokens = model->tokens, .n_tokens = IO_MODEL_TOKENS };
	const char *const names[] = { "mmap", "mmap-128k" };
	struct error err;

	need_disk(model->folder);
	for (size_t i = 0; i < 2; i++) {
		const struct io_method *method = io_method_find(names[i]);
		uint64_t reads = 0, bytes = 0, wanted = 0;
		int ret;

		evict(model);
		memset(model->consumed, 0, sizeof(*model->consumed));
		memset(model->tokens, 0, sizeof(model->tokens));
		ret = method->replay(method, &model->inputs, &mapping->setting, &outcome, &err);
		assert_ok(ret, &err);
		if (ret > 0) { /* only root may set the device's readahead */
			assert_says(&err, "read_ahead_kb");
			continue;
		}
		io_model_check(model, method);
		for (uint32_t token = 0; token < IO_MODEL_TOKENS; token++) {
			reads += model->tokens[token].reads;
			bytes += model->tokens[token].bytes;
			wanted += model->tokens[token].wanted;
		}
		assert_true(reads > 0 && reads < wanted / 2);
		assert_true(bytes > reads * IO_MODEL_STRIDE);
	}
}

/* A few tokens say enough of what is so slow. */
static void no_more_tokens_than_asked_for(void **state)
{
	const struct io_method *method = io_method_find("mmap");
	struct mapping *mapping = *state;
	struct io_model *model = &mapping->model;
	struct io_outcome outcome = { .tokens = model->tokens, .n_tokens = IO_MODEL_TOKENS };
	struct io_setting setting = mapping->setting;
	struct error err;

	setting.mmap_tokens = 3;
	memset(model->tokens, 0, sizeof(model->tokens));
	assert_ok(method->replay(method, &model->inputs, &setting, &outcome, &err), &err);
	assert_int_equal(outcome.n_tokens, 3);
	assert_true(model->tokens[2].wanted > 0 && model->tokens[2].io_ms > 0);
	assert_int_equal(model->tokens[3].wanted, 0);
}

/* Half of the bundles, 8 MiB, and the page tables of the file. */
static void limit_is_what_others_have(void **state)
{
	const struct io_method *method = io_method_find("mmap");
	struct mapping *mapping = *state;
	struct io_model *model = &mapping->model;
	struct io_outcome outcome = { .tokens = model->tokens, .n_tokens = IO_MODEL_TOKENS };
	char *kept = path_in(mapping->group, limit_file + 1), *text, expected[32];
	struct error err;
	size_t length;

	assert_ok(method->replay(method, &model->inputs, &mapping->setting, &outcome, &err), &err);
	snprintf(expected, sizeof(expected), "%llu",
		 (unsigned long long)(IO_MODEL_LAYERS * IO_MODEL_SLOTS * IO_MODEL_STRIDE / 2 +
				      (8 << 20) + model->inputs.file_bytes / 512));
	text = file_contents(kept, &length);
	assert_string_equal(text, expected);
	assert_int_equal(outcome.cache_bytes, strtoull(expected, NULL, 10));
	assert_int_equal(count_entries(mapping->group), 1); /* the kept one: no group */
	free(text);
	free(kept);
}

static void die(void *arg, uint32_t token, uint32_t layer, uint32_t slot, const uint8_t *bundle,
		uint32_t n_bytes)
{
	(void)arg;
	(void)layer;
	(void)slot;
	(void)bundle;
	(void)n_bytes;
	if (token == 3)
		raise(SIGKILL);
}

/* As one does that a limit is too low for. */
static void process_that_is_killed(void **state)
{
	const struct io_method *method = io_method_find("mmap");
	struct mapping *mapping = *state;
	struct io_outcome outcome = { .tokens = mapping->model.tokens, .n_tokens = IO_MODEL_TOKENS };
	struct error err;

	mapping->setting.consume = die;
	assert_refused_with(method->replay(method, &mapping->model.inputs, &mapping->setting,
					   &outcome, &err),
			    &err, "ended by signal 9", "memory cgroup of");
	assert_int_equal(count_entries(mapping->group), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		mapping_test(each_page_by_itself),
		mapping_test(pages_around),
		mapping_test(limit_is_what_others_have),
		mapping_test(no_more_tokens_than_asked_for),
		mapping_test(process_that_is_killed),
	};

	return cmocka_run_group_tests_name("io_mmap", tests, NULL, NULL);
}
