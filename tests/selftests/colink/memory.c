// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is charged for prefetched pages, and what a cgroup at its limit gets: wanted
 * requests reclaim the group's own pages, speculative ones stand back.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "colink_test.h"

#define MIB (1024 * 1024)
#define CGROUP "/sys/fs/cgroup/colink-test"
#define FILE_MIB 64
#define LIMIT_MIB 24

FIXTURE(memory) {
	struct rig rig;
};

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

/* The value after a key in a cgroup file; a file with one value has no key. */
static unsigned long long cgroup_value(const char *file, const char *key)
{
	unsigned long long value;
	char path[256], name[64];
	FILE *stream;

	snprintf(path, sizeof(path), CGROUP "/%s", file);
	stream = fopen(path, "r");
	need(stream, path);
	if (!key) {
		need(fscanf(stream, "%llu", &value) == 1, path);
	} else {
		do
			need(fscanf(stream, "%63s %llu", name, &value) == 2, key);
		while (strcmp(name, key));
	}
	fclose(stream);
	return value;
}

FIXTURE_SETUP(memory)
{
	char limit[32];

	rig_open(&self->rig, disk(), FILE_MIB * MIB);
	need(!mkdir(CGROUP, 0755), CGROUP);
	snprintf(limit, sizeof(limit), "%d", LIMIT_MIB * MIB);
	write_text(CGROUP "/memory.max", limit);
}

FIXTURE_TEARDOWN(memory)
{
	rig_close(&self->rig);
	need(!rmdir(CGROUP), CGROUP);
}

/* Prefetch so many MiB in a child within the cgroup, and wait. Returns the child's status. */
static int prefetch_in_group(const struct rig *rig, unsigned int from, unsigned int mib,
			     unsigned int flags, struct colink_result *result)
{
	struct colink_extent extent = bytes_extent((__u64)from * MIB, (__u64)mib * MIB);
	struct colink_prefetch args = prefetch_args(rig->region, &extent, 1);
	struct colink_result *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int event = eventfd(0, 0), status;
	struct pollfd wait = { .fd = event, .events = POLLIN };
	pid_t child = fork();

	if (!child) {
		write_text(CGROUP "/cgroup.procs", "0");
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

/*
 * Is so much of the file charged to the group? memory.stat can lack the last changes of
 * each processor for two seconds.
 */
static bool charged(unsigned long long mib)
{
	unsigned long long bytes = 0;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		bytes = cgroup_value("memory.stat", "file");
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
	EXPECT_TRUE(charged(8));
}

TEST_F(memory, charged_by_the_worker)
{
	struct colink_result result;

	ASSERT_EQ(0, prefetch_in_group(&self->rig, 0, 8, 0, &result));
	EXPECT_TRUE(charged(8));
}

TEST_F_TIMEOUT(memory, wanted_at_the_limit, 120)
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

TEST_F_TIMEOUT(memory, speculative_at_the_limit, 120)
{
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
	ASSERT_EQ(0, prefetch_in_group(&self->rig, FILE_MIB - 8, 8,
				       COLINK_WAIT | COLINK_SPECULATIVE, &result));
	EXPECT_EQ(8 * MIB / PAGE, result.pages_given_up);
}

/* More than the group may have, in one request: no kill, and what did not fit is told. */
TEST_F_TIMEOUT(memory, wanted_beyond_the_limit, 120)
{
	struct colink_result result;

	ASSERT_EQ(0, prefetch_in_group(&self->rig, 0, FILE_MIB, COLINK_WAIT, &result));
	EXPECT_EQ(FILE_MIB * MIB / PAGE, result.pages_issued);
	EXPECT_EQ(0, cgroup_value("memory.events", "oom_kill"));
	EXPECT_GE(LIMIT_MIB * MIB, cgroup_value("memory.current", NULL));
}

TEST_HARNESS_MAIN
