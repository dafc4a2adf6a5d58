// SPDX-License-Identifier: GPL-2.0-only
/*
 * What io_stat counts, against what was done: requests of disks and of followed files,
 * their sizes, order and latency; hits and misses of reads and faults; pages that the
 * module brought in, and what became of them. Files that are not followed do not count.
 */
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "colink_test.h"
#include "io_stat.h"
#include "io_stat.skel.h"

#define PAGES 1024

/* Pages that the kernel maps around a fault, at an address that is a multiple of them. */
#define AROUND 16

FIXTURE(io_stat) {
	struct rig rig;
	struct io_stat *bpf;
	struct bpf_link *issue;
	struct bpf_link *complete;
};

static void follow(struct io_stat *bpf, int fd, __u32 index)
{
	struct io_file file = { .index = index };
	struct io_file_key key = {};
	struct stat status;

	need(!fstat(fd, &status), "fstat");
	key.inode = status.st_ino;
	key.device = IO_DEVICE(major(status.st_dev), minor(status.st_dev));
	need(!bpf_map_update_elem(bpf_map__fd(bpf->maps.files), &key, &file, 0), "files");
}

FIXTURE_SETUP(io_stat)
{
	struct io_stat *bpf = io_stat__open();

	rig_open(&self->rig, disk(), PAGES * PAGE);
	/* Only what is asked for comes in. */
	need(!posix_fadvise(self->rig.file.fd, 0, 0, POSIX_FADV_RANDOM), "fadvise");
	self->bpf = bpf;
	need(bpf, "open skeleton");
	bpf_program__set_autoattach(bpf->progs.on_module_issue, false);
	bpf_program__set_autoattach(bpf->progs.on_module_complete, false);
	need(!io_stat__load(bpf), "load");
	follow(bpf, self->rig.file.fd, 0);
	need(!io_stat__attach(bpf), "attach");
	self->complete = bpf_program__attach_raw_tracepoint(bpf->progs.on_module_complete,
							    "colink_complete");
	self->issue = bpf_program__attach_raw_tracepoint(bpf->progs.on_module_issue,
							 "colink_issue");
	need(self->issue && self->complete, "attach to the module");
}

FIXTURE_TEARDOWN(io_stat)
{
	bpf_link__destroy(self->issue);
	bpf_link__destroy(self->complete);
	io_stat__destroy(self->bpf);
	rig_close(&self->rig);
}

static void sum_up(const struct bpf_map *map, __u32 index, void *sums, size_t n)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	__u64 each[cpus * n], *sum = sums;
	size_t i;

	need(!bpf_map_lookup_elem(bpf_map__fd(map), &index, each), bpf_map__name(map));
	memset(sums, 0, n * sizeof(*sum));
	for (cpu = 0; cpu < cpus; cpu++)
		for (i = 0; i < n; i++)
			sum[i] += each[cpu * n + i];
}

static struct io_figures figures_of(const struct bpf_map *map, __u32 index)
{
	struct io_figures figures;

	sum_up(map, index, &figures, sizeof(figures) / sizeof(__u64));
	return figures;
}

static struct io_figures file_figures(const struct io_stat *bpf)
{
	return figures_of(bpf->maps.file_figures, 0);
}

/* Of the disk that a file is on; all zeros before its first I/O. */
static struct io_figures disk_figures(const struct io_stat *bpf, int fd)
{
	struct stat status;
	struct io_disk disk;
	__u32 device;

	need(!fstat(fd, &status), "fstat");
	device = IO_DEVICE(major(status.st_dev), minor(status.st_dev));
	if (bpf_map_lookup_elem(bpf_map__fd(bpf->maps.disks), &device, &disk))
		return (struct io_figures){};
	return figures_of(bpf->maps.disk_figures, disk.index);
}

static struct io_cache cache(const struct io_stat *bpf)
{
	struct io_cache sums;

	sum_up(bpf->maps.file_cache, 0, &sums, sizeof(sums) / sizeof(__u64));
	return sums;
}

static __u64 lost(const struct io_stat *bpf, __u32 what)
{
	__u64 sum;

	sum_up(bpf->maps.lost, what, &sum, 1);
	return sum;
}

/* Events that the kernel did not give to a program since that was running already. */
static __u64 lost_events(const struct io_stat *bpf)
{
	struct bpf_program *program;
	__u64 sum = 0;

	bpf_object__for_each_program(program, bpf->obj) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);

		need(!bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size), "info");
		sum += info.recursion_misses;
	}
	return sum;
}

/* Nothing was lost, and every page that was prefetched is accounted for. */
static bool whole(const struct io_stat *bpf, __u64 waiting)
{
	struct io_cache c = cache(bpf);
	__u32 i;

	for (i = 0; i < IO_LOST_COUNTERS; i++)
		if (lost(bpf, i))
			return false;
	return c.prefetched == c.used + c.mapped + c.evicted + waiting;
}

static void read_pages(int fd, size_t first, size_t n)
{
	static char buffer[64 * PAGE] __attribute__((aligned(4096)));

	need(pread(fd, buffer, n * PAGE, first * PAGE) == (ssize_t)(n * PAGE), "pread");
}

static void touch_page(const struct test_file *file, size_t page)
{
	*(volatile __u8 *)&file->map[page * PAGE];
}

static void prefetch_pages(const struct rig *rig, size_t first, size_t n, __u32 flags)
{
	struct colink_extent extent = pages_extent(first, n);
	struct colink_prefetch args = prefetch_args(rig->region, &extent, 1);

	args.flags = flags;
	need(!prefetch(rig->device, &args), "COLINK_PREFETCH");
	need(args.result.pages_issued == n, "pages_issued");
}

/* The disk itself, past its page cache. */
static int open_disk(int fd)
{
	char path[64], target[256];
	struct stat status;
	ssize_t n;
	int disk;

	need(!fstat(fd, &status), "fstat");
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(status.st_dev),
		 minor(status.st_dev));
	n = readlink(path, target, sizeof(target) - 1);
	need(n > 0, path);
	target[n] = '\0';
	snprintf(path, sizeof(path), "/dev/%s", strrchr(target, '/') + 1);
	disk = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	need(disk >= 0, path);
	return disk;
}

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

/* --- Page cache --- */

TEST_F(io_stat, hits_and_misses_of_reads)
{
	int fd = self->rig.file.fd;
	struct io_cache c;

	read_pages(fd, 10, 16);
	c = cache(self->bpf);
	EXPECT_EQ(16, c.read_misses);
	EXPECT_EQ(0, c.read_hits);
	read_pages(fd, 10, 16);
	read_pages(fd, 10, 1);
	c = cache(self->bpf);
	EXPECT_EQ(16, c.read_misses);
	EXPECT_EQ(17, c.read_hits);
	read_pages(fd, 20, 32);
	c = cache(self->bpf);
	EXPECT_EQ(16 + 26, c.read_misses);
	EXPECT_EQ(17 + 6, c.read_hits);
	evict(&self->rig.file);
	read_pages(fd, 10, 16);
	c = cache(self->bpf);
	EXPECT_EQ(16 + 26 + 16, c.read_misses);
	EXPECT_EQ(0, c.fault_hits + c.fault_misses + c.prefetched + c.evicted);
	EXPECT_TRUE(whole(self->bpf, 0));
}

/* What the kernel's own readahead brings in is a hit for those who read it. */
TEST_F(io_stat, readahead)
{
	size_t page, ahead;
	struct io_cache c;

	need(!posix_fadvise(self->rig.file.fd, 0, 0, POSIX_FADV_NORMAL), "fadvise");
	read_pages(self->rig.file.fd, 0, 4);
	c = cache(self->bpf);
	EXPECT_EQ(4, c.read_misses);
	EXPECT_EQ(0, c.read_hits);
	ahead = count_resident(&self->rig.file);
	ASSERT_LE(8, ahead);
	for (page = 4; page < 8; page++)
		read_pages(self->rig.file.fd, page, 1);
	c = cache(self->bpf);
	EXPECT_EQ(4, c.read_misses);
	EXPECT_EQ(4, c.read_hits);
	EXPECT_EQ(0, c.prefetched);
}

/*
 * A read that may not wait starts the I/O, behind a queue of others here; the one that
 * comes back for the page missed it, and once.
 */
TEST_F(io_stat, read_in_two_calls)
{
	struct colink_extent extent = pages_extent(0, 64);
	struct colink_prefetch args;
	struct test_file file;
	struct io_cache c;
	char byte;
	struct iovec vector = { &byte, 1 };
	int page, again = 0;

	make_file(&file, slow_disk(), PAGES * PAGE);
	need(!posix_fadvise(file.fd, 0, 0, POSIX_FADV_RANDOM), "fadvise");
	follow(self->bpf, file.fd, 0);
	args = prefetch_args(register_file(self->rig.device, file.fd), &extent, 1);
	args.flags = 0;
	for (page = 100; page < 110; page++) {
		for (extent.first = 0; extent.first < 64 * PAGE; extent.first += 2 * PAGE) {
			extent.count = PAGE;
			need(!prefetch(self->rig.device, &args), "COLINK_PREFETCH");
		}
		usleep(10000);
		again += preadv2(file.fd, &vector, 1, page * PAGE, RWF_NOWAIT) < 0;
		ASSERT_EQ(1, pread(file.fd, &byte, 1, page * PAGE));
		ASSERT_EQ(1, pread(file.fd, &byte, 1, page * PAGE));
		posix_fadvise(file.fd, 0, 64 * PAGE, POSIX_FADV_DONTNEED);
	}
	c = cache(self->bpf);
	TH_LOG("%d of 10 had to come back", again);
	EXPECT_LT(0, again);
	EXPECT_EQ(10, c.read_misses);
	EXPECT_EQ(10 + 10 - again, c.read_hits);
	remove_file(&file);
}

TEST_F(io_stat, end_of_file)
{
	char buffer[2 * PAGE];
	struct io_cache c;

	need(!ftruncate(self->rig.file.fd, (PAGES - 1) * PAGE + 100), "ftruncate");
	evict(&self->rig.file);
	ASSERT_EQ(PAGE + 100, pread(self->rig.file.fd, buffer, 2 * PAGE, (PAGES - 2) * PAGE));
	ASSERT_EQ(0, pread(self->rig.file.fd, buffer, PAGE, PAGES * PAGE));
	c = cache(self->bpf);
	EXPECT_EQ(2, c.read_misses);
	EXPECT_EQ(0, c.read_hits);
}

TEST_F(io_stat, hits_and_misses_of_faults)
{
	struct test_file *file = &self->rig.file;
	struct rusage before, after;
	struct io_cache c;
	int i;

	need(!getrusage(RUSAGE_SELF, &before), "getrusage");
	for (i = 0; i < 20; i++)
		touch_page(file, 40 * i);
	need(!getrusage(RUSAGE_SELF, &after), "getrusage");
	c = cache(self->bpf);
	EXPECT_EQ(20, c.fault_misses);
	EXPECT_EQ(0, c.fault_hits);
	EXPECT_EQ(after.ru_majflt - before.ru_majflt, c.fault_misses);

	/* Mapped: nothing is seen. Unmapped: a fault each, of a page that is there. */
	for (i = 0; i < 20; i++)
		touch_page(file, 40 * i);
	EXPECT_EQ(0, cache(self->bpf).fault_hits);
	madvise(file->map, file->bytes, MADV_DONTNEED);
	for (i = 0; i < 20; i++)
		touch_page(file, 40 * i);
	c = cache(self->bpf);
	EXPECT_EQ(20, c.fault_misses);
	EXPECT_EQ(20, c.fault_hits);
	EXPECT_EQ(0, c.read_hits + c.read_misses);
	EXPECT_TRUE(whole(self->bpf, 0));
}

/* --- What the module brings in --- */

TEST_F(io_stat, prefetched_and_used_by_reads)
{
	struct io_cache c;

	prefetch_pages(&self->rig, 100, 64, COLINK_WAIT);
	c = cache(self->bpf);
	EXPECT_EQ(64, c.asked);
	EXPECT_EQ(64, c.prefetched);
	EXPECT_EQ(0, c.used + c.mapped + c.evicted);
	read_pages(self->rig.file.fd, 110, 16);
	read_pages(self->rig.file.fd, 110, 16);
	c = cache(self->bpf);
	EXPECT_EQ(32, c.read_hits);
	EXPECT_EQ(0, c.read_misses);
	EXPECT_EQ(16, c.used);
	EXPECT_TRUE(whole(self->bpf, 48));
	evict(&self->rig.file);
	c = cache(self->bpf);
	EXPECT_EQ(48, c.evicted);
	EXPECT_TRUE(whole(self->bpf, 0));

	/* Not the module's this time. */
	read_pages(self->rig.file.fd, 100, 64);
	evict(&self->rig.file);
	c = cache(self->bpf);
	EXPECT_EQ(64, c.read_misses);
	EXPECT_EQ(64, c.prefetched);
	EXPECT_EQ(48, c.evicted);
}

/* Its worker, not the task that asks; only what was not there already. */
TEST_F(io_stat, prefetched_by_the_worker)
{
	struct colink_extent extent = pages_extent(0, 64);
	struct colink_prefetch args = prefetch_args(self->rig.region, &extent, 1);
	struct io_cache c;
	int tries;

	read_pages(self->rig.file.fd, 0, 8);
	args.flags = 0;
	need(!prefetch(self->rig.device, &args), "COLINK_PREFETCH");
	for (tries = 0; tries < 500 && cache(self->bpf).prefetched < 56; tries++)
		usleep(10000);
	c = cache(self->bpf);
	EXPECT_EQ(56, c.asked);
	EXPECT_EQ(56, c.prefetched);
	read_pages(self->rig.file.fd, 0, 64);
	c = cache(self->bpf);
	EXPECT_EQ(8, c.read_misses);
	EXPECT_EQ(64, c.read_hits);
	EXPECT_EQ(56, c.used);
	EXPECT_TRUE(whole(self->bpf, 0));
}

/* A page whose number is where the kernel begins to map around a fault. */
static size_t aligned_page(const struct test_file *file)
{
	return 2 * AROUND - ((unsigned long)file->map / PAGE) % AROUND;
}

TEST_F(io_stat, prefetched_and_mapped)
{
	size_t first = aligned_page(&self->rig.file);
	struct io_cache c;

	prefetch_pages(&self->rig, first, 2 * AROUND, COLINK_WAIT);
	touch_page(&self->rig.file, first + 3);
	c = cache(self->bpf);
	EXPECT_EQ(1, c.fault_hits);
	EXPECT_EQ(0, c.fault_misses);
	EXPECT_EQ(1, c.used);
	EXPECT_EQ(AROUND - 1, c.mapped);
	EXPECT_TRUE(whole(self->bpf, AROUND));

	/* A use that is seen after all. */
	read_pages(self->rig.file.fd, first + 5, 2);
	c = cache(self->bpf);
	EXPECT_EQ(3, c.used);
	EXPECT_EQ(AROUND - 3, c.mapped);

	/* Mapped ones are not unused, for all that is known. */
	evict(&self->rig.file);
	c = cache(self->bpf);
	EXPECT_EQ(AROUND, c.evicted);
	EXPECT_EQ(AROUND - 3, c.mapped);
	EXPECT_TRUE(whole(self->bpf, 0));
}

TEST_F(io_stat, prefetched_and_dropped)
{
	struct colink_extent extent = pages_extent(10, 20);
	struct colink_drop args = {
		.size = sizeof(args),
		.region = self->rig.region,
		.n_extents = 1,
		.extents = (unsigned long)&extent,
	};

	prefetch_pages(&self->rig, 0, 40, COLINK_WAIT);
	need(!ioctl(self->rig.device, COLINK_DROP, &args), "COLINK_DROP");
	EXPECT_EQ(20, cache(self->bpf).evicted);
	EXPECT_TRUE(whole(self->bpf, 20));
}

/* What its task reads after the module is done is not the module's. */
TEST_F(io_stat, not_prefetched_by_who_asked_once)
{
	struct io_cache c;

	prefetch_pages(&self->rig, 0, 64, COLINK_WAIT);
	evict(&self->rig.file);
	need(!readahead(self->rig.file.fd, 0, 64 * PAGE), "readahead");
	touch_page(&self->rig.file, 40);
	c = cache(self->bpf);
	EXPECT_EQ(64, c.prefetched);
	EXPECT_EQ(64, c.evicted);
	EXPECT_EQ(0, c.used + c.mapped);
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

/* Reads and touches pages at random until it is killed; ends with 1 on wrong content. */
static void read_for_ever(const struct test_file *file, __u64 seed)
{
	for (;;) {
		size_t page = random_next(&seed) % PAGES;
		__u8 byte;

		if (pread(file->fd, &byte, 1, page * PAGE) != 1 || byte != content(page))
			_exit(1);
		page = random_next(&seed) % PAGES;
		if (file->map[page * PAGE] != content(page))
			_exit(1);
	}
}

TEST_F_TIMEOUT(io_stat, attached_and_detached_under_readers, 120)
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
	for (tries = 0; tries < 1000 && !watching(pid); tries++)
		usleep(20000);
	return pid;
}

/* `colink stat` finds what is registered by itself. */
TEST_F_TIMEOUT(io_stat, command_follows_regions, 60)
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
	EXPECT_NE(NULL, strstr(file, "{\"asked\":32,\"prefetched\":32,\"used\":16,\"mapped\":0,"
				     "\"evicted_unused\":16,\"waiting\":0}"));
}

TEST_HARNESS_MAIN
