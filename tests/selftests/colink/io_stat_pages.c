// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_stat: hits and misses of the page cache by reads and faults, and what becomes of the
 * pages that the module brings in.
 */
#include <sys/resource.h>
#include <sys/uio.h>

#include "io_stat_test.h"

/* Pages that the kernel maps around a fault, at an address that is a multiple of them. */
#define AROUND 16

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

/* Pages 0-3 and 6-7 are wanted, the two between them not until later. */
TEST_F(io_stat, wanted_and_read_over)
{
	struct colink_extent extents[] = { pages_extent(0, 4), pages_extent(6, 2) };
	struct colink_prefetch args = prefetch_args(self->rig.region, extents, 2);
	struct colink_extent later = pages_extent(5, 1);
	int again;

	args.gap_bytes = 2 * PAGE;
	need(!prefetch(self->rig.device, &args), "COLINK_PREFETCH");
	EXPECT_EQ(8, cache(self->bpf).prefetched);
	EXPECT_EQ(6, cache(self->bpf).wanted);
	for (again = 0; again < 2; again++) {
		args = prefetch_args(self->rig.region, &later, 1);
		need(!prefetch(self->rig.device, &args), "COLINK_PREFETCH");
		EXPECT_EQ(7, cache(self->bpf).wanted);
	}
	read_pages(self->rig.file.fd, 3, 2);
	EXPECT_EQ(8, cache(self->bpf).wanted);
	EXPECT_EQ(2, cache(self->bpf).used);
	EXPECT_TRUE(whole(self->bpf, 6));
	evict(&self->rig.file);
	EXPECT_EQ(8, cache(self->bpf).wanted);
	EXPECT_TRUE(whole(self->bpf, 0));
}

/* A speculative request only says what might be of use. */
TEST_F(io_stat, not_wanted_when_speculative)
{
	prefetch_pages(&self->rig, 20, 8, COLINK_WAIT | COLINK_SPECULATIVE);
	EXPECT_EQ(8, cache(self->bpf).prefetched);
	EXPECT_EQ(0, cache(self->bpf).wanted);
	read_pages(self->rig.file.fd, 20, 3);
	EXPECT_EQ(3, cache(self->bpf).wanted);
	evict(&self->rig.file);
	EXPECT_EQ(3, cache(self->bpf).wanted);
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

TEST_HARNESS_MAIN
