/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of link_prefetch share: the program, attached, with maps for a file. */
#ifndef LINK_PREFETCH_TEST_H
#define LINK_PREFETCH_TEST_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "colink_test.h"
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

static inline __u32 first_hint(int layer)
{
	__u32 hint = 0;
	int i;

	for (i = 0; i < layer; i++)
		hint += layers[i].slots;
	return hint;
}

static inline void *map_of(const struct bpf_map *map, size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	need(memory != MAP_FAILED, bpf_map__name(map));
	return memory;
}

static inline void set_layer(struct link_prefetch *bpf, __u32 index, const struct link_layer *layer)
{
	need(!bpf_map_update_elem(bpf_map__fd(bpf->maps.layers), &index, layer, 0), "layers");
}

static inline void set_hot_run(struct link_prefetch *bpf, __u32 index, struct link_run run)
{
	need(!bpf_map_update_elem(bpf_map__fd(bpf->maps.hot_runs), &index, &run, 0), "hot_runs");
}

static inline void add_file(struct link_prefetch *bpf, int fd, const struct link_region *region,
			    struct link_file *key)
{
	struct stat status;

	need(!fstat(fd, &status), "fstat");
	*key = (struct link_file){
		.inode = status.st_ino,
		.device = LINK_DEVICE(major(status.st_dev), minor(status.st_dev)),
	};
	bpf->bss->file_classes[link_file_class(key)] = 1;
	need(!bpf_map_update_elem(bpf_map__fd(bpf->maps.files), key, region, 0), "files");
}

/* The first layer is computed after the last; only it and LARGE have hot runs. */
static inline void fill_maps(struct link_prefetch *bpf)
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

static inline struct link_prefetch *load(void)
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
		SKIP(exit(SKIPPED), "the module has no BTF: programs cannot call it");
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

/* No more than this beyond what it has. */
static inline void limit_group(size_t pages)
{
	char limit[32];

	snprintf(limit, sizeof(limit), "%llu",
		 group_value(CGROUP, "memory.current", NULL) + pages * PAGE);
	write_text(CGROUP "/memory.max", limit);
}

static inline void set_strengths(struct link_hint *hints, int layer, __u32 slot, __u32 n,
				 __u32 strength)
{
	__u32 i;

	for (i = 0; i < n; i++)
		hints[first_hint(layer) + slot + i].strength = strength;
}

/* Each seventh link is a weak one. */
static inline void set_runs_of_seven(struct link_hint *hints, int layer, __u32 slot, __u32 n)
{
	__u32 i;

	set_strengths(hints, layer, slot, n, SHARE(90));
	for (i = 6; i < n; i += 7)
		set_strengths(hints, layer, slot + i, 1, SHARE(10));
}

static inline __u64 counted(const struct link_prefetch *bpf, __u32 counter)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	__u64 each[cpus], sum = 0;

	need(!bpf_map_lookup_elem(bpf_map__fd(bpf->maps.counters), &counter, each), "counters");
	for (cpu = 0; cpu < cpus; cpu++)
		sum += each[cpu];
	return sum;
}

/* Every read and fault has one outcome. */
static inline bool balanced(const struct link_prefetch *bpf)
{
	__u64 outcomes = 0;
	__u32 i;

	for (i = LINK_OUTSIDE; i < LINK_COUNTERS; i++)
		outcomes += counted(bpf, i);
	return outcomes == counted(bpf, LINK_READS) + counted(bpf, LINK_FAULTS);
}

static inline void read_at(const struct test_file *file, size_t position, size_t bytes)
{
	static char buffer[64 * PAGE];

	need(pread(file->fd, buffer, bytes, position) == (ssize_t)bytes, "pread");
}

static inline void touch_at(const struct test_file *file, size_t position)
{
	*(volatile __u8 *)&file->map[position];
}

/*
 * Are exactly the wanted pages resident soon? What was asked for too much would come
 * with the same request, so that a moment more shows it.
 */
static inline bool becomes(const struct test_file *file, const __u8 *want)
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

static inline bool only_resident(const struct test_file *file, size_t first, size_t n)
{
	__u8 want[PAGES] = { 0 };

	memset(&want[first], 1, n);
	return becomes(file, want);
}

#endif /* LINK_PREFETCH_TEST_H */
