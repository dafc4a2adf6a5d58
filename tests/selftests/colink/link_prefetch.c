// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy in BPF: a read or a fault of a registered file brings in the run that is
 * linked to the slot touched, as far as the strengths say and no further; a layer that
 * is entered, the hottest runs of the next; files that are not registered are left alone;
 * every decision is counted.
 */
#include <sys/wait.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "colink_test.h"
#include "faults.h"
#include "link_prefetch.h"
#include "link_prefetch.skel.h"

#define PAGES 1024
#define CGROUP "/sys/fs/cgroup/colink-test"
#define SHARE(percent) (LINK_ONE * (percent) / 100)

/* Entries of layers and hot_runs: of the fixture's layers, then a test's own. */
#define MAX_LAYERS 103
#define MAX_HOT 4

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

static void set_layer(struct link_prefetch *bpf, __u32 index, const struct link_layer *layer)
{
	need(!bpf_map_update_elem(bpf_map__fd(bpf->maps.layers), &index, layer, 0), "layers");
}

static void set_hot_run(struct link_prefetch *bpf, __u32 index, struct link_run run)
{
	need(!bpf_map_update_elem(bpf_map__fd(bpf->maps.hot_runs), &index, &run, 0), "hot_runs");
}

static void add_file(struct link_prefetch *bpf, int fd, const struct link_region *region,
		     struct link_file *key)
{
	struct stat status;

	need(!fstat(fd, &status), "fstat");
	*key = (struct link_file){
		.inode = status.st_ino,
		.device = LINK_DEVICE(major(status.st_dev), minor(status.st_dev)),
	};
	need(!bpf_map_update_elem(bpf_map__fd(bpf->maps.files), key, region, 0), "files");
}

/* The first layer is computed after the last; only it and LARGE have hot runs. */
static void fill_maps(struct link_prefetch *bpf)
{
	__u32 i;

	for (i = 0; i < LAYERS; i++) {
		struct link_layer layer = {
			.offset = layers[i].offset,
			.stride = layers[i].stride,
			.slots = layers[i].slots,
			.number = i,
			.first_hint = first_hint(i),
			.first_hot = i == PAGED ? 3 : 0,
			.n_hot = i == PAGED ? 1 : i == LARGE ? 3 : 0,
			.next = (i + 1) % LAYERS,
		};
		set_layer(bpf, i, &layer);
	}
	set_hot_run(bpf, 0, (struct link_run){ 5, 2 });
	set_hot_run(bpf, 1, (struct link_run){ 50, 1 });
	set_hot_run(bpf, 2, (struct link_run){ 99, 2 }); /* beyond the layer */
	set_hot_run(bpf, 3, (struct link_run){ 0, 1 });
}

static struct link_prefetch *load(void)
{
	struct link_prefetch *bpf = link_prefetch__open();

	need(bpf, "open skeleton");
	need(!bpf_map__set_max_entries(bpf->maps.layers, MAX_LAYERS), "set_max_entries");
	need(!bpf_map__set_max_entries(bpf->maps.hot_runs, MAX_HOT), "set_max_entries");
	need(!bpf_map__set_max_entries(bpf->maps.hints, first_hint(LAYERS)), "set_max_entries");
	need(!link_prefetch__load(bpf), "load");
	return bpf;
}

FIXTURE_SETUP(link_prefetch)
{
	const size_t hints_bytes = first_hint(LAYERS) * sizeof(struct link_hint);
	struct link_region region;

	if (access("/sys/kernel/btf/colink", F_OK))
		SKIP(exit(KSFT_SKIP), "the module has no BTF: programs cannot call it");
	rig_open(&self->rig, disk(), PAGES * PAGE);
	self->region = register_layers(self->rig.device, self->rig.file.fd, layers, LAYERS);
	need(self->region > 0, "COLINK_REGISTER");
	/* A read must not bring in its neighbours either. */
	need(!posix_fadvise(self->rig.file.fd, 0, 0, POSIX_FADV_RANDOM), "fadvise");

	self->bpf = load();
	self->hints = map_of(self->bpf->maps.hints, hints_bytes);
	self->policy = map_of(self->bpf->maps.policy, sizeof(*self->policy));
	*self->policy = (struct link_policy){ .threshold = SHARE(50), .max_run = 1000 };
	fill_maps(self->bpf);
	region = (struct link_region){ .region = self->region, .n_layers = LAYERS };
	add_file(self->bpf, self->rig.file.fd, &region, &self->key);
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
 * Are exactly the wanted pages resident soon? What was asked for too much would come
 * with the same request, so that a moment more shows it.
 */
static bool becomes(const struct test_file *file, const __u8 *want)
{
	__u8 vector[PAGES];
	int tries;

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

static bool only_resident(const struct test_file *file, size_t first, size_t n)
{
	__u8 want[PAGES] = { 0 };

	memset(&want[first], 1, n);
	return becomes(file, want);
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

/* How many pages of a layer come in when one is touched as programs do that know nothing. */
static size_t pages_of_a_touch(const struct rig *rig, size_t page)
{
	__u8 vector[PAGES];
	size_t first = layers[PAGED].offset / PAGE, n = 0, i;

	touch_at(&rig->file, page * PAGE);
	usleep(100000);
	resident(&rig->file, vector);
	for (i = first; i < first + layers[PAGED].slots; i++)
		n += vector[i];
	return n;
}

/*
 * Reading around a fault is the policy's to forbid, for its files only, and comes back
 * when it is gone and hits show that it is of use.
 */
TEST_F(link_prefetch, no_read_around)
{
	struct test_file other = self->rig.file;
	size_t i;

	madvise(self->rig.file.map, PAGES * PAGE, MADV_NORMAL);
	set_strengths(self->hints, PAGED, 84, 2, LINK_ONE);
	EXPECT_EQ(3, pages_of_a_touch(&self->rig, 100));

	evict(&self->rig.file);
	unlink(self->rig.file.path);
	make_file(&other, disk(), PAGES * PAGE);
	madvise(other.map, PAGES * PAGE, MADV_NORMAL);
	touch_at(&other, 100 * PAGE);
	EXPECT_LT(3, count_resident(&other));
	remove_file(&other);

	link_prefetch__detach(self->bpf);
	for (i = 0; i < 1000; i++)
		touch_at(&self->rig.file, i % PAGES * PAGE);
	evict(&self->rig.file);
	EXPECT_LT(3, pages_of_a_touch(&self->rig, 100));
}

/* Reading around is left alone where the policy says so. */
TEST_F(link_prefetch, read_around)
{
	madvise(self->rig.file.map, PAGES * PAGE, MADV_NORMAL);
	self->policy->read_around = 1;
	EXPECT_LT(3, pages_of_a_touch(&self->rig, 100));
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

/* A file in the page cache but for every second page, given to the policy as one layer. */
static void add_half_read_file(struct link_prefetch *bpf, int device, const struct test_file *file,
			       struct link_region *region)
{
	struct colink_layer layer = { 0, 2 * PAGE, file->pages / 2 };
	struct link_layer same = { 0, layer.stride, layer.slots, 0, .next = LAYERS };
	struct colink_extent all = pages_extent(0, file->pages);
	struct colink_extent *odd = calloc(layer.slots, sizeof(*odd));
	struct colink_prefetch args;
	struct colink_drop drop = {
		.size = sizeof(drop),
		.n_extents = layer.slots,
		.extents = (unsigned long)odd,
	};
	struct link_file key;
	__u32 i;

	for (i = 0; i < layer.slots; i++)
		odd[i] = pages_extent(2 * i + 1, 1);
	region->region = register_layers(device, file->fd, &layer, 1);
	need((int)region->region > 0, "COLINK_REGISTER");
	args = prefetch_args(region->region, &all, 1);
	need(!prefetch(device, &args), "COLINK_PREFETCH");
	drop.region = region->region;
	need(!ioctl(device, COLINK_DROP, &drop), "COLINK_DROP");
	need(drop.pages_dropped == layer.slots, "every second page");
	free(odd);
	set_layer(bpf, LAYERS, &same);
	add_file(bpf, file->fd, region, &key);
}

/*
 * A full queue drops what is asked and makes nobody wait. It becomes full where the disk
 * takes no more, so that the worker that empties it cannot go on.
 */
TEST_F_TIMEOUT(link_prefetch, queue_full, 120)
{
	struct link_region region = { .n_layers = 1, .first_layer = LAYERS };
	unsigned long dropped = module_counter("bpf_dropped");
	unsigned long queued = module_counter("bpf_queued");
	struct test_file slow;
	size_t i, in_a_row = 0;
	__u64 asked;

	make_file(&slow, slow_disk(), 6000 * PAGE);
	need(!posix_fadvise(slow.fd, 0, 0, POSIX_FADV_RANDOM), "fadvise");
	add_half_read_file(self->bpf, self->rig.device, &slow, &region);
	/* Some can also be dropped because the worker was just taking others out. */
	for (i = 0; i < slow.pages && in_a_row < 5; i += 2) {
		__u64 before = counted(self->bpf, LINK_DROPPED);

		read_at(&slow, i * PAGE, PAGE);
		in_a_row = counted(self->bpf, LINK_DROPPED) > before ? in_a_row + 1 : 0;
		usleep(in_a_row ? 5000 : 0);
	}
	asked = counted(self->bpf, LINK_ASKED);
	TH_LOG("%llu asked, %llu dropped", asked, counted(self->bpf, LINK_DROPPED));
	EXPECT_EQ(5, in_a_row);
	EXPECT_LE(1024, asked);
	EXPECT_TRUE(balanced(self->bpf));
	EXPECT_EQ(counted(self->bpf, LINK_DROPPED), module_counter("bpf_dropped") - dropped);
	EXPECT_EQ(asked, module_counter("bpf_queued") - queued);

	/* There is room again when what is queued has been worked off. */
	need(!ioctl(self->rig.device, COLINK_UNREGISTER, region.region), "COLINK_UNREGISTER");
	set_strengths(self->hints, PAGED, 0, 1, LINK_ONE);
	for (i = 0; i < 1000 && counted(self->bpf, LINK_ASKED) == asked; i++) {
		usleep(10000);
		evict(&self->rig.file);
		read_at(&self->rig.file, 16 * PAGE, PAGE);
	}
	EXPECT_TRUE(only_resident(&self->rig.file, 16, 2));
	remove_file(&slow);
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

static void touch_in_group(const struct test_file *file, size_t page)
{
	pid_t child = fork();
	int status;

	need(child >= 0, "fork");
	if (!child) {
		write_text(CGROUP "/cgroup.procs", "0");
		read_at(file, page * PAGE, PAGE);
		_exit(0);
	}
	need(waitpid(child, &status, 0) == child && !status, "a child in the group");
}

/*
 * Who touches pays, and what is asked for him is speculative: nothing is reclaimed for it,
 * and a group that is as good as at its limit gets none of it.
 */
TEST_F(link_prefetch, charged_to_who_touches)
{
	unsigned long given_up = module_counter("pages_given_up");
	__u8 want[PAGES] = { 0 };
	char limit[32];
	int i;

	need(!mkdir(CGROUP, 0755), CGROUP);
	set_strengths(self->hints, PAGED, 0, 199, LINK_ONE);
	set_strengths(self->hints, LARGE, 0, 99, LINK_ONE);
	touch_in_group(&self->rig.file, 16);
	EXPECT_TRUE(only_resident(&self->rig.file, 16, 200));
	for (i = 0; i < 50 && group_value(CGROUP, "memory.stat", "file") < 200 * PAGE; i++)
		usleep(100000);
	EXPECT_EQ(200 * PAGE, group_value(CGROUP, "memory.stat", "file"));

	snprintf(limit, sizeof(limit), "%llu",
		 group_value(CGROUP, "memory.current", NULL) + 150 * PAGE);
	write_text(CGROUP "/memory.max", limit);
	touch_in_group(&self->rig.file, 300);
	memset(&want[16], 1, 200);
	want[300] = 1;
	EXPECT_TRUE(becomes(&self->rig.file, want));
	EXPECT_LE(299, module_counter("pages_given_up") - given_up);
	EXPECT_EQ(0, group_value(CGROUP, "memory.stat", "pgscan"));
	evict(&self->rig.file);
	need(!rmdir(CGROUP), CGROUP);
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

/* What the module's worker cannot handle is dropped, and holds nothing up. */
TEST_F(link_prefetch, worker_without_memory)
{
	if (!faults_prepared() || !faults_in_module())
		SKIP(return, "this kernel has no fault injection");
	set_strengths(self->hints, PAGED, 40, 9, LINK_ONE);
	only_in_module(true);
	set_fault("failslab", "probability", "100");
	read_at(&self->rig.file, 56 * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 56, 1));
	set_fault("failslab", "probability", "0");
	only_in_module(false);
	EXPECT_EQ(1, counted(self->bpf, LINK_ASKED));

	evict(&self->rig.file);
	read_at(&self->rig.file, 56 * PAGE, PAGE);
	EXPECT_TRUE(only_resident(&self->rig.file, 56, 10));
	EXPECT_EQ(2, counted(self->bpf, LINK_ASKED));
	EXPECT_TRUE(balanced(self->bpf));
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

TEST_F_TIMEOUT(link_prefetch, attached_and_detached_under_readers, 300)
{
	pid_t readers[4];
	int i, status;

	set_strengths(self->hints, PAGED, 0, first_hint(LAYERS), SHARE(90));
	self->policy->max_hot = 2;
	for (i = 0; i < 4; i++) {
		readers[i] = fork();
		need(readers[i] >= 0, "fork");
		if (!readers[i]) {
			/* A link is attached as long as anybody has it open. */
			link_prefetch__detach(self->bpf);
			read_for_ever(&self->rig.file, i + 1);
		}
	}
	for (i = 0; i < 8; i++) {
		posix_fadvise(self->rig.file.fd, 0, 0, POSIX_FADV_DONTNEED);
		usleep(100000);
		link_prefetch__detach(self->bpf);
		usleep(20000);
		ASSERT_EQ(0, link_prefetch__attach(self->bpf));
	}
	for (i = 0; i < 4; i++) {
		kill(readers[i], SIGKILL);
		ASSERT_EQ(readers[i], waitpid(readers[i], &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
	}
	EXPECT_LT(0, counted(self->bpf, LINK_ASKED));
	EXPECT_LT(0, counted(self->bpf, LINK_READS));
	EXPECT_TRUE(balanced(self->bpf));
}

TEST_HARNESS_MAIN
