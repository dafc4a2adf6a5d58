// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of reads in flight, on a disk that takes its time, when the device is
 * closed, the region unregistered, the process killed, the module removed.
 */
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "colink_test.h"

/* Some seconds at the slow disk's 200 reads a second, and more than its queue takes at once. */
#define EXTENTS 600
#define PAGES (2 * EXTENTS)

FIXTURE(in_flight) {
	struct rig rig;
	struct colink_extent extents[EXTENTS];
};

FIXTURE_SETUP(in_flight)
{
	int i;

	rig_open(&self->rig, slow_disk(), PAGES * PAGE);
	for (i = 0; i < EXTENTS; i++)
		self->extents[i] = pages_extent(2 * i, 1);
}

FIXTURE_TEARDOWN(in_flight)
{
	rig_close(&self->rig);
}

/* Ask without waiting, and see that it is under way but not done. */
static void begin(const struct rig *rig, const struct colink_extent *extents, __u32 n, int event)
{
	struct colink_prefetch args = prefetch_args(rig->region, extents, n);

	args.flags = 0;
	args.eventfd = event;
	need(!prefetch(rig->device, &args), "COLINK_PREFETCH");
	if (args.result.pages_issued != n)
		ksft_exit_fail_msg("%llu pages of %u issued\n", args.result.pages_issued, n);
	while (!count_resident(&rig->file))
		usleep(1000);
	if (count_resident(&rig->file) >= n)
		ksft_exit_fail_msg("the slow disk is too fast\n");
}

static bool signalled(int event, int milliseconds)
{
	struct pollfd wait = { .fd = event, .events = POLLIN };

	return poll(&wait, 1, milliseconds) == 1;
}

/*
 * Bytes that disks have been asked for by this process itself, not by workers for it. False
 * where the kernel does not count them (CONFIG_TASK_IO_ACCOUNTING).
 */
static bool own_reads(unsigned long long *bytes)
{
	FILE *file = fopen("/proc/self/io", "r");
	bool found = false;
	char name[32];

	while (!found && file && fscanf(file, "%31s %llu", name, bytes) == 2)
		found = !strcmp(name, "read_bytes:");
	if (file)
		fclose(file);
	return found;
}

static unsigned long long reads_in_call(const struct rig *rig, const struct colink_extent *extents,
					__u32 n)
{
	struct colink_prefetch args = prefetch_args(rig->region, extents, n);
	unsigned long long before, after;

	args.flags = 0;
	need(own_reads(&before), "/proc/self/io");
	need(!prefetch(rig->device, &args), "COLINK_PREFETCH");
	need(own_reads(&after), "/proc/self/io");
	return after - before;
}

/*
 * The call itself begins to read, as far as the queue of a device goes, but not behind
 * another request, of which the device may be full.
 */
TEST_F(in_flight, begins_in_the_call)
{
	struct colink_extent odd[] = { pages_extent(1, 1), pages_extent(3, 1), pages_extent(5, 1) };
	struct colink_extent all = pages_extent(0, PAGES);
	struct colink_prefetch args = prefetch_args(self->rig.region, self->extents, EXTENTS);
	unsigned long long bytes;

	if (!own_reads(&bytes))
		SKIP(return, "this kernel does not count what a process reads");
	EXPECT_EQ(32 * PAGE, reads_in_call(&self->rig, self->extents, EXTENTS));
	EXPECT_EQ(0, reads_in_call(&self->rig, odd, 3));
	/* Wait until both are complete, the quotas' share of them as well. */
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	while (count_resident(&self->rig.file) < EXTENTS + 3)
		usleep(1000);
	usleep(500000);

	evict(&self->rig.file);
	EXPECT_EQ(3 * PAGE, reads_in_call(&self->rig, odd, 3));
	while (count_resident(&self->rig.file) < 3)
		usleep(1000);
	usleep(500000);

	/* One long read takes more of the device than many short ones. */
	evict(&self->rig.file);
	EXPECT_EQ(0, reads_in_call(&self->rig, &all, 1));
}

TEST_F(in_flight, goes_on_by_itself)
{
	int event = eventfd(0, 0);
	__u64 times;

	begin(&self->rig, self->extents, EXTENTS, event);
	EXPECT_FALSE(signalled(event, 0));
	EXPECT_TRUE(signalled(event, 20000));
	EXPECT_EQ(8, read(event, &times, 8));
	EXPECT_EQ(1, times);
	EXPECT_EQ(EXTENTS, count_resident(&self->rig.file));
	for (int i = 0; i < PAGES; i += 2)
		EXPECT_EQ(content(i), self->rig.file.map[i * PAGE]);
}

/* To wait is to wait for all pages, not only until they are asked for. */
TEST_F(in_flight, waiting_is_for_the_end)
{
	struct colink_prefetch args = prefetch_args(self->rig.region, self->extents, EXTENTS);
	struct disk_reads before = disk_reads(self->rig.file.fd), after;

	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	after = disk_reads(self->rig.file.fd);
	EXPECT_EQ(EXTENTS, after.ios - before.ios);
	EXPECT_EQ(EXTENTS, count_resident(&self->rig.file));
}

/*
 * Pages that somebody else is reading are waited for as well: here all of them, as many as the
 * call before issues by itself.
 */
TEST_F(in_flight, waiting_for_what_another_reads)
{
	struct colink_prefetch args = prefetch_args(self->rig.region, self->extents, 32);

	begin(&self->rig, self->extents, 32, -1);
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(0, args.result.pages_issued);
	EXPECT_EQ(32, count_resident(&self->rig.file));
}

TEST_F(in_flight, close)
{
	int event = eventfd(0, 0), other = open_device();

	begin(&self->rig, self->extents, EXTENTS, event);
	close(self->rig.device);
	EXPECT_TRUE(signalled(event, 20000));
	/* What the disk had not been given is not read for nobody. */
	EXPECT_GT(EXTENTS, count_resident(&self->rig.file));
	EXPECT_LT(0, count_resident(&self->rig.file));
	self->rig.device = other;
}

TEST_F(in_flight, unregister)
{
	int event = eventfd(0, 0);

	begin(&self->rig, self->extents, EXTENTS, event);
	EXPECT_EQ(0, ioctl(self->rig.device, COLINK_UNREGISTER, self->rig.region));
	EXPECT_TRUE(signalled(event, 20000));
	EXPECT_GT(EXTENTS, count_resident(&self->rig.file));
}

/* What the disk has read when it is at rest: twice the same within many reads' time. */
static unsigned long long reads_in_the_end(int fd)
{
	unsigned long long before, now = disk_reads(fd).ios;

	do {
		before = now;
		usleep(300000);
		now = disk_reads(fd).ios;
	} while (now != before);
	return now;
}

TEST_F(in_flight, killed_while_waiting)
{
	struct colink_prefetch args = prefetch_args(self->rig.region, self->extents, EXTENTS);
	struct disk_reads before = disk_reads(self->rig.file.fd);
	pid_t child = fork();
	int status;

	if (!child)
		_exit(prefetch(self->rig.device, &args) != 0);
	while (!count_resident(&self->rig.file))
		usleep(1000);
	EXPECT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	/* What the disk had not been given is not read. */
	EXPECT_GT(EXTENTS, reads_in_the_end(self->rig.file.fd) - before.ios);
	/* The opener lives on, in this process, with all of its quota. */
	EXPECT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(EXTENTS, count_resident(&self->rig.file));
}

/* Nobody waits: the reads go on, and end, without the process and what it had open. */
TEST_F(in_flight, killed_without_waiting)
{
	struct rig own = self->rig;
	int event = eventfd(0, 0), status;
	pid_t child = fork();

	if (!child) {
		close(self->rig.device);
		own.device = open_device();
		own.region = register_file(own.device, own.file.fd);
		begin(&own, self->extents, EXTENTS, event);
		for (;;)
			pause();
	}
	while (!count_resident(&self->rig.file))
		usleep(1000);
	EXPECT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_TRUE(signalled(event, 20000));
	EXPECT_GT(EXTENTS, count_resident(&self->rig.file));
}

/*
 * What was asked for and is no longer in the file is neither read nor left behind, but for
 * the range whose turn it was: as with the kernel's own readahead, the file may get shorter
 * between the look at its size and the reading. That page is of zeros.
 */
TEST_F(in_flight, truncated)
{
	struct disk_reads before = disk_reads(self->rig.file.fd);
	struct colink_extent all = pages_extent(0, PAGES);
	struct colink_prefetch args = prefetch_args(self->rig.region, &all, 1);
	int event = eventfd(0, 0);
	__u8 zeros[PAGE] = { 0 };

	begin(&self->rig, self->extents, EXTENTS, event);
	ASSERT_EQ(0, ftruncate(self->rig.file.fd, 0));
	EXPECT_TRUE(signalled(event, 20000));
	EXPECT_GT(EXTENTS, disk_reads(self->rig.file.fd).ios - before.ios);
	ASSERT_EQ(0, ftruncate(self->rig.file.fd, PAGES * PAGE));
	EXPECT_GE(1, count_resident(&self->rig.file));
	ASSERT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_LE(PAGES - 1, args.result.pages_issued);
	EXPECT_EQ(PAGES, count_resident(&self->rig.file));
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(0, memcmp(zeros, &self->rig.file.map[i * PAGE], PAGE));
}

TEST_F(in_flight, deleted)
{
	int event = eventfd(0, 0);

	begin(&self->rig, self->extents, EXTENTS, event);
	ASSERT_EQ(0, unlink(self->rig.file.path));
	EXPECT_TRUE(signalled(event, 20000));
	EXPECT_EQ(EXTENTS, count_resident(&self->rig.file));
	for (int i = 0; i < PAGES; i += 2)
		EXPECT_EQ(content(i), self->rig.file.map[i * PAGE]);
}

/* The module stays while it is open, and goes when its last reads have ended. */
TEST_F(in_flight, module_removed)
{
	int fd;

	begin(&self->rig, self->extents, EXTENTS, -1);
	EXPECT_EQ(-EWOULDBLOCK, errno_of(syscall(SYS_delete_module, "colink", O_NONBLOCK)));
	close(self->rig.device);
	EXPECT_EQ(0, errno_of(syscall(SYS_delete_module, "colink", O_NONBLOCK)));
	EXPECT_EQ(-ENOENT, errno_of(open("/dev/colink", O_RDWR)));

	fd = open(getenv("COLINK_MODULE") ?: "colink.ko", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, syscall(SYS_finit_module, fd, "", 0));
	close(fd);
	self->rig.device = open_device();
	self->rig.region = register_file(self->rig.device, self->rig.file.fd);
	EXPECT_LT(0, self->rig.region);
}

TEST_HARNESS_MAIN
