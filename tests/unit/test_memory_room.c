// SPDX-License-Identifier: GPL-2.0-only
/* How much memory there is room for, by files as the kernel has them. */
#define _GNU_SOURCE
#include "helpers/folder_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/memory_room.h"

struct system {
	char *machine, *mounts, *own;
	struct memory_room_sources sources;
};

static void say(const struct folder *folder, const char *name, const char *text)
{
	char *path = path_in(folder->path, name);

	write_file(path, text, strlen(text));
	free(path);
}

/* A machine with 1000 KiB to spare, and a group /outer/inner. */
static struct system make_system(const struct folder *folder, const char *type, const char *options,
				 const char *own)
{
	struct system system = {
		.machine = path_in(folder->path, "meminfo"),
		.mounts = path_in(folder->path, "mountinfo"),
		.own = path_in(folder->path, "own"),
	};
	char *text, *outer = path_in(folder->path, "outer"), *inner = path_in(outer, "inner");

	system.sources = (struct memory_room_sources){ system.machine,
						       { system.mounts, system.own } };
	say(folder, "meminfo", "MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable:   1000 kB\n");
	assert_true(asprintf(&text, "30 25 0:26 / %s rw - %s cgroup %s\n", folder->path, type,
			     options) > 0);
	say(folder, "mountinfo", text);
	say(folder, "own", own);
	assert_int_equal(mkdir(outer, 0755), 0);
	assert_int_equal(mkdir(inner, 0755), 0);
	free(text);
	free(outer);
	free(inner);
	return system;
}

static void free_system(struct system *system)
{
	free(system->machine);
	free(system->mounts);
	free(system->own);
}

static void the_least_of_all_v2(void **state)
{
	const struct folder *folder = *state;
	struct system system = make_system(folder, "cgroup2", "rw", "0::/outer/inner\n");

	assert_int_equal(memory_room(&system.sources), 1000 << 10);
	say(folder, "outer/inner/memory.max", "max\n");
	say(folder, "outer/inner/memory.current", "5000\n");
	assert_int_equal(memory_room(&system.sources), 1000 << 10);

	/* The group above: page cache makes room, other memory does not. */
	say(folder, "outer/memory.max", "50000\n");
	say(folder, "outer/memory.current", "45000\n");
	say(folder, "outer/memory.stat", "anon 9\nfile 9\ninactive_file 2000\nactive_file 1000\n");
	assert_int_equal(memory_room(&system.sources), 8000);
	say(folder, "outer/inner/memory.high", "12000\n");
	assert_int_equal(memory_room(&system.sources), 7000);
	say(folder, "outer/inner/memory.current", "15000\n");
	assert_int_equal(memory_room(&system.sources), 0);
	free_system(&system);
}

static void v1(void **state)
{
	const struct folder *folder = *state;
	struct system system = make_system(folder, "cgroup", "rw,memory",
					   "9:cpu:/\n7:memory:/outer/inner\n");

	say(folder, "outer/inner/memory.limit_in_bytes", "9223372036854771712\n");
	say(folder, "outer/inner/memory.usage_in_bytes", "100\n");
	say(folder, "memory.limit_in_bytes", "60000\n");
	say(folder, "memory.usage_in_bytes", "50000\n");
	say(folder, "memory.stat", "inactive_file 7\ntotal_inactive_file 500\ntotal_active_file 30\n");
	assert_int_equal(memory_room(&system.sources), 10530);
	free_system(&system);
}

static void nothing_is_known(void **state)
{
	const struct memory_room_sources nowhere = { "/none", { "/none", "/none" } };

	(void)state;
	assert_true(memory_room(&nowhere) == UINT64_MAX);
	assert_true(memory_room(&MEMORY_ROOM_SOURCES) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(the_least_of_all_v2),
		folder_test(v1),
		cmocka_unit_test(nothing_is_known),
	};

	return cmocka_run_group_tests_name("memory_room", tests, NULL, NULL);
}
