// SPDX-License-Identifier: GPL-2.0-only
/* Files that appear complete or not at all, and reading that does not stop half-way. */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

/* More than the writer's buffer. */
#define LARGE (700 * 1000)
#define REWRITTEN (300 * 1000)

static void assert_holds(const char *path, const void *expected, size_t length)
{
	size_t found;
	char *text = file_contents(path, &found);

	assert_int_equal(found, length);
	assert_memory_equal(text, expected, length);
	free(text);
}

static struct output_file *created(const char *path)
{
	struct output_file *file = NULL;
	struct error err;

	assert_ok(output_file_create(path, &file, &err), &err);
	return file;
}

static void append(struct output_file *file, const void *data, size_t length)
{
	struct error err;

	assert_ok(output_file_write(file, data, length, &err), &err);
}

static void assert_refused(int ret, int code, const struct error *err, const char *path,
			   const char *word)
{
	assert_int_equal(ret, code);
	assert_refused_with(ret, err, path, word);
}

static bool has_nameless_files(const char *folder)
{
	int fd = open(folder, O_TMPFILE | O_RDWR, 0600);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static void appears_on_commit_only(void **state)
{
	const struct folder *folder = *state;
	struct output_file *file = created(folder->file);
	char *large = malloc(LARGE);
	struct error err;

	for (size_t i = 0; i < LARGE; i++)
		large[i] = (char)(i * 7 + i / 999);
	append(file, large, 5);
	append(file, large + 5, LARGE - 5);
	assert_int_equal(output_file_size(file), LARGE);
	assert_int_equal(access(folder->file, F_OK), -1);
	assert_int_equal(count_entries(folder->path), !has_nameless_files(folder->path));
	assert_ok(output_file_commit(file, &err), &err);
	assert_int_equal(count_entries(folder->path), 1);
	assert_holds(folder->file, large, LARGE);
	free(large);
}

static void killed_leaves_nothing(void **state)
{
	const struct folder *folder = *state;
	int status;
	pid_t child;

	if (!has_nameless_files(folder->path))
		skip();
	child = fork();
	if (child == 0) {
		append(created(folder->file), "half", 4);
		raise(SIGKILL);
	}
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(count_entries(folder->path), 0);
}

static void abort_leaves_nothing(void **state)
{
	const struct folder *folder = *state;
	struct output_file *file = created(folder->file);

	append(file, "x", 1);
	output_file_abort(file);
	assert_int_equal(count_entries(folder->path), 0);
	output_file_abort(NULL);
}

static void abort_keeps_the_old_file(void **state)
{
	const struct folder *folder = *state;
	struct output_file *file;

	write_file(folder->file, "old", 3);
	file = created(folder->file);
	append(file, "new", 3);
	assert_holds(folder->file, "old", 3);
	output_file_abort(file);
	assert_holds(folder->file, "old", 3);
	assert_int_equal(count_entries(folder->path), 1);
}

static void commit_replaces_the_old_file(void **state)
{
	const struct folder *folder = *state;
	struct output_file *file;
	struct error err;

	write_file(folder->file, "a longer old text", 17);
	file = created(folder->file);
	append(file, "new", 3);
	assert_ok(output_file_commit(file, &err), &err);
	assert_holds(folder->file, "new", 3);
}

static void an_empty_file_is_a_file(void **state)
{
	const struct folder *folder = *state;
	struct error err;

	assert_ok(output_file_commit(created(folder->file), &err), &err);
	assert_holds(folder->file, "", 0);
}

static void rewrites_what_was_written(void **state)
{
	const struct folder *folder = *state;
	struct output_file *file = created(folder->file);
	char expected[REWRITTEN + 3];
	struct error err;

	memset(expected, 'a', sizeof(expected));
	append(file, expected, REWRITTEN);
	assert_ok(output_file_rewrite(file, 2, "BC", 2, &err), &err);
	assert_ok(output_file_rewrite(file, REWRITTEN - 1, "Z", 1, &err), &err);
	append(file, "end", 3);
	assert_int_equal(output_file_size(file), sizeof(expected));
	assert_ok(output_file_commit(file, &err), &err);
	memcpy(expected + 2, "BC", 2);
	expected[REWRITTEN - 1] = 'Z';
	memcpy(expected + REWRITTEN, "end", 3);
	assert_holds(folder->file, expected, sizeof(expected));
}

static void pads_with_zeros(void **state)
{
	const struct folder *folder = *state;
	struct output_file *file = created(folder->file);
	char expected[10000] = "abc";
	struct error err;

	append(file, "abc", 3);
	assert_ok(output_file_pad_to(file, 3, &err), &err);
	assert_int_equal(output_file_size(file), 3);
	assert_ok(output_file_pad_to(file, 9999, &err), &err);
	append(file, "d", 1);
	expected[9999] = 'd';
	assert_ok(output_file_commit(file, &err), &err);
	assert_holds(folder->file, expected, sizeof(expected));
}

/* A limit on file sizes stands for a full disk: root has no other that needs no mount. */
static int write_beyond_limit(const char *path, struct error *err)
{
	struct output_file *file = created(path);
	struct rlimit limit, old;
	char *data = calloc(1, LARGE);
	int ret;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = LARGE / 2;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ret = output_file_write(file, data, LARGE, err);
	if (ret == 0)
		ret = output_file_commit(file, err);
	else
		output_file_abort(file);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	free(data);
	return ret;
}

static void a_failed_write_keeps_the_old_file(void **state)
{
	const struct folder *folder = *state;
	struct error err = { 0 };
	int ret;

	write_file(folder->file, "old", 3);
	ret = write_beyond_limit(folder->file, &err);
	assert_refused(ret, -EFBIG, &err, folder->file, "write at offset 350000");
	assert_holds(folder->file, "old", 3);
	assert_int_equal(count_entries(folder->path), 1);
}

static void refuses_a_directory_that_is_not_there(void **state)
{
	const struct folder *folder = *state;
	char *path = path_in(folder->path, "none/out");
	struct output_file *file;
	struct error err = { 0 };

	assert_refused(output_file_create(path, &file, &err), -ENOENT, &err, path, "cannot create");
	free(path);
}

static void refuses_to_replace_what_is_no_file(void **state)
{
	const struct folder *folder = *state;
	struct output_file *file;
	struct error err = { 0 };
	struct stat st;

	assert_refused(output_file_create(folder->path, &file, &err), -EISDIR, &err, folder->path,
		       "directory");
	assert_int_equal(mkfifo(folder->file, 0600), 0);
	assert_refused(output_file_create(folder->file, &file, &err), -EINVAL, &err, folder->file,
		       "not a regular file");
	assert_int_equal(stat(folder->file, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(count_entries(folder->path), 1);
}

/* The final name became a directory meanwhile. */
static void a_failed_rename_leaves_nothing(void **state)
{
	const struct folder *folder = *state;
	struct output_file *file = created(folder->file);
	struct error err = { 0 };

	append(file, "x", 1);
	assert_int_equal(mkdir(folder->file, 0700), 0);
	assert_refused(output_file_commit(file, &err), -EISDIR, &err, folder->file, "rename");
	assert_int_equal(count_entries(folder->path), 1);
}

static void a_leftover_is_not_touched(void **state)
{
	const struct folder *folder = *state;
	char *leftover;
	struct output_file *file;
	struct error err = { 0 };

	assert_true(asprintf(&leftover, "%s.tmp-%ld", folder->file, (long)getpid()) > 0);
	write_file(leftover, "theirs", 6);
	assert_refused(output_file_create(folder->file, &file, &err), -EEXIST, &err, leftover,
		       "remove it");
	assert_holds(leftover, "theirs", 6);
	free(leftover);
}

static void opens_regular_files_only(void **state)
{
	const struct folder *folder = *state;
	struct error err = { 0 };
	uint64_t size;
	int fd;

	assert_refused(file_open_read(folder->file, &size, &err), -ENOENT, &err, folder->file,
		       "cannot open");
	assert_refused(file_open_read(folder->path, &size, &err), -EINVAL, &err, folder->path,
		       "not a regular file");
	assert_refused(file_open_read("/dev/null", &size, &err), -EINVAL, &err, "/dev/null",
		       "not a regular file");
	assert_int_equal(mkfifo(folder->file, 0600), 0);
	assert_refused(file_open_read(folder->file, &size, &err), -EINVAL, &err, folder->file,
		       "not a regular file");
	unlink(folder->file);
	write_file(folder->file, "12345", 5);
	fd = file_open_read(folder->file, &size, &err);
	assert_ok(fd, &err);
	assert_int_equal(size, 5);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

static void a_file_that_ends_early_is_an_error(void **state)
{
	const struct folder *folder = *state;
	struct error err = { 0 };
	char buffer[8];
	uint64_t size;
	int fd;

	write_file(folder->file, "0123456789", 10);
	fd = file_open_read(folder->file, &size, &err);
	assert_ok(fd, &err);
	assert_ok(file_read_at(fd, buffer, 8, 2, folder->file, &err), &err);
	assert_memory_equal(buffer, "23456789", 8);
	assert_ok(file_read_at(fd, buffer, 0, 99, folder->file, &err), &err);
	assert_refused(file_read_at(fd, buffer, 8, 5, folder->file, &err), -EIO, &err, folder->file,
		       "ends at offset 10, 3 bytes too early");
	close(fd);
	assert_refused(file_read_at(fd, buffer, 8, 7, folder->file, &err), -EBADF, &err,
		       folder->file, "offset 7");
}

static void a_text_has_a_limit(void **state)
{
	const struct folder *folder = *state;
	struct error err = { 0 };
	size_t length;
	char *text;

	write_file(folder->file, "0123456789", 10);
	assert_ok(file_read_text(folder->file, 10, &text, &length, &err), &err);
	assert_int_equal(length, 10);
	assert_string_equal(text, "0123456789");
	free(text);
	assert_refused(file_read_text(folder->file, 9, &text, &length, &err), -EFBIG, &err,
		       folder->file, "10 bytes, at most 9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(appears_on_commit_only),
		folder_test(killed_leaves_nothing),
		folder_test(abort_leaves_nothing),
		folder_test(abort_keeps_the_old_file),
		folder_test(commit_replaces_the_old_file),
		folder_test(an_empty_file_is_a_file),
		folder_test(rewrites_what_was_written),
		folder_test(pads_with_zeros),
		folder_test(a_failed_write_keeps_the_old_file),
		folder_test(refuses_a_directory_that_is_not_there),
		folder_test(refuses_to_replace_what_is_no_file),
		folder_test(a_failed_rename_leaves_nothing),
		folder_test(a_leftover_is_not_touched),
		folder_test(opens_regular_files_only),
		folder_test(a_file_that_ends_early_is_an_error),
		folder_test(a_text_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
