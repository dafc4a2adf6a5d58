// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy in BPF where it is pressed: a full queue, groups at their limit, no memory
 * for the module's worker, readers while it is attached and detached.
 */
#include <sys/wait.h>

#include "faults.h"
#include "link_prefetch_test.h"

/* Of a file on the slow disk: read but for every second page, and what keeps the disk busy. */
#define HALF_READ 6000
#define LONG_REQUESTS 16
#define LONG_REQUEST_READS 400
#define SLOW_PAGES (HALF_READ + 2 * LONG_REQUESTS * LONG_REQUEST_READS)

/* Every second page of n, from the first on. To be freed. */
static struct colink_extent *every_second_page(size_t first, __u32 n)
{
	struct colink_extent *extents = calloc(n, sizeof(*extents));
	__u32 i;

	need(extents, "calloc");
	for (i = 0; i < n; i++)
		extents[i] = pages_extent(first + 2 * i, 1);
	return extents;
}

/* The half read pages are given to the policy as one layer. */
static void add_half_read_file(struct link_prefetch *bpf, int device, const struct test_file *file,
			       struct link_region *region)
{
	struct colink_layer layer = { 0, 2 * PAGE, HALF_READ / 2 };
	struct link_layer same = { 0, layer.stride, layer.slots, 0, .next = LAYERS };
	struct colink_extent all = pages_extent(0, HALF_READ);
	struct colink_extent *odd = every_second_page(1, layer.slots);
	struct colink_prefetch args;
	struct colink_drop drop = {
		.size = sizeof(drop),
		.n_extents = layer.slots,
		.extents = (unsigned long)odd,
	};
	struct link_file key;

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
 * For half a minute, or until the region is gone, most of what the disk takes is ours: BPF's
 * worker waits its turn, however slowly this machine reads beside it.
 */
static void occupy_disk(int device, const struct link_region *region)
{
	int i;

	for (i = 0; i < LONG_REQUESTS; i++) {
		size_t first = HALF_READ + 2 * i * LONG_REQUEST_READS;
		struct colink_extent *reads = every_second_page(first, LONG_REQUEST_READS);
		struct colink_prefetch args =
			prefetch_args(region->region, reads, LONG_REQUEST_READS);

		args.flags = 0;
		need(!prefetch(device, &args), "COLINK_PREFETCH");
		free(reads);
	}
}

/*
 * A full queue drops what is asked and makes nobody wait. It becomes full where the disk
 * takes no more, so that the worker that empties it cannot go on.
 */
TEST_F(link_prefetch, queue_full)
{
	struct link_region region = { .n_layers = 1, .first_layer = LAYERS };
	unsigned long dropped = module_counter("bpf_dropped");
	unsigned long queued = module_counter("bpf_queued");
	struct test_file slow;
	size_t i, in_a_row = 0;
	__u64 asked;

	make_file(&slow, slow_disk(), SLOW_PAGES * PAGE);
	need(!posix_fadvise(slow.fd, 0, 0, POSIX_FADV_RANDOM), "fadvise");
	add_half_read_file(self->bpf, self->rig.device, &slow, &region);
	occupy_disk(self->rig.device, &region);
	/* Some can also be dropped because the worker was just taking others out. */
	for (i = 0; i < HALF_READ && in_a_row < 5; i += 2) {
		__u64 before = counted(self->bpf, LINK_DROPPED);

		read_at(&slow, i * PAGE, PAGE);
		in_a_row = counted(self->bpf, LINK_DROPPED) > before ? in_a_row + 1 : 0;
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
	int i;

	need(!mkdir(CGROUP, 0755), CGROUP);
	set_strengths(self->hints, PAGED, 0, 199, LINK_ONE);
	set_strengths(self->hints, LARGE, 0, 99, LINK_ONE);
	touch_in_group(&self->rig.file, 16);
	EXPECT_TRUE(only_resident(&self->rig.file, 16, 200));
	for (i = 0; i < 50 && group_value(CGROUP, "memory.stat", "file") < 200 * PAGE; i++)
		usleep(100000);
	EXPECT_EQ(200 * PAGE, group_value(CGROUP, "memory.stat", "file"));

	limit_group(150);
	touch_in_group(&self->rig.file, 300);
	memset(&want[16], 1, 200);
	want[300] = 1;
	EXPECT_TRUE(becomes(&self->rig.file, want));
	EXPECT_LE(299, module_counter("pages_given_up") - given_up);
	EXPECT_EQ(0, group_value(CGROUP, "memory.stat", "pgscan"));
	evict(&self->rig.file);
	need(!rmdir(CGROUP), CGROUP);
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

TEST_F(link_prefetch, attached_and_detached_under_readers)
{
	pid_t readers[4];
	int i, status;

	set_runs_of_seven(self->hints, PAGED, 0, first_hint(LAYERS));
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
