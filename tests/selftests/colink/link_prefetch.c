// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy in BPF: a read or a fault of a registered file brings in the run that is
 * linked to the slot touched, as far as the strengths say and no further; a layer that
 * is entered, the hottest runs of the next; files that are not registered are left alone;
 * every decision is counted.
 */
#include <sched.h>
#include <time.h>

#include "link_prefetch_test.h"

TEST_F(link_prefetch, read_follows_links)
{
	set_strengths(self->hints, PAGED, 40, 9, LINK_ONE);
	read_at(&self->rig.file, 56 * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 56, 10));
	EXPECT_EQ(1, counted(self->bpf, LINK_READS));
	EXPECT_EQ(0, counted(self->bpf, LINK_FAULTS));
	EXPECT_EQ(1, counted(self->bpf, LINK_ASKED));
	EXPECT_EQ(9, counted(self->bpf, LINK_SLOTS));
	EXPECT_TRUE(balanced(self->bpf));
}

TEST_F(link_prefetch, fault_follows_links)
{
	set_strengths(self->hints, PAGED, 40, 9, LINK_ONE);
	touch_at(&self->rig.file, 56 * PAGE + 100);
	EXPECT_TRUE(only_resident(&self->rig.file, 56, 10));
	EXPECT_EQ(0, counted(self->bpf, LINK_READS));
	EXPECT_EQ(1, counted(self->bpf, LINK_FAULTS));
	EXPECT_EQ(1, counted(self->bpf, LINK_ASKED));
	EXPECT_EQ(9, counted(self->bpf, LINK_SLOTS));
	EXPECT_TRUE(balanced(self->bpf));
}

/* A long read is followed from its last slot. */
TEST_F(link_prefetch, read_of_many_slots)
{
	set_strengths(self->hints, PAGED, 0, 13, LINK_ONE);
	read_at(&self->rig.file, 16 * PAGE, 8 * PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 16, 14));
	EXPECT_EQ(6, counted(self->bpf, LINK_SLOTS));
}

/* Not before a link that is weak by itself, however many there are. */
TEST_F(link_prefetch, stops_where_strengths_say)
{
	set_strengths(self->hints, PAGED, 0, 12, SHARE(60));
	read_at(&self->rig.file, 16 * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 16, 13));

	evict(&self->rig.file);
	set_strengths(self->hints, PAGED, 0, 199, LINK_ONE);
	set_strengths(self->hints, PAGED, 3, 1, SHARE(10));
	read_at(&self->rig.file, 16 * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 16, 4));
	EXPECT_EQ(12 + 3, counted(self->bpf, LINK_SLOTS));

	/* Over the threshold, not at it. */
	evict(&self->rig.file);
	set_strengths(self->hints, PAGED, 0, 1, SHARE(50));
	read_at(&self->rig.file, 16 * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 16, 1));
	EXPECT_EQ(1, counted(self->bpf, LINK_WEAK));
	EXPECT_TRUE(balanced(self->bpf));
}

TEST_F(link_prefetch, stops_at_the_end_of_the_layer)
{
	set_strengths(self->hints, PAGED, 0, 200, LINK_ONE);
	set_strengths(self->hints, LARGE, 0, 100, LINK_ONE);
	read_at(&self->rig.file, (16 + 190) * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 16 + 190, 10));
	EXPECT_EQ(9, counted(self->bpf, LINK_SLOTS));
	evict(&self->rig.file);
	read_at(&self->rig.file, (16 + 199) * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 16 + 199, 1));
	EXPECT_EQ(1, counted(self->bpf, LINK_WEAK));
}

TEST_F(link_prefetch, stops_at_the_longest_run)
{
	set_strengths(self->hints, PAGED, 0, 200, LINK_ONE);
	self->policy->max_run = 5;
	read_at(&self->rig.file, 16 * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 16, 6));
}

/* The bundle touched comes in whole. */
TEST_F(link_prefetch, bundle_of_three_pages)
{
	set_strengths(self->hints, LARGE, 20, 1, LINK_ONE);
	touch_at(&self->rig.file, 360 * PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 360, 6));
	EXPECT_EQ(2, counted(self->bpf, LINK_SLOTS));
	evict(&self->rig.file);
	read_at(&self->rig.file, 420 * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 420, 3));
	EXPECT_EQ(3, counted(self->bpf, LINK_SLOTS));
}

/* Slot 41 begins at byte 1024 of page 710; behind it, to slot 50, which page 712 has. */
TEST_F(link_prefetch, four_bundles_a_page)
{
	set_strengths(self->hints, SMALL, 41, 9, LINK_ONE);
	touch_at(&self->rig.file, 710 * PAGE + 1023);
	EXPECT_TRUE(only_resident(&self->rig.file, 710, 1));
	EXPECT_EQ(1, counted(self->bpf, LINK_WEAK));
	evict(&self->rig.file);
	touch_at(&self->rig.file, 710 * PAGE + 1024);
	EXPECT_TRUE(only_resident(&self->rig.file, 710, 3));
	EXPECT_EQ(9, counted(self->bpf, LINK_SLOTS));
}

TEST_F(link_prefetch, outside_of_all_layers)
{
	size_t pages[] = { 0, 15, 216, 299, 600, 699, 900, 1023 }, i;

	set_strengths(self->hints, PAGED, 0, first_hint(LAYERS), LINK_ONE);
	for (i = 0; i < 8; i++) {
		read_at(&self->rig.file, pages[i] * PAGE, PAGE);
		EXPECT_TRUE(only_resident(&self->rig.file, pages[i], 1));
		evict(&self->rig.file);
	}
	EXPECT_EQ(8, counted(self->bpf, LINK_OUTSIDE));
	EXPECT_EQ(0, counted(self->bpf, LINK_ASKED));
	EXPECT_TRUE(balanced(self->bpf));
}

/* Mapped as programs do that know nothing, and touched once. */
static void touch_unaware(const struct test_file *file, size_t page)
{
	madvise(file->map, file->bytes, MADV_NORMAL);
	touch_at(file, page * PAGE);
}

/* A fault reads the run by itself, in one I/O, and nothing around it. */
TEST_F(link_prefetch, fault_reads_run)
{
	struct disk_reads before = disk_reads(self->rig.file.fd), after;

	set_strengths(self->hints, PAGED, 84, 4, LINK_ONE);
	touch_unaware(&self->rig.file, 100);
	EXPECT_TRUE(only_resident(&self->rig.file, 100, 5));
	after = disk_reads(self->rig.file.fd);
	EXPECT_EQ(1, after.ios - before.ios);
	EXPECT_EQ(5 * PAGE, after.bytes - before.bytes);
	EXPECT_EQ(1, counted(self->bpf, LINK_IN_FAULT));
	EXPECT_EQ(0, counted(self->bpf, LINK_ASKED));

	/* What it brought is not asked for again, nor is anything read ahead from there. */
	touch_at(&self->rig.file, 104 * PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 100, 5));

	/* Of bundles of three pages, what is left of the one that is touched. */
	evict(&self->rig.file);
	touch_unaware(&self->rig.file, 361);
	EXPECT_TRUE(only_resident(&self->rig.file, 361, 2));
	EXPECT_EQ(2, counted(self->bpf, LINK_IN_FAULT));

	/* At the very end of the file's last layer, and where nothing is linked. */
	evict(&self->rig.file);
	touch_unaware(&self->rig.file, 899);
	EXPECT_TRUE(only_resident(&self->rig.file, 899, 1));
	EXPECT_EQ(3, counted(self->bpf, LINK_IN_FAULT));
	EXPECT_TRUE(balanced(self->bpf));
}

/*
 * Reclaim pages, as for want of memory. Only what is mapped can be named, and each processor has
 * pages that it has just added where madvise() on another does not find them: so, by one.
 */
static void push_out(const struct test_file *file, size_t first, size_t n)
{
	cpu_set_t before, one;
	size_t i;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	need(!sched_getaffinity(0, sizeof(before), &before) &&
	     !sched_setaffinity(0, sizeof(one), &one), "sched_setaffinity");
	for (i = 0; i < n; i++)
		touch_at(file, (first + i) * PAGE);
	need(!madvise(&file->map[first * PAGE], n * PAGE, MADV_PAGEOUT), "MADV_PAGEOUT");
	need(!sched_setaffinity(0, sizeof(before), &before), "sched_setaffinity");
}

/* Reclaim two pages, with nothing else here. */
static void push_out_alone(FIXTURE_DATA(link_prefetch) *self, size_t first)
{
	evict(&self->rig.file);
	self->policy->read_around = LINK_AROUND_NEVER;
	push_out(&self->rig.file, first, 2);
	self->policy->read_around = LINK_AROUND_ROOM;
	need(only_resident(&self->rig.file, 0, 0), "nothing in the page cache");
}

/* As Linux does by itself, while nothing is missed that had been here. */
TEST_F(link_prefetch, read_around_while_there_is_room)
{
	struct test_file *file = &self->rig.file;

	self->policy->read_around = LINK_AROUND_ROOM;
	set_strengths(self->hints, PAGED, 30, 1, LINK_ONE);
	touch_unaware(file, 16 + 30);
	EXPECT_LT(4, count_resident(file));
	EXPECT_EQ(1, counted(self->bpf, LINK_AROUND));

	/* What left for another reason says nothing. */
	evict(file);
	touch_unaware(file, 16 + 30);
	EXPECT_LT(4, count_resident(file));

	/* Nor does what was pushed out when memory was short, which it is not now. */
	push_out_alone(self, 16 + 30);
	touch_unaware(file, 16 + 30);
	EXPECT_LT(4, count_resident(file));
	EXPECT_EQ(3, counted(self->bpf, LINK_AROUND));

	/* A program that advised against it reads its page, and the module the run. */
	evict(file);
	madvise(file->map, file->bytes, MADV_RANDOM);
	touch_at(file, (16 + 30) * PAGE);
	EXPECT_TRUE(only_resident(file, 16 + 30, 2));
	EXPECT_TRUE(balanced(self->bpf));
}

/* It is taken to be that long ago that a page was missed that had been here. */
static void set_returned(FIXTURE_DATA(link_prefetch) *self, int seconds_ago)
{
	int files = bpf_map__fd(self->bpf->maps.files);
	struct link_region region;
	struct timespec now;

	need(!clock_gettime(CLOCK_MONOTONIC, &now), "clock_gettime");
	need(!bpf_map_lookup_elem(files, &self->key, &region), "files");
	need(region.returned, "a page that returned");
	region.returned = (now.tv_sec - seconds_ago) * 1000000000ULL;
	need(!bpf_map_update_elem(files, &self->key, &region, 0), "files");
}

/* This process, with what it touches from now on, as good as at a limit. */
static void enter_full_group(void)
{
	need(!mkdir(CGROUP, 0755), CGROUP);
	write_text(CGROUP "/cgroup.procs", "0");
	limit_group(100);
}

static void leave_group(const struct test_file *file)
{
	evict(file);
	write_text("/sys/fs/cgroup/cgroup.procs", "0");
	need(!rmdir(CGROUP), CGROUP);
}

/* In a group that is at its limit: what returns ends it, until ten seconds have gone by. */
TEST_F(link_prefetch, no_room_in_full_group)
{
	struct test_file *file = &self->rig.file;

	enter_full_group();
	self->policy->read_around = LINK_AROUND_ROOM;
	set_strengths(self->hints, PAGED, 30, 1, LINK_ONE);
	push_out_alone(self, 16 + 30);
	touch_unaware(file, 16 + 30);
	EXPECT_TRUE(only_resident(file, 16 + 30, 2));
	EXPECT_EQ(0, counted(self->bpf, LINK_AROUND));

	/* Nor elsewhere, for a while. */
	evict(file);
	touch_unaware(file, 16 + 100);
	EXPECT_TRUE(only_resident(file, 16 + 100, 1));
	set_returned(self, 8);
	evict(file);
	touch_unaware(file, 16 + 100);
	EXPECT_TRUE(only_resident(file, 16 + 100, 1));

	set_returned(self, 11);
	evict(file);
	touch_unaware(file, 16 + 100);
	EXPECT_LT(4, count_resident(file));
	EXPECT_EQ(1, counted(self->bpf, LINK_AROUND));
	leave_group(file);
	EXPECT_TRUE(balanced(self->bpf));
}

/* What is more than a fault reads is the module's to bring: 32 pages here, by default. */
TEST_F(link_prefetch, fault_reads_part_of_long_run)
{
	set_strengths(self->hints, PAGED, 40, 99, LINK_ONE);
	touch_unaware(&self->rig.file, 56);
	EXPECT_TRUE(only_resident(&self->rig.file, 56, 100));
	EXPECT_EQ(0, counted(self->bpf, LINK_IN_FAULT));
	EXPECT_EQ(1, counted(self->bpf, LINK_ASKED));
	EXPECT_TRUE(balanced(self->bpf));
}

/* The same layer, from its end on, touched by several tasks at once: each has what it touched. */
TEST_F(link_prefetch, faults_of_many_tasks)
{
	size_t first = layers[PAGED].offset / PAGE, page = first + layers[PAGED].slots;
	int i, status;

	set_runs_of_seven(self->hints, PAGED, 0, 199);
	madvise(self->rig.file.map, PAGES * PAGE, MADV_NORMAL);
	for (i = 0; i < 4; i++) {
		pid_t child = fork();

		need(child >= 0, "fork");
		if (child)
			continue;
		while (page-- > first)
			if (self->rig.file.map[page * PAGE] != content(page))
				_exit(1);
		_exit(0);
	}
	for (i = 0; i < 4; i++) {
		need(wait(&status) > 0, "wait");
		EXPECT_EQ(0, status);
	}
	/* They share the file's readahead state: now and then one reads in another's window. */
	EXPECT_LT(0, counted(self->bpf, LINK_IN_FAULT));
	EXPECT_LE(layers[PAGED].slots, count_resident(&self->rig.file));
	EXPECT_TRUE(balanced(self->bpf));
}

/*
 * The pages around are read as ever outside of layers, by other files, where the policy
 * says so, and when it is gone.
 */
TEST_F(link_prefetch, read_around)
{
	struct test_file other = self->rig.file;

	touch_unaware(&self->rig.file, 250);
	EXPECT_LT(4, count_resident(&self->rig.file));
	EXPECT_EQ(1, counted(self->bpf, LINK_OUTSIDE));

	evict(&self->rig.file);
	self->policy->read_around = LINK_AROUND_ALWAYS;
	touch_unaware(&self->rig.file, 100);
	EXPECT_LT(4, count_resident(&self->rig.file));
	EXPECT_EQ(0, counted(self->bpf, LINK_IN_FAULT));
	self->policy->read_around = LINK_AROUND_NEVER;

	evict(&self->rig.file);
	unlink(self->rig.file.path);
	make_file(&other, disk(), PAGES * PAGE);
	touch_unaware(&other, 100);
	EXPECT_LT(4, count_resident(&other));
	remove_file(&other);

	touch_unaware(&self->rig.file, 100);
	EXPECT_TRUE(only_resident(&self->rig.file, 100, 1));
	evict(&self->rig.file);
	link_prefetch__detach(self->bpf);
	touch_unaware(&self->rig.file, 100);
	EXPECT_LT(4, count_resident(&self->rig.file));
}

TEST_F(link_prefetch, threshold_changed_while_running)
{
	static const struct { __u32 threshold, run; } steps[] = {
		{ SHARE(80), 2 }, { SHARE(50), 6 }, { SHARE(20), 15 }, { LINK_ONE, 0 },
		{ SHARE(80), 2 },
	};
	size_t i;

	set_strengths(self->hints, PAGED, 0, 2, SHARE(90));
	set_strengths(self->hints, PAGED, 2, 4, SHARE(70));
	set_strengths(self->hints, PAGED, 6, 9, SHARE(40));
	for (i = 0; i < 5; i++) {
		self->policy->threshold = steps[i].threshold;
		touch_at(&self->rig.file, 16 * PAGE);
		EXPECT_TRUE(only_resident(&self->rig.file, 16, 1 + steps[i].run));
		evict(&self->rig.file);
	}
	EXPECT_EQ(2 + 6 + 15 + 0 + 2, counted(self->bpf, LINK_SLOTS));
}

TEST_F(link_prefetch, other_files_untouched)
{
	struct test_file other = self->rig.file;

	set_strengths(self->hints, PAGED, 0, 199, LINK_ONE);
	unlink(self->rig.file.path);
	make_file(&other, disk(), PAGES * PAGE);
	need(!posix_fadvise(other.fd, 0, 0, POSIX_FADV_RANDOM), "fadvise");
	read_at(&other, 16 * PAGE, PAGE);
	touch_at(&other, 17 * PAGE);
	EXPECT_TRUE(only_resident(&other, 16, 2));
	EXPECT_EQ(0, counted(self->bpf, LINK_READS));
	EXPECT_EQ(0, counted(self->bpf, LINK_FAULTS));
	EXPECT_EQ(0, count_resident(&self->rig.file));
	remove_file(&other);
}

/* O_DIRECT goes past the page cache, and so past the policy. */
TEST_F(link_prefetch, direct_reads_untouched)
{
	int direct = open(self->rig.file.path, O_RDONLY | O_DIRECT);
	void *buffer;

	set_strengths(self->hints, PAGED, 0, 199, LINK_ONE);
	need(direct >= 0 && !posix_memalign(&buffer, PAGE, PAGE), "O_DIRECT");
	need(pread(direct, buffer, PAGE, 16 * PAGE) == PAGE, "pread");
	EXPECT_EQ(0, memcmp((__u8[]){ content(16) }, buffer, 1));
	EXPECT_EQ(0, count_resident(&self->rig.file));
	EXPECT_EQ(0, counted(self->bpf, LINK_READS));
	free(buffer);
	close(direct);
}

/* A file taken out of the map is as any other; one whose region ended is counted. */
TEST_F(link_prefetch, region_gone)
{
	set_strengths(self->hints, PAGED, 0, 199, LINK_ONE);
	need(!ioctl(self->rig.device, COLINK_UNREGISTER, self->region), "COLINK_UNREGISTER");
	read_at(&self->rig.file, 16 * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 16, 1));
	EXPECT_EQ(1, counted(self->bpf, LINK_GONE));
	EXPECT_TRUE(balanced(self->bpf));
	need(!bpf_map_delete_elem(bpf_map__fd(self->bpf->maps.files), &self->key), "delete");
	read_at(&self->rig.file, 16 * PAGE, PAGE);
	EXPECT_EQ(1, counted(self->bpf, LINK_READS));
}

TEST_F(link_prefetch, hot_runs_of_the_next_layer)
{
	__u8 want[PAGES] = { 0 };

	self->policy->max_hot = 3;
	read_at(&self->rig.file, 20 * PAGE, PAGE);
	want[20] = 1;
	memset(&want[300 + 5 * 3], 1, 2 * 3);
	memset(&want[300 + 50 * 3], 1, 3);
	EXPECT_TRUE(becomes(&self->rig.file, want));
	EXPECT_EQ(1, counted(self->bpf, LINK_ENTERED));
	EXPECT_EQ(2, counted(self->bpf, LINK_HOT_ASKED));
	EXPECT_EQ(1, counted(self->bpf, LINK_HOT_DENIED));

	/* Only when the layer is entered. */
	evict(&self->rig.file);
	read_at(&self->rig.file, 22 * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 22, 1));
	EXPECT_EQ(1, counted(self->bpf, LINK_ENTERED));

	/* The first layer follows the last. */
	evict(&self->rig.file);
	touch_at(&self->rig.file, 701 * PAGE);
	memset(want, 0, PAGES);
	want[16] = 1;
	want[701] = 1;
	EXPECT_TRUE(becomes(&self->rig.file, want));
	EXPECT_EQ(2, counted(self->bpf, LINK_ENTERED));

	/* As many as the policy allows. */
	evict(&self->rig.file);
	self->policy->max_hot = 1;
	read_at(&self->rig.file, 20 * PAGE, PAGE);
	memset(want, 0, PAGES);
	want[20] = 1;
	memset(&want[300 + 5 * 3], 1, 2 * 3);
	EXPECT_TRUE(becomes(&self->rig.file, want));
	EXPECT_EQ(3, counted(self->bpf, LINK_ENTERED));
	EXPECT_TRUE(balanced(self->bpf));
}

/* Layers of ten pages each, from where the map has those of another file before them. */
TEST_F(link_prefetch, hundred_layers)
{
	struct link_region region = { .n_layers = 100, .first_layer = LAYERS };
	struct colink_layer many[100];
	__u8 want[PAGES] = { 0 };
	__u32 i;

	set_strengths(self->hints, PAGED, 0, 10, LINK_ONE);
	for (i = 0; i < 100; i++) {
		struct link_layer layer = { i * 10 * PAGE, PAGE, 10, i, .next = LAYERS };

		many[i] = (struct colink_layer){ i * 10 * PAGE, PAGE, 10 };
		set_layer(self->bpf, LAYERS + i, &layer);
		memset(&want[10 * i + 3], 1, 7);
	}
	region.region = register_layers(self->rig.device, self->rig.file.fd, many, 100);
	ASSERT_LT(0, (int)region.region);
	add_file(self->bpf, self->rig.file.fd, &region, &self->key);
	for (i = 0; i < 100; i++)
		read_at(&self->rig.file, (10 * i + 3) * PAGE, PAGE);
	EXPECT_TRUE(becomes(&self->rig.file, want));
	EXPECT_EQ(100, counted(self->bpf, LINK_ENTERED));
	EXPECT_EQ(600, counted(self->bpf, LINK_SLOTS));
	EXPECT_TRUE(balanced(self->bpf));
}

TEST_HARNESS_MAIN
