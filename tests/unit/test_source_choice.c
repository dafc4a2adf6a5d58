// SPDX-License-Identifier: GPL-2.0-only
/* What --io auto is, with a module that is a fake. */
#include "helpers/folder_test.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/vfs.h>

#include "helpers/fake_module.h"
#include "storage/source_choice.h"

#define MIB (UINT64_C(1) << 20)

/* Bundles of whole pages, of 100 MiB together; the page cache has room for half of them. */
static struct source_situation half(const char *path)
{
	struct statfs fs;

	fake_module_reset();
	assert_int_equal(statfs(path, &fs), 0);
	if (fs.f_type == TMPFS_MAGIC)
		skip();
	return (struct source_situation){
		.path = path,
		.bundle_bytes = 100 * MIB,
		.stride = 8192,
		.cost = DEVICE_COST_UFS4,
		.cache_ratio = 0.05,
		.room_bytes = 50 * MIB,
	};
}

static void assert_chosen(const struct source_situation *situation, const char *name,
			  const char *reason)
{
	struct source_choice choice;

	source_choose(situation, &choice);
	assert_string_equal(choice.name, name);
	if (!strstr(choice.reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", choice.reason, reason);
}

static void by_what_is_there(void **state)
{
	const struct folder *folder = *state;
	struct source_situation situation = half(folder->path);

	assert_chosen(&situation, "kernel", "has room for 50 % of the bundles");
	fake_module.open_error = -ENOENT;
	assert_chosen(&situation, "auto", "the module is not loaded");
	fake_module.open_error = -ENXIO;
	assert_chosen(&situation, "auto", "the module is not loaded");
	fake_module.open_error = -EACCES;
	assert_chosen(&situation, "auto", "no right to /dev/colink");
	fake_module_reset();
}

static void by_memory(void **state)
{
	const struct folder *folder = *state;
	struct source_situation situation = half(folder->path);

	situation.room_bytes = UINT64_MAX;
	assert_chosen(&situation, "kernel", "100 %");
	situation.room_bytes = 6 * MIB;
	assert_chosen(&situation, "kernel", "6 %");
	situation.room_bytes = 4 * MIB;
	assert_chosen(&situation, "auto", "for 4 % of the bundles only");
	situation.room_bytes = 0;
	assert_chosen(&situation, "auto", "for 0 % of the bundles only");
	situation.cache_ratio = 0.6;
	situation.room_bytes = 50 * MIB;
	assert_chosen(&situation, "auto", "for 50 % of the bundles only");
}

/* With bundles of less than a page the page cache reads more than is wanted. */
static void by_device_cost(void **state)
{
	const struct folder *folder = *state;
	struct source_situation situation = half(folder->path);

	situation.stride = 1024;
	situation.room_bytes = 20 * MIB;
	assert_chosen(&situation, "auto", "for 20 % of the bundles only");
	situation.room_bytes = 30 * MIB;
	assert_chosen(&situation, "kernel", "30 %");
	/* The more so where an I/O costs nothing, the less where it costs much. */
	situation.cost.a_us = 0;
	assert_chosen(&situation, "auto", "for 30 % of the bundles only");
	situation.cost.a_us = 200;
	situation.room_bytes = 10 * MIB;
	assert_chosen(&situation, "kernel", "10 %");
}

static void all_of_every_token(void **state)
{
	const struct folder *folder = *state;
	struct source_situation situation = half(folder->path);

	situation.sweeps = true;
	assert_chosen(&situation, "auto", "for 50 % of the bundles only");
	situation.room_bytes = 100 * MIB;
	assert_chosen(&situation, "kernel", "100 %");
}

static void a_budget_is_kept(void **state)
{
	const struct folder *folder = *state;
	struct source_situation situation = half(folder->path);

	situation.limited = true;
	assert_chosen(&situation, "auto", "in no budget");
}

static void a_file_in_memory(void **state)
{
	struct source_situation situation = { .path = "/dev/shm", .bundle_bytes = 1, .stride = 2 };
	struct statfs fs;

	(void)state;
	if (statfs(situation.path, &fs) != 0 || fs.f_type != TMPFS_MAGIC)
		skip();
	fake_module_reset();
	assert_chosen(&situation, "mmap", "in memory");
	fake_module.open_error = -ENOENT;
	assert_chosen(&situation, "mmap", "in memory");
	fake_module_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(by_what_is_there),
		folder_test(by_memory),
		folder_test(by_device_cost),
		folder_test(all_of_every_token),
		folder_test(a_budget_is_kept),
		cmocka_unit_test(a_file_in_memory),
	};

	return cmocka_run_group_tests_name("source_choice", tests, NULL, NULL);
}
