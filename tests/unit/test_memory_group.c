// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory cgroups, on a folder that behaves as the kernel's do: a folder that is made in it
 * comes with files, and goes although they are there. How processes fare in real ones is
 * not seen here.
 */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/memory_group.h"
#include "storage/read_ahead.h"

#define LIMIT 12345678

static const char *const group_files[] = { "memory.limit_in_bytes", "cgroup.procs", "memory.max" };
#define N_GROUP_FILES (sizeof(group_files) / sizeof(group_files[0]))

static bool folders_come_with_files;

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_rmdir(const char *path);
int __wrap_rmdir(const char *path);

int __wrap_mkdir(const char *path, mode_t mode)
{
	int ret = __real_mkdir(path, mode);

	for (size_t i = 0; ret == 0 && folders_come_with_files && i < N_GROUP_FILES; i++) {
		char *file = path_in(path, group_files[i]);

		write_file(file, "", 0);
		free(file);
	}
	return ret;
}

int __wrap_rmdir(const char *path)
{
	for (size_t i = 0; folders_come_with_files && i < N_GROUP_FILES; i++) {
		char *file = path_in(path, group_files[i]);

		unlink(file);
		free(file);
	}
	return __real_rmdir(path);
}

/* Mounts and groups as the kernel would say. */
struct system {
	char *folder;
	char *root; /* what is mounted */
	char *own; /* the group of this process, in it */
	char *mounts_file, *own_file;
	struct memory_controller_sources sources;
};

static int set_up(void **state)
{
	struct system *system = calloc(1, sizeof(*system));

	assert_non_null(system);
	system->folder = make_folder();
	system->root = path_in(system->folder, "cgroup");
	system->own = path_in(system->root, "inner");
	system->mounts_file = path_in(system->folder, "mounts");
	system->own_file = path_in(system->folder, "own");
	system->sources = (struct memory_controller_sources){ system->mounts_file, system->own_file };
	assert_int_equal(__real_mkdir(system->root, 0755), 0);
	assert_int_equal(__real_mkdir(system->own, 0755), 0);
	folders_come_with_files = true;
	*state = system;
	return 0;
}

static int tear_down(void **state)
{
	struct system *system = *state;

	folders_come_with_files = false;
	assert_int_equal(count_entries(system->own), 0);
	remove_folder(system->folder);
	free(system->root);
	free(system->own);
	free(system->mounts_file);
	free(system->own_file);
	free(system);
	return 0;
}

#define system_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* `mounts` has places for two paths. */
static void say(const struct system *system, const char *mounts, const char *own)
{
	char *text;
	int length = asprintf(&text, mounts, system->root, system->root);

	assert_true(length > 0);
	write_file(system->mounts_file, text, (size_t)length);
	free(text);
	write_file(system->own_file, own, strlen(own));
}

static const char mounts_v1[] =
	"25 1 0:22 / /proc rw - proc proc rw\n"
	"30 25 0:26 / %s rw,relatime shared:9 master:3 - cgroup cgroup rw,cpu,memory\n"
	"31 25 0:27 / %s/v2 rw - cgroup2 cgroup2 rw\n";
static const char mounts_v2[] = "30 25 0:26 /outer %s rw - cgroup2 cgroup2 rw\n"
				"31 25 0:27 / %s/cpu rw - cgroup cgroup rw,memoryless,cpu\n";
static const char own_v1[] = "5:memoryless:/other\n4:cpu,memory:/inner\n0::/other\n";
static const char own_v2[] = "4:memory:/other\n0::/outer/inner\n";

static void assert_file(const char *folder, const char *name, const char *content)
{
	char *path = path_in(folder, name);
	size_t length;
	char *text = file_contents(path, &length);

	assert_string_equal(text, content);
	free(text);
	free(path);
}

static void make_use_and_remove(const struct system *system, const char *limit_file)
{
	struct memory_group group;
	struct error err;
	char *path;

	assert_ok(memory_group_create(&system->sources, LIMIT, &group, &err), &err);
	assert_memory_equal(group.path, system->own, strlen(system->own));
	assert_int_equal(count_entries(system->own), 1);
	assert_file(group.path, limit_file, "12345678");
	assert_ok(memory_group_enter(&group, &err), &err);
	assert_file(group.path, "cgroup.procs", "0");
	path = strdup(group.path);
	memory_group_remove(&group);
	assert_int_equal(access(path, F_OK), -1);
	memory_group_remove(&group); /* no matter */
	free(path);
}

static void group_of_v1(void **state)
{
	const struct system *system = *state;

	say(system, mounts_v1, own_v1);
	make_use_and_remove(system, "memory.limit_in_bytes");
}

/* A part of the tree is mounted, as in containers; v1 is there, without memory. */
static void group_of_v2(void **state)
{
	const struct system *system = *state;

	say(system, mounts_v2, own_v2);
	make_use_and_remove(system, "memory.max");
}

/* Whoever is killed with a group leaves none. */
static void group_goes_with_its_process(void **state)
{
	const struct system *system = *state;
	int ready[2];
	char byte;
	pid_t pid;

	say(system, mounts_v1, own_v1);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct memory_group group;

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test fail */
		if (memory_group_create(&system->sources, LIMIT, &group, NULL) == 0)
			assert_int_equal(write(ready[1], "", 1), 1);
		pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(count_entries(system->own), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* The remover has it open, too: its end is the end of the pipe. */
	assert_int_equal(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	assert_int_equal(count_entries(system->own), 0);
}

static void assert_no_group(const struct system *system, const char *why, const char *where)
{
	struct memory_group group;
	struct error err;

	assert_refused_with(memory_group_create(&system->sources, LIMIT, &group, &err), &err, why,
			    where);
	assert_int_equal(count_entries(system->own), 0);
	memory_group_remove(&group); /* no matter */
}

static void where_there_are_none(void **state)
{
	struct system *system = *state;

	say(system, "25 1 0:22 / %s rw - proc proc rw\nnonsense\n%s\n", own_v1);
	assert_no_group(system, "no memory cgroups are mounted", "page cache");
	say(system, mounts_v1, "1:cpu:/inner\n0::/inner\nnonsense\n");
	assert_no_group(system, system->own_file, "no memory cgroup in it");
	say(system, mounts_v1, "4:memory:/elsewhere\n");
	assert_no_group(system, "elsewhere/colink-bench-", "cannot make");
	/* A folder that is no cgroup: there is no limit to be set. */
	folders_come_with_files = false;
	say(system, mounts_v1, own_v1);
	assert_no_group(system, "memory.limit_in_bytes", "cannot write");
	say(system, mounts_v2, own_v2);
	assert_no_group(system, "cgroup.subtree_control", "cannot write +memory");
	system->sources.mounts = "/no/such/file";
	assert_no_group(system, "/no/such/file", "No such file");
}

#define AROUND_KIB 64
#define FILE_PAGES 1024

/* Pages of a file of FILE_PAGES that one fault in its middle brings into the page cache. */
static size_t pages_around_a_fault(int fd)
{
	unsigned char resident[FILE_PAGES];
	size_t n = 0, bytes = FILE_PAGES * 4096;
	const volatile char *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	(void)map[bytes / 2];
	assert_int_equal(mincore((void *)map, bytes, resident), 0);
	for (size_t i = 0; i < FILE_PAGES; i++)
		n += resident[i] & 1;
	munmap((void *)map, bytes);
	return n;
}

/* It goes for the file that was opened, and the device is as before. */
static void read_ahead_of_one_file(void **state)
{
	const struct system *system = *state;
	char *data = calloc(FILE_PAGES, 4096);
	uint32_t before, after;
	struct error err;
	int fd;

	write_file(system->own_file, data, FILE_PAGES * 4096);
	free(data);
	assert_refused_with(read_ahead_get("/no/such/file", &before, &err), &err, "/no/such/file",
			    "");
	if (read_ahead_get(system->own_file, &before, &err) < 0)
		skip();
	fd = read_ahead_open(system->own_file, before, &err);
	assert_true(fd >= 0);
	close(fd);
	fd = read_ahead_open(system->own_file, AROUND_KIB, &err);
	if (fd < 0) {
		assert_says(&err, "read_ahead_kb");
	} else {
		assert_int_equal(pages_around_a_fault(fd), AROUND_KIB / 4);
		close(fd);
	}
	assert_ok(read_ahead_get(system->own_file, &after, &err), &err);
	assert_int_equal(after, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		system_test(group_of_v1),
		system_test(group_of_v2),
		system_test(group_goes_with_its_process),
		system_test(where_there_are_none),
		system_test(read_ahead_of_one_file),
	};

	return cmocka_run_group_tests_name("memory_group", tests, NULL, NULL);
}
