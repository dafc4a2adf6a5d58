// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy in BPF: a read or a fault of a registered file brings in the run that is
 * linked to the slot touched, as far as the strengths say and no further; files that
 * are not registered are left alone; every decision is counted.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "colink_test.h"
#include "link_prefetch.h"
#include "link_prefetch.skel.h"

#define PAGES 1024
#define SHARE(percent) (LINK_ONE * (percent) / 100)

/* One slot a page; three pages a slot; four slots a page. */
enum { PAGED, LARGE, SMALL, LAYERS };
static const struct colink_layer layers[LAYERS] = {
	[PAGED] = { 16 * PAGE, PAGE, 200 },
	[LARGE] = { 300 * PAGE, 3 * PAGE, 100 },
	[SMALL] = { 700 * PAGE, PAGE / 4, 800 },
};

FIXTURE(link_prefetch) {
	struct rig rig;
	struct link_prefetch *bpf;
	struct link_hint *hints;
	struct link_policy *policy;
	struct link_file key;
	int region;
};

static __u32 first_hint(int layer)
{
	__u32 hint = 0;
	int i;

	for (i = 0; i < layer; i++)
		hint += layers[i].slots;
	return hint;
}

static void *map_of(const struct bpf_map *map, size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	need(memory != MAP_FAILED, bpf_map__name(map));
	return memory;
}

/* What the loader of a linked file does: geometry and hints first, then the file. */
static void add_file(struct link_prefetch *bpf, int fd, int region, struct link_file *key)
{
	struct link_region value = { .region = region, .n_layers = LAYERS };
	struct stat status;
	__u32 i;

	for (i = 0; i < LAYERS; i++) {
		struct link_layer layer = {
			.offset = layers[i].offset,
			.stride = layers[i].stride,
			.slots = layers[i].slots,
			.number = i,
			.first_hint = first_hint(i),
		};
		need(!bpf_map_update_elem(bpf_map__fd(bpf->maps.layers), &i, &layer, 0), "layers");
	}
	need(!fstat(fd, &status), "fstat");
	*key = (struct link_file){
		.inode = status.st_ino,
		.device = LINK_DEVICE(major(status.st_dev), minor(status.st_dev)),
	};
	need(!bpf_map_update_elem(bpf_map__fd(bpf->maps.files), key, &value, 0), "files");
}

FIXTURE_SETUP(link_prefetch)
{
	const size_t hints_bytes = first_hint(LAYERS) * sizeof(struct link_hint);

	if (access("/sys/kernel/btf/colink", F_OK))
		SKIP(exit(KSFT_SKIP), "the module has no BTF: programs cannot call it");
	rig_open(&self->rig, disk(), PAGES * PAGE);
	self->region = register_layers(self->rig.device, self->rig.file.fd, layers, LAYERS);
	need(self->region > 0, "COLINK_REGISTER");
	/* A read must not bring in its neighbours either. */
	need(!posix_fadvise(self->rig.file.fd, 0, 0, POSIX_FADV_RANDOM), "fadvise");

	self->bpf = link_prefetch__open();
	need(self->bpf, "open skeleton");
	need(!bpf_map__set_max_entries(self->bpf->maps.layers, LAYERS), "set_max_entries");
	need(!bpf_map__set_max_entries(self->bpf->maps.hints, first_hint(LAYERS)),
	     "set_max_entries");
	need(!link_prefetch__load(self->bpf), "load");
	self->hints = map_of(self->bpf->maps.hints, hints_bytes);
	self->policy = map_of(self->bpf->maps.policy, sizeof(*self->policy));
	*self->policy = (struct link_policy){ .threshold = SHARE(50), .max_run = 1000 };
	add_file(self->bpf, self->rig.file.fd, self->region, &self->key);
	need(!link_prefetch__attach(self->bpf), "attach");
}

FIXTURE_TEARDOWN(link_prefetch)
{
	link_prefetch__destroy(self->bpf);
	rig_close(&self->rig);
}

static void set_strengths(struct link_hint *hints, int layer, __u32 slot, __u32 n, __u32 strength)
{
	__u32 i;

	for (i = 0; i < n; i++)
		hints[first_hint(layer) + slot + i].strength = strength;
}

static __u64 counted(const struct link_prefetch *bpf, __u32 counter)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	__u64 each[cpus], sum = 0;

	need(!bpf_map_lookup_elem(bpf_map__fd(bpf->maps.counters), &counter, each), "counters");
	for (cpu = 0; cpu < cpus; cpu++)
		sum += each[cpu];
	return sum;
}

/* Every read and fault has one outcome. */
static bool balanced(const struct link_prefetch *bpf)
{
	__u64 outcomes = 0;
	__u32 i;

	for (i = LINK_OUTSIDE; i < LINK_COUNTERS; i++)
		outcomes += counted(bpf, i);
	return outcomes == counted(bpf, LINK_READS) + counted(bpf, LINK_FAULTS);
}

static void read_at(const struct test_file *file, size_t position, size_t bytes)
{
	static char buffer[64 * PAGE];

	need(pread(file->fd, buffer, bytes, position) == (ssize_t)bytes, "pread");
}

static void touch_at(const struct test_file *file, size_t position)
{
	*(volatile __u8 *)&file->map[position];
}

/*
 * Are pages [first, first + n) resident soon, and no others? What was asked for too much
 * would come with the same request, so that a moment more shows it.
 */
static bool only_resident(const struct test_file *file, size_t first, size_t n)
{
	__u8 want[PAGES] = { 0 }, vector[PAGES];
	int tries;

	memset(&want[first], 1, n);
	for (tries = 0; tries < 500; tries++) {
		resident(file, vector);
		if (!memcmp(want, vector, PAGES))
			break;
		usleep(10000);
	}
	usleep(100000);
	resident(file, vector);
	return !memcmp(want, vector, PAGES);
}

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

/* 0.9 ^ 6 is 0.53, 0.9 ^ 7 is 0.48; then one weak link. */
TEST_F(link_prefetch, stops_where_strengths_say)
{
	set_strengths(self->hints, PAGED, 0, 199, SHARE(90));
	read_at(&self->rig.file, 16 * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 16, 7));

	evict(&self->rig.file);
	set_strengths(self->hints, PAGED, 0, 199, LINK_ONE);
	set_strengths(self->hints, PAGED, 3, 1, SHARE(10));
	read_at(&self->rig.file, 16 * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 16, 4));
	EXPECT_EQ(6 + 3, counted(self->bpf, LINK_SLOTS));

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

TEST_F(link_prefetch, threshold_changed_while_running)
{
	static const struct { __u32 threshold, run; } steps[] = {
		{ SHARE(80), 2 }, { SHARE(50), 6 }, { SHARE(20), 15 }, { LINK_ONE, 0 },
		{ SHARE(80), 2 },
	};
	size_t i;

	set_strengths(self->hints, PAGED, 0, 199, SHARE(90));
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

TEST_HARNESS_MAIN
