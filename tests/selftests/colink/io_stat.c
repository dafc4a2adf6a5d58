// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_stat: what it counts of requests agrees with what was asked of the disk and with the
 * disk's own counters; other files are left alone; it may come and go under readers; and
 * `colink stat` shows it.
 */
#include <sys/uio.h>
#include <sys/wait.h>

#include "io_stat_test.h"

/* --- Requests --- */

TEST_F(io_stat, as_many_as_the_disk_counts)
{
	int fd = self->rig.file.fd, raw = open_disk(fd);
	struct io_figures seen = disk_figures(self->bpf, fd);
	struct disk_reads before = disk_reads(fd), after;
	struct io_figures now;
	__u64 seed = 1;
	int i;

	for (i = 0; i < 100; i++)
		read_pages(raw, random_next(&seed) % 60000, 1 + random_next(&seed) % 64);
	for (i = 0; i < 50; i++)
		read_pages(fd, random_next(&seed) % 960, 1 + random_next(&seed) % 64);
	close(raw);
	evict(&self->rig.file);
	prefetch_pages(&self->rig, 0, PAGES, COLINK_WAIT);
	now = disk_figures(self->bpf, fd);
	after = disk_reads(fd);
	EXPECT_LT(100, now.reads - seen.reads);
	EXPECT_EQ(after.ios - before.ios, now.reads - seen.reads);
	EXPECT_EQ(after.bytes - before.bytes, now.read_bytes - seen.read_bytes);
	EXPECT_EQ(now.reads, now.timed);
	EXPECT_TRUE(whole(self->bpf, PAGES));
}

TEST_F(io_stat, sizes)
{
	static const struct { size_t pages; int bucket; } kinds[] = {
		{ 1, 3 }, { 2, 4 }, { 3, 4 }, { 4, 5 }, { 7, 5 }, { 8, 6 }, { 16, 7 }, { 63, 8 },
	};
	struct io_figures before = disk_figures(self->bpf, self->rig.file.fd), now;
	__u64 want[IO_SIZES] = { 0 }, bytes = 0, sum = 0;
	int raw = open_disk(self->rig.file.fd), i, n;

	for (i = 0; i < 8; i++) {
		for (n = 0; n <= i; n++) {
			read_pages(raw, 1000 * i + 100 * n, kinds[i].pages);
			want[kinds[i].bucket]++;
			bytes += kinds[i].pages * PAGE;
		}
	}
	now = disk_figures(self->bpf, self->rig.file.fd);
	for (i = 0; i < IO_SIZES; i++) {
		EXPECT_EQ(want[i], now.sizes[i] - before.sizes[i]);
		sum += now.latencies[i] - before.latencies[i];
	}
	for (; i < IO_LATENCIES; i++)
		sum += now.latencies[i] - before.latencies[i];
	EXPECT_EQ(36, now.reads - before.reads);
	EXPECT_EQ(36, sum);
	EXPECT_EQ(bytes, now.read_bytes - before.read_bytes);
	close(raw);
}

TEST_F(io_stat, order_of_direct_reads)
{
	int fd = self->rig.file.fd, raw = open_disk(fd), i;
	struct io_figures before, now;

	read_pages(raw, 0, 4);
	before = disk_figures(self->bpf, fd);
	for (i = 1; i <= 50; i++)
		read_pages(raw, 4 * i, 4);
	now = disk_figures(self->bpf, fd);
	EXPECT_EQ(50, now.sequential - before.sequential);

	/* With gaps, backwards, the same again. */
	for (i = 0; i < 50; i++)
		read_pages(raw, 1000 + 5 * i, 4);
	for (i = 50; i > 0; i--)
		read_pages(raw, 4 * i, 4);
	for (i = 0; i < 50; i++)
		read_pages(raw, 700, 4);
	before = now;
	now = disk_figures(self->bpf, fd);
	EXPECT_EQ(150, now.reads - before.reads);
	EXPECT_EQ(0, now.sequential - before.sequential);
	EXPECT_EQ(0, file_figures(self->bpf).reads);
	close(raw);
}

TEST_F(io_stat, requests_of_the_file)
{
	struct io_figures file;
	int fd = self->rig.file.fd, direct, i;

	for (i = 0; i < 20; i++)
		read_pages(fd, 100 + 2 * i, 1);
	file = file_figures(self->bpf);
	EXPECT_EQ(20, file.reads);
	EXPECT_EQ(20 * PAGE, file.read_bytes);
	EXPECT_EQ(20, file.sizes[3]);
	EXPECT_EQ(0, file.sequential);
	for (i = 0; i < 20; i++)
		touch_page(&self->rig.file, 200 + i);
	file = file_figures(self->bpf);
	EXPECT_EQ(40, file.reads);
	EXPECT_EQ(19, file.sequential);
	EXPECT_EQ(40, file.timed);

	/* Into other memory than the page cache: the disk's only. */
	direct = open(self->rig.file.path, O_RDONLY | O_DIRECT);
	need(direct >= 0, "O_DIRECT");
	read_pages(direct, 500, 4);
	close(direct);
	EXPECT_EQ(40, file_figures(self->bpf).reads);
}

TEST_F(io_stat, merged_and_split_requests)
{
	struct io_figures file;

	/* More than one request may have: all parts of a bio that was split are the file's. */
	prefetch_pages(&self->rig, 64, 900, COLINK_WAIT);
	file = file_figures(self->bpf);
	EXPECT_EQ(900 * PAGE, file.read_bytes);
	EXPECT_LT(1, file.reads);
	EXPECT_GE(30, file.reads);
	EXPECT_TRUE(whole(self->bpf, 900));
}

/* The slow disk does 200 reads a second, so that those at the end of many wait. */
TEST_F(io_stat, latency)
{
	struct colink_extent extents[100];
	struct colink_prefetch args;
	struct io_figures before, now;
	struct test_file file;
	__u64 ns;
	int i;

	if (!getenv("COLINK_SLOW"))
		SKIP(return, "no slow disk");
	make_file(&file, slow_disk(), PAGES * PAGE);
	follow(self->bpf, file.fd, 1);
	for (i = 0; i < 100; i++)
		extents[i] = pages_extent(10 * i, 1);
	args = prefetch_args(register_file(self->rig.device, file.fd), extents, 100);
	before = disk_figures(self->bpf, file.fd);
	EXPECT_EQ(0, prefetch(self->rig.device, &args));
	now = figures_of(self->bpf->maps.file_figures, 1);
	EXPECT_EQ(100, now.reads);
	EXPECT_EQ(100, now.timed);
	ns = now.read_ns / now.timed;
	TH_LOG("mean %llu us", ns / 1000);
	EXPECT_LT(20000000ULL, ns);
	now = disk_figures(self->bpf, file.fd);
	EXPECT_EQ(100, now.reads - before.reads);
	remove_file(&file);
}

/* --- All of it --- */

TEST_F(io_stat, other_files_not_counted)
{
	struct test_file other = self->rig.file;
	struct rig rig = { .device = self->rig.device };
	struct io_cache c;

	unlink(self->rig.file.path);
	make_file(&other, disk(), PAGES * PAGE);
	rig.file = other;
	rig.region = register_file(rig.device, other.fd);
	read_pages(other.fd, 0, 64);
	touch_page(&other, 100);
	prefetch_pages(&rig, 200, 64, COLINK_WAIT);
	evict(&other);
	c = cache(self->bpf);
	EXPECT_EQ(0, c.read_hits + c.read_misses + c.fault_hits + c.fault_misses);
	EXPECT_EQ(0, c.asked + c.prefetched + c.evicted);
	EXPECT_EQ(0, file_figures(self->bpf).reads);
	EXPECT_LT(2, disk_figures(self->bpf, other.fd).reads);
	remove_file(&other);
}

/* Every page read is a hit or a miss, whoever reads at the same time. */
TEST_F(io_stat, several_readers)
{
	struct io_cache c;
	int i, status;

	for (i = 0; i < 4; i++) {
		pid_t reader = fork();
		__u64 seed = i + 1;
		int n;

		need(reader >= 0, "fork");
		if (reader)
			continue;
		for (n = 0; n < 2000; n++)
			read_pages(self->rig.file.fd, random_next(&seed) % PAGES, 1);
		_exit(0);
	}
	for (i = 0; i < 4; i++)
		need(wait(&status) > 0 && !status, "reader");
	c = cache(self->bpf);
	TH_LOG("%llu hits, %llu misses, %llu events lost", c.read_hits, c.read_misses,
	       lost_events(self->bpf));
	EXPECT_GE(8000, c.read_hits + c.read_misses);
	EXPECT_LE(8000, c.read_hits + c.read_misses + lost_events(self->bpf));
	if (!lost_events(self->bpf))
		EXPECT_EQ(count_resident(&self->rig.file), c.read_misses);
}

TEST_F(io_stat, attached_and_detached_under_readers)
{
	pid_t readers[4];
	struct io_cache c;
	int i, status;

	for (i = 0; i < 4; i++) {
		readers[i] = fork();
		need(readers[i] >= 0, "fork");
		if (!readers[i]) {
			/* A link is attached as long as anybody has it open. */
			io_stat__detach(self->bpf);
			read_for_ever(&self->rig.file, i + 1);
		}
	}
	for (i = 0; i < 8; i++) {
		posix_fadvise(self->rig.file.fd, 0, 0, POSIX_FADV_DONTNEED);
		usleep(100000);
		io_stat__detach(self->bpf);
		usleep(20000);
		ASSERT_EQ(0, io_stat__attach(self->bpf));
	}
	for (i = 0; i < 4; i++) {
		kill(readers[i], SIGKILL);
		ASSERT_EQ(readers[i], waitpid(readers[i], &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
	}
	c = cache(self->bpf);
	EXPECT_LT(0, c.read_hits);
	EXPECT_LT(0, c.read_misses);
	EXPECT_LT(0, c.fault_hits + c.fault_misses);
	EXPECT_LT(0, file_figures(self->bpf).reads);
}

/* Is the program waiting for a signal or for time to pass? Then it has attached all. */
static bool watching(pid_t pid)
{
	char path[64], where[64] = "";
	FILE *wchan;

	snprintf(path, sizeof(path), "/proc/%d/wchan", pid);
	wchan = fopen(path, "r");
	need(wchan, path);
	need(fread(where, 1, sizeof(where) - 1, wchan) > 0, path);
	fclose(wchan);
	return strstr(where, "sigtimedwait");
}

/* Run the program with its output in a pipe. */
static pid_t start_stat(int *output)
{
	int ends[2], tries;
	pid_t pid;

	need(!pipe(ends), "pipe");
	pid = fork();
	need(pid >= 0, "fork");
	if (!pid) {
		dup2(ends[1], STDOUT_FILENO);
		execl("/bin/colink", "colink", "stat", "--json", NULL);
		_exit(127);
	}
	close(ends[1]);
	*output = ends[0];
	/* A debug kernel checks programs for half a minute. */
	for (tries = 0; !watching(pid); tries++) {
		need(tries < 15000, "colink stat does not watch");
		usleep(20000);
	}
	return pid;
}

/* `colink stat` finds what is registered by itself. */
TEST_F(io_stat, command_follows_regions)
{
	char output[8192] = "", name[300], *file;
	int from, status;
	size_t length = 0;
	ssize_t n;
	pid_t pid;

	if (access("/bin/colink", X_OK))
		SKIP(return, "no program colink here");
	pid = start_stat(&from);
	read_pages(self->rig.file.fd, 0, 10);
	prefetch_pages(&self->rig, 100, 32, COLINK_WAIT);
	read_pages(self->rig.file.fd, 100, 16);
	evict(&self->rig.file);
	kill(pid, SIGINT);
	while ((n = read(from, output + length, sizeof(output) - 1 - length)) > 0)
		length += n;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	snprintf(name, sizeof(name), "{\"name\":\"%s\"", strrchr(self->rig.file.path, '/') + 1);
	file = strstr(output, name);
	TH_LOG("%s", output);
	ASSERT_NE(NULL, file);
	EXPECT_NE(NULL, strstr(output, "\"missing\":null"));
	EXPECT_NE(NULL, strstr(file, "\"read_hits\":16,\"read_misses\":10,"));
	EXPECT_NE(NULL, strstr(file, "{\"asked\":32,\"prefetched\":32,\"wanted\":32,\"used\":16,"
				     "\"mapped\":0,\"evicted_unused\":16,\"waiting\":0}"));
}

TEST_HARNESS_MAIN
