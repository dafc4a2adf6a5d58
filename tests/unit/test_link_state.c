// SPDX-License-Identifier: GPL-2.0-only
/* Who has a model loaded: files that are locked, stale, half written, or of others. */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/link_state.h"

#define NAME "8:1-1234"

static struct link_state some_state(void)
{
	struct link_state state = {
		.name = NAME, .model = "/models/\"linked\".gguf", .pid = 4711, .region = 3,
		.n_layers = 24, .n_hot_runs = 99, .gap_bytes = 16505,
		.maps = { .policy = 7, .counters = UINT32_MAX },
	};

	return state;
}

static void claim(const struct folder *folder, int *fd)
{
	struct error err;

	assert_ok(link_state_claim(folder->path, NAME, fd, &err), &err);
}

static void publish(int fd, const struct link_state *state)
{
	struct error err;

	assert_ok(link_state_write(fd, state, &err), &err);
}

static void written_and_read(void **state)
{
	const struct folder *folder = *state;
	struct link_state want = some_state(), have = { 0 };
	struct error err;
	int fd;

	claim(folder, &fd);
	publish(fd, &want);
	assert_ok(link_state_read(folder->path, NAME, &have, &err), &err);
	assert_string_equal(have.name, NAME);
	assert_string_equal(have.model, want.model);
	assert_int_equal(have.pid, want.pid);
	assert_int_equal(have.region, want.region);
	assert_int_equal(have.n_layers, want.n_layers);
	assert_int_equal(have.n_hot_runs, want.n_hot_runs);
	assert_int_equal(have.gap_bytes, want.gap_bytes);
	assert_int_equal(have.maps.policy, want.maps.policy);
	assert_int_equal(have.maps.counters, want.maps.counters);
	link_state_release(folder->path, NAME, fd);
	assert_int_equal(count_entries(folder->path), 0);
}

static void one_has_it(void **state)
{
	const struct folder *folder = *state;
	struct link_state have;
	struct error err;
	int fd, other;

	claim(folder, &fd);
	assert_int_equal(link_state_claim(folder->path, NAME, &other, &err), -EALREADY);
	/* Looking on does not take the lock, nor give it back. */
	assert_int_equal(link_state_read(folder->path, NAME, &have, &err), -EAGAIN);
	assert_int_equal(link_state_claim(folder->path, NAME, &other, &err), -EALREADY);
	link_state_release(folder->path, NAME, fd);
	claim(folder, &fd);
	link_state_release(folder->path, NAME, fd);
}

/* A child that was forked has the lock when its parent has closed the file. */
static void a_child_has_it_too(void **state)
{
	const struct folder *folder = *state;
	struct link_state want = some_state(), have;
	struct error err;
	pid_t child;
	int fd;

	claim(folder, &fd);
	publish(fd, &want);
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	close(fd);
	assert_ok(link_state_read(folder->path, NAME, &have, &err), &err);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(link_state_read(folder->path, NAME, &have, &err), -ENOENT);
	assert_int_equal(count_entries(folder->path), 0);
}

/* Whatever it says. */
static void stale_ones_go(void **state)
{
	const struct folder *folder = *state;
	struct link_state want = some_state(), *list;
	struct error err;
	size_t count;
	int fd;

	claim(folder, &fd);
	publish(fd, &want);
	close(fd);
	assert_int_equal(count_entries(folder->path), 1);
	assert_ok(link_state_list(folder->path, NULL, &list, &count, &err), &err);
	assert_int_equal(count, 0);
	free(list);
	assert_int_equal(count_entries(folder->path), 0);
	/* And is claimed as if it had not been there. */
	claim(folder, &fd);
	publish(fd, &want);
	close(fd);
	claim(folder, &fd);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	link_state_release(folder->path, NAME, fd);
}

/* Who releases late must not remove the file of who came after. */
static void release_only_ones_own(void **state)
{
	const struct folder *folder = *state;
	char *path = path_in(folder->path, NAME);
	int fd, next;

	claim(folder, &fd);
	assert_int_equal(unlink(path), 0);
	claim(folder, &next);
	link_state_release(folder->path, NAME, fd);
	assert_int_equal(access(path, F_OK), 0);
	link_state_release(folder->path, NAME, next);
	assert_int_equal(access(path, F_OK), -1);
	free(path);
}

static void rubbish_is_not_ready(void **state)
{
	static const char *const texts[] = {
		"", "{", "[]", "{}", "{\"model\":1}", "rubbish",
		"{\"model\":\"m\",\"pid\":1,\"region\":1,\"layers\":1,\"hot_runs\":1,"
		"\"gap_bytes\":1,\"policy_map\":1,\"counters_map\":1}",
		"{\"model\":\"m\",\"pid\":-5,\"region\":1,\"layers\":1,\"hot_runs\":1,"
		"\"gap_bytes\":1,\"policy_map\":1,\"counters_map\":1}",
		"{\"model\":\"m\",\"pid\":4294967298,\"region\":1,\"layers\":1,\"hot_runs\":1,"
		"\"gap_bytes\":1,\"policy_map\":1,\"counters_map\":1}",
	};
	const struct folder *folder = *state;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct link_state have;
		struct error err;
		int fd;

		claim(folder, &fd);
		assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
		assert_int_equal(link_state_read(folder->path, NAME, &have, &err), -EAGAIN);
		link_state_release(folder->path, NAME, fd);
	}
}

/* By inode, by the name it had, and not by another. */
static void found_by_path(void **state)
{
	const struct folder *folder = *state;
	char *directory = path_in(folder->path, "state"), *link = path_in(folder->path, "link");
	struct link_state want = some_state(), *list;
	struct stat status;
	struct error err;
	size_t count;
	int fd;

	write_file(folder->file, "model", 5);
	assert_int_equal(stat(folder->file, &status), 0);
	assert_int_equal(symlink(folder->file, link), 0);
	link_state_name(&status, want.name);
	assert_non_null(realpath(folder->file, want.model));
	assert_ok(link_state_make_directory(directory, &err), &err);
	assert_ok(link_state_claim(directory, want.name, &fd, &err), &err);
	publish(fd, &want);

	assert_ok(link_state_list(directory, link, &list, &count, &err), &err);
	assert_int_equal(count, 1);
	free(list);
	assert_ok(link_state_list(directory, directory, &list, &count, &err), &err);
	assert_int_equal(count, 0);
	free(list);
	assert_int_equal(unlink(folder->file), 0);
	assert_ok(link_state_list(directory, folder->file, &list, &count, &err), &err);
	assert_int_equal(count, 1);
	free(list);
	link_state_release(directory, want.name, fd);
	free(directory);
	free(link);
}

static void only_ones_own_folder(void **state)
{
	const struct folder *folder = *state;
	char *directory = path_in(folder->path, "state");
	struct link_state *list;
	struct error err = { 0 };
	struct stat status;
	size_t count = 1;

	/* One that is not there has none. */
	assert_ok(link_state_list(directory, NULL, &list, &count, &err), &err);
	assert_int_equal(count, 0);
	assert_ok(link_state_make_directory(directory, &err), &err);
	assert_ok(link_state_make_directory(directory, &err), &err);
	assert_int_equal(stat(directory, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	assert_int_equal(chmod(directory, 0770), 0);
	assert_refused_with(link_state_make_directory(directory, &err), &err, directory,
			    "others may write there");
	assert_int_equal(rmdir(directory), 0);
	write_file(directory, "x", 1);
	assert_refused_with(link_state_make_directory(directory, &err), &err, directory,
			    "is not a folder");
	assert_refused_with(link_state_make_directory("/nowhere/at/all", &err), &err,
			    "/nowhere/at/all", "--state");
	free(directory);
}

/* A symbolic link in its place is not followed. */
static void no_link_followed(void **state)
{
	const struct folder *folder = *state;
	char *path = path_in(folder->path, NAME);
	struct error err;
	int fd;

	write_file(folder->file, "precious", 8);
	assert_int_equal(symlink(folder->file, path), 0);
	assert_int_equal(link_state_claim(folder->path, NAME, &fd, &err), -ELOOP);
	free(path);
}

/* The process that the file names ends; one named by a file that is stale does not. */
static void stopped(void **state)
{
	const struct folder *folder = *state;
	struct link_state it = some_state();
	struct error err;
	int fd, status;

	claim(folder, &fd);
	it.pid = fork();
	if (!it.pid) {
		pause();
		_exit(0);
	}
	publish(fd, &it);
	assert_ok(link_state_stop(folder->path, &it, &err), &err);
	assert_int_equal(waitpid(it.pid, &status, 0), it.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);

	link_state_release(folder->path, NAME, fd);
	it.pid = fork();
	if (!it.pid) {
		pause();
		_exit(0);
	}
	claim(folder, &fd);
	publish(fd, &it);
	close(fd);
	assert_ok(link_state_stop(folder->path, &it, &err), &err);
	assert_int_equal(waitpid(it.pid, &status, WNOHANG), 0);
	kill(it.pid, SIGKILL);
	waitpid(it.pid, &status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(written_and_read),
		folder_test(one_has_it),
		folder_test(a_child_has_it_too),
		folder_test(stale_ones_go),
		folder_test(release_only_ones_own),
		folder_test(rubbish_is_not_ready),
		folder_test(found_by_path),
		folder_test(only_ones_own_folder),
		folder_test(no_link_followed),
		folder_test(stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
