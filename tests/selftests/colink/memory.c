// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is charged for prefetched pages, and what a cgroup at its limit gets: wanted
 * requests reclaim the group's own pages and nobody else's, speculative ones stand back.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "colink_test.h"

#define MIB (1024 * 1024)
#define CGROUP "/sys/fs/cgroup/colink-test"
#define SIBLING "/sys/fs/cgroup/colink-test-2"
#define CHILD CGROUP "/child"
#define FILE_MIB 64
#define LIMIT_MIB 24

FIXTURE(memory) {
	struct rig rig;
};

static unsigned long long cgroup_value(const char *file, const char *key)
{
	return group_value(CGROUP, file, key);
}

static void set_mib(const char *path, int mib)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", mib * MIB);
	write_text(path, text);
}

FIXTURE_SETUP(memory)
{
	rig_open(&self->rig, disk(), FILE_MIB * MIB);
	need(!mkdir(CGROUP, 0755), CGROUP);
	set_mib(CGROUP "/memory.max", LIMIT_MIB);
}

FIXTURE_TEARDOWN(memory)
{
	rig_close(&self->rig);
	need(!rmdir(CGROUP), CGROUP);
}

/* Prefetch so many MiB in a child within a group, and wait. Returns the child's status. */
static int prefetch_in(const char *group, const struct rig *rig, unsigned int from,
		       unsigned int mib, unsigned int flags, struct colink_result *result)
{
	struct colink_extent extent = bytes_extent((__u64)from * MIB, (__u64)mib * MIB);
	struct colink_prefetch args = prefetch_args(rig->region, &extent, 1);
	struct colink_result *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int event = eventfd(0, 0), status;
	struct pollfd wait = { .fd = event, .events = POLLIN };
	char procs[128];
	pid_t child;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", group);
	child = fork();
	if (!child) {
		write_text(procs, "0");
		args.flags = flags;
		args.eventfd = event;
		status = prefetch(rig->device, &args);
		*shared = args.result;
		_exit(-status);
	}
	need(waitpid(child, &status, 0) == child, "waitpid");
	if (!status)
		need(poll(&wait, 1, 60000) == 1, "eventfd");
	*result = *shared;
	munmap(shared, PAGE);
	close(event);
	return status;
}

static int prefetch_in_group(const struct rig *rig, unsigned int from, unsigned int mib,
			     unsigned int flags, struct colink_result *result)
{
	return prefetch_in(CGROUP, rig, from, mib, flags, result);
}

/*
 * Is so much of the file charged to the group? memory.stat can lack the last changes of
 * each processor for two seconds.
 */
static bool charged(const char *group, unsigned long long mib)
{
	unsigned long long bytes = 0;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		bytes = group_value(group, "memory.stat", "file");
		if (bytes >= mib * MIB && bytes < (mib + 2) * MIB)
			return true;
		usleep(100000);
	}
	ksft_print_msg("%llu bytes are charged\n", bytes);
	return false;
}

/* By whom the pages are brought in makes no difference. */
TEST_F(memory, charged_when_waiting)
{
	struct colink_result result;

	ASSERT_EQ(0, prefetch_in_group(&self->rig, 0, 8, COLINK_WAIT, &result));
	EXPECT_TRUE(charged(CGROUP, 8));
}

TEST_F(memory, charged_by_the_worker)
{
	struct colink_result result;

	ASSERT_EQ(0, prefetch_in_group(&self->rig, 0, 8, 0, &result));
	EXPECT_TRUE(charged(CGROUP, 8));
}

TEST_F(memory, wanted_at_the_limit)
{
	struct colink_result result;
	int from;

	for (from = 0; from < FILE_MIB; from += 8)
		ASSERT_EQ(0, prefetch_in_group(&self->rig, from, 8, COLINK_WAIT, &result));
	EXPECT_LT(0, cgroup_value("memory.stat", "pgsteal"));
	EXPECT_GE(LIMIT_MIB * MIB, cgroup_value("memory.current", NULL));
	EXPECT_EQ(0, cgroup_value("memory.events", "oom_kill"));
	/* What was asked for last is there. */
	EXPECT_EQ(8 * MIB / PAGE, result.pages_issued);
	EXPECT_EQ(0, result.pages_given_up);
}

TEST_F(memory, speculative_at_the_limit)
{
	unsigned long read, given_up;
	struct colink_result result;
	int from;

	for (from = 0; from < FILE_MIB; from += 8)
		ASSERT_EQ(0, prefetch_in_group(&self->rig, from, 8,
					       from % 16 ? COLINK_SPECULATIVE :
							   COLINK_WAIT | COLINK_SPECULATIVE,
					       &result));
	EXPECT_EQ(0, cgroup_value("memory.stat", "pgscan"));
	EXPECT_EQ(0, cgroup_value("memory.stat", "pgsteal"));
	EXPECT_EQ(0, cgroup_value("memory.events", "max"));
	EXPECT_LT((LIMIT_MIB - 3) * MIB, cgroup_value("memory.stat", "file"));
	read = module_counter("pages_read");
	given_up = module_counter("pages_given_up");
	ASSERT_EQ(0, prefetch_in_group(&self->rig, FILE_MIB - 8, 8,
				       COLINK_WAIT | COLINK_SPECULATIVE, &result));
	/* What processors had charged in advance may have been given back: room for a few. */
	EXPECT_LE(8 * MIB / PAGE - 2 * 64, result.pages_given_up);
	EXPECT_EQ(result.pages_given_up, module_counter("pages_given_up") - given_up);
	EXPECT_EQ(8 * MIB / PAGE - result.pages_given_up, module_counter("pages_read") - read);
	EXPECT_EQ(0, cgroup_value("memory.stat", "pgscan"));
}

/* Another group's pages stay, although they are older, and there is no limit to them. */
TEST_F(memory, wanted_takes_from_nobody_else)
{
	unsigned long long before;
	struct colink_result result;
	int from;

	need(!mkdir(SIBLING, 0755), SIBLING);
	ASSERT_EQ(0, prefetch_in(SIBLING, &self->rig, 0, 16, COLINK_WAIT, &result));
	EXPECT_TRUE(charged(SIBLING, 16));
	before = group_value(SIBLING, "memory.stat", "file");
	for (from = 16; from < FILE_MIB; from += 8)
		ASSERT_EQ(0, prefetch_in_group(&self->rig, from, 8, from % 16 ? COLINK_WAIT : 0,
					       &result));
	EXPECT_LT(0, cgroup_value("memory.stat", "pgsteal"));
	EXPECT_EQ(0, group_value(SIBLING, "memory.stat", "pgscan"));
	EXPECT_EQ(before, group_value(SIBLING, "memory.stat", "file"));
	evict(&self->rig.file);
	need(!rmdir(SIBLING), SIBLING);
}

/* memory.high throttles and reclaims: to speculative requests it is a limit as well. */
TEST_F(memory, speculative_at_high)
{
	struct colink_result result;
	int from;

	set_mib(CGROUP "/memory.high", LIMIT_MIB / 2);
	for (from = 0; from < FILE_MIB; from += 8)
		ASSERT_EQ(0, prefetch_in_group(&self->rig, from, 8,
					       COLINK_WAIT | COLINK_SPECULATIVE, &result));
	EXPECT_EQ(8 * MIB / PAGE, result.pages_given_up);
	EXPECT_EQ(0, cgroup_value("memory.stat", "pgscan"));
	EXPECT_EQ(0, cgroup_value("memory.events", "high"));
	EXPECT_LT((LIMIT_MIB / 2 - 3) * MIB, cgroup_value("memory.stat", "file"));
}

TEST_F(memory, speculative_at_the_limit_of_the_group_above)
{
	struct colink_result result;
	int from;

	write_text(CGROUP "/cgroup.subtree_control", "+memory");
	need(!mkdir(CHILD, 0755), CHILD);
	for (from = 0; from < FILE_MIB; from += 8)
		ASSERT_EQ(0, prefetch_in(CHILD, &self->rig, from, 8,
					 COLINK_WAIT | COLINK_SPECULATIVE, &result));
	EXPECT_LE(8 * MIB / PAGE - 2 * 64, result.pages_given_up);
	EXPECT_EQ(0, cgroup_value("memory.stat", "pgscan"));
	EXPECT_EQ(0, cgroup_value("memory.events", "max"));
	evict(&self->rig.file);
	need(!rmdir(CHILD), CHILD);
}

/* More than the group may have, in one request: no kill, and what did not fit is told. */
TEST_F(memory, wanted_beyond_the_limit)
{
	struct colink_result result;

	ASSERT_EQ(0, prefetch_in_group(&self->rig, 0, FILE_MIB, COLINK_WAIT, &result));
	EXPECT_EQ(FILE_MIB * MIB / PAGE, result.pages_issued);
	EXPECT_EQ(0, cgroup_value("memory.events", "oom_kill"));
	EXPECT_GE(LIMIT_MIB * MIB, cgroup_value("memory.current", NULL));
}

TEST_HARNESS_MAIN
