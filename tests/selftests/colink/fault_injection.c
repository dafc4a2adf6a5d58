// SPDX-License-Identifier: GPL-2.0-only
/*
 * What if there is no memory, if the program's cannot be copied, if the disk fails?
 *
 * The kernel can make the Nth call that may fail, within a task, do so (fail-nth). Here
 * N goes up until the module's call comes to its end without a fault. After each: the
 * error is one that it may return, what it took from its quotas is back (they are
 * small: what stays away, a later one misses), the file reads right.
 *
 * There is no such count for a worker. What fails there fails at random, and only with
 * the module on the stack, so that nothing else in the machine is hit.
 *
 * Memory that is lost on such a way out is for kmemleak to find.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "colink_test.h"
#include "faults.h"

#define FILE_PAGES 600
#define MOST_PAGES 256 /* a MiB, which is the least quota */

#define CGROUPS "/sys/fs/cgroup"
#define CGROUP CGROUPS "/colink-faults"

struct state {
	struct rig rig;
	struct colink_extent extents[MOST_PAGES];
	__u32 n_extents;
	__u32 n_pages; /* in all extents */
	int fail_nth;
	int max_regions, max_requests, max_extents, max_mib; /* as they were before */
};

/* So many extents, with a page between two of them, are what is asked for from now on. */
static void ask_for(struct state *state, __u32 n_extents, __u32 pages)
{
	__u32 i;

	state->n_extents = n_extents;
	state->n_pages = n_extents * pages;
	for (i = 0; i < n_extents; i++)
		state->extents[i] = pages_extent(i * (pages + 1), pages);
	parameter("max_extents", n_extents);
}

/* False where there are no faults. */
static bool state_open(struct state *state, const char *directory)
{
	state->fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (state->fail_nth < 0 || !faults_prepared())
		return false;
	rig_open(&state->rig, directory, FILE_PAGES * PAGE);
	state->max_regions = parameter("max_regions", 2);
	state->max_requests = parameter("max_requests", 1);
	state->max_mib = parameter("max_mib", 1);
	state->max_extents = parameter("max_extents", MOST_PAGES);
	ask_for(state, 4, 8);
	return true;
}

static void state_close(struct state *state)
{
	parameter("max_regions", state->max_regions);
	parameter("max_requests", state->max_requests);
	parameter("max_mib", state->max_mib);
	parameter("max_extents", state->max_extents);
	close(state->fail_nth);
	rig_close(&state->rig);
}

/* In this task, from now on, the nth fails. */
static void arm(const struct state *state, unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	need(pwrite(state->fail_nth, text, strlen(text), 0) == (ssize_t)strlen(text), "fail-nth");
}

/* Has the nth come since? What is done here can be hit itself, which does not count. */
static bool disarm(const struct state *state)
{
	char text[16] = "";
	bool come = pread(state->fail_nth, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;

	while (pwrite(state->fail_nth, "0", 1, 0) != 1)
		;
	return come;
}

static bool is_fault(int result)
{
	return result == -ENOMEM || result == -EFAULT;
}

/* What was asked for, by whomever it is brought in. */
static bool reads_right(const struct state *state)
{
	size_t page, end;
	__u32 i;

	for (i = 0; i < state->n_extents; i++) {
		page = state->extents[i].first / PAGE;
		end = page + state->extents[i].count / PAGE;
		for (; page < end; page++)
			if (state->rig.file.map[page * PAGE] != content(page))
				return false;
	}
	return true;
}

static bool signalled(int event, int milliseconds)
{
	struct pollfd wait = { .fd = event, .events = POLLIN };

	return poll(&wait, 1, milliseconds) == 1;
}

/* Becomes the one request free that there can be? An empty one needs nothing else. */
static bool settles(const struct rig *rig)
{
	int tries, result = -EDQUOT;

	for (tries = 0; tries < 2000 && result == -EDQUOT; tries++) {
		struct colink_prefetch nothing = prefetch_args(rig->region, NULL, 0);

		if (tries)
			usleep(10000);
		result = prefetch(rig->device, &nothing);
	}
	return !result;
}

struct kind {
	__u32 flags;
	bool event;
};

/* All is asked for with the nth failing (0: none). Has it come, and was all as it may be? */
static bool fault_in_prefetch(struct __test_metadata *_metadata, const struct state *state,
			      const struct kind *kind, unsigned int nth)
{
	const struct rig *rig = &state->rig;
	struct colink_prefetch args = prefetch_args(rig->region, state->extents, state->n_extents);
	int event = kind->event ? eventfd(0, EFD_CLOEXEC) : -1, result;
	bool come;

	evict(&rig->file);
	args.flags = kind->flags;
	args.eventfd = event;
	arm(state, nth);
	result = prefetch(rig->device, &args);
	come = disarm(state) && nth;

	EXPECT_TRUE(!result || (come && is_fault(result))) {
		TH_LOG("number %u failing: %d", nth, result);
	}
	if (!result && event >= 0)
		EXPECT_TRUE(signalled(event, 20000));
	EXPECT_TRUE(settles(rig));
	if (!result) {
		EXPECT_EQ(state->n_extents, args.result.extents + args.result.refused);
		EXPECT_GE(args.result.pages_issued - args.result.pages_given_up,
			  count_resident(&rig->file));
	}
	if (!come) {
		EXPECT_EQ(state->n_extents, args.result.extents);
		EXPECT_EQ(state->n_pages, count_resident(&rig->file));
	}
	EXPECT_TRUE(reads_right(state));
	if (event >= 0)
		close(event);
	return come;
}

FIXTURE(fault_injection) {
	struct state state;
};

FIXTURE_SETUP(fault_injection)
{
	if (!state_open(&self->state, disk()))
		SKIP(exit(SKIPPED), "this kernel has no fault injection");
}

FIXTURE_TEARDOWN(fault_injection)
{
	state_close(&self->state);
}

TEST_F(fault_injection, open)
{
	unsigned int nth, faults = 0;
	bool come = true;
	int fd;

	for (nth = 1; come; nth++) {
		arm(&self->state, nth);
		fd = errno_of(open("/dev/colink", O_RDWR | O_CLOEXEC));
		come = disarm(&self->state);
		ASSERT_TRUE(fd >= 0 || (come && is_fault(fd)));
		if (fd < 0)
			faults++;
		else
			close(fd);
	}
	/* The path, the file, and the module's own. */
	EXPECT_LE(3, faults);
}

TEST_F(fault_injection, register)
{
	const struct colink_layer layers[] = { { 0, PAGE, 16 }, { 16 * PAGE, 512, 100 } };
	const struct rig *rig = &self->state.rig;
	unsigned int nth, faults = 0;
	bool come = true;
	int region;

	for (nth = 1; come; nth++) {
		arm(&self->state, nth);
		region = register_layers(rig->device, rig->file.fd, layers, 2);
		come = disarm(&self->state);
		ASSERT_TRUE(region > 0 || (come && is_fault(region)));
		if (region < 0)
			faults++;
		else
			need(!ioctl(rig->device, COLINK_UNREGISTER, region), "unregister");
	}
	/* The arguments, the region, its layers. */
	EXPECT_LE(3, faults);
}

TEST_F(fault_injection, drop)
{
	const struct kind waiting = { COLINK_WAIT, false };
	const struct rig *rig = &self->state.rig;
	unsigned int nth, faults = 0;
	bool come = true;
	int result;

	for (nth = 1; come; nth++) {
		struct colink_drop args = {
			.size = sizeof(args),
			.region = rig->region,
			.n_extents = self->state.n_extents,
			.extents = (unsigned long)self->state.extents,
		};

		fault_in_prefetch(_metadata, &self->state, &waiting, 0);
		madvise(rig->file.map, rig->file.bytes, MADV_DONTNEED);
		arm(&self->state, nth);
		result = errno_of(ioctl(rig->device, COLINK_DROP, &args));
		come = disarm(&self->state);
		ASSERT_TRUE(!result || (come && is_fault(result)));
		faults += result != 0;
		if (!result)
			EXPECT_EQ(self->state.n_pages, args.pages_dropped);
		EXPECT_TRUE(reads_right(&self->state));
	}
	/* The arguments, the spans, the extents. */
	EXPECT_LE(3, faults);
}

/* What the calls return: open, COLINK_REGISTER, _DROP, and _PREFETCH with each flags. */
struct results {
	int opened;
	int registered;
	int dropped;
	int few[4];
	int many[4];
};

/* Call all there is while allocations of this task fail. */
static struct results call_all(const struct state *state, const struct colink_extent *many,
			       int make_it_fail)
{
	const struct rig *rig = &state->rig;
	struct colink_drop drop = {
		.size = sizeof(drop), .region = rig->region, .n_extents = state->n_extents,
		.extents = (unsigned long)state->extents,
	};
	struct results results;
	__u32 flags;

	need(pwrite(make_it_fail, "1", 1, 0) == 1, "make-it-fail");
	results.opened = errno_of(open("/dev/colink", O_RDWR | O_CLOEXEC));
	results.registered = register_file(rig->device, rig->file.fd);
	results.dropped = errno_of(ioctl(rig->device, COLINK_DROP, &drop));
	for (flags = 0; flags < 4; flags++) {
		struct colink_prefetch args =
			prefetch_args(rig->region, state->extents, state->n_extents);

		args.flags = flags;
		results.few[flags] = prefetch(rig->device, &args);
		args = prefetch_args(rig->region, many, COLINK_MAX_EXTENTS);
		args.flags = flags;
		results.many[flags] = prefetch(rig->device, &args);
	}
	need(pwrite(make_it_fail, "0", 1, 0) == 1, "make-it-fail");
	if (results.opened >= 0)
		close(results.opened);
	if (results.registered > 0)
		ioctl(rig->device, COLINK_UNREGISTER, results.registered);
	return results;
}

/*
 * No memory at all, and no pages, with what is left in the slabs: then it is the spans of
 * 65,536 extents for which there is neither a piece in one nor vmalloc().
 */
TEST_F(fault_injection, no_memory)
{
	const struct rig *rig = &self->state.rig;
	struct colink_extent *many = calloc(COLINK_MAX_EXTENTS, sizeof(*many));
	int make_it_fail = open("/proc/self/make-it-fail", O_RDWR), i;
	struct results nothing, no_pages;

	need(many && make_it_fail >= 0, "make-it-fail");
	parameter("max_extents", COLINK_MAX_EXTENTS);
	for (i = 0; i < COLINK_MAX_EXTENTS; i++)
		many[i] = pages_extent(i % MOST_PAGES, 1);
	/* The program's own pages have to be there: a rehearsal, and they stay. */
	call_all(&self->state, many, make_it_fail);
	need(!mlockall(MCL_CURRENT) && !munlock(rig->file.map, rig->file.bytes), "mlockall");
	EXPECT_TRUE(settles(rig));
	evict(&rig->file);

	set_allocation_faults("task-filter", "Y");
	set_fault("fail_page_alloc", "probability", "100");
	no_pages = call_all(&self->state, many, make_it_fail);
	EXPECT_TRUE(settles(rig));
	set_fault("failslab", "probability", "100");
	nothing = call_all(&self->state, many, make_it_fail);
	set_allocation_faults("probability", "0");
	set_allocation_faults("task-filter", "N");

	EXPECT_EQ(-ENOMEM, nothing.opened);
	EXPECT_EQ(-ENOMEM, nothing.registered);
	EXPECT_EQ(-ENOMEM, nothing.dropped);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(-ENOMEM, nothing.few[i]);
		EXPECT_EQ(-ENOMEM, nothing.many[i]);
		/* A worker has memory: its request may still be the one that there can be. */
		EXPECT_TRUE(no_pages.many[i] == -ENOMEM || no_pages.many[i] == -EDQUOT);
	}
	EXPECT_TRUE(settles(rig));
	EXPECT_TRUE(reads_right(&self->state));
	close(make_it_fail);
	free(many);
}

TEST_F(fault_injection, in_worker)
{
	static const struct kind kinds[] = {
		{ 0, true }, { COLINK_SPECULATIVE, true }, { 0, false }, { COLINK_WAIT, false },
	};
	const struct rig *rig = &self->state.rig;
	int i, result, failed = 0, partly = 0, event = eventfd(0, EFD_CLOEXEC);
	__u64 times;

	if (!faults_in_module())
		SKIP(return, "faults cannot be kept to the module");
	ask_for(&self->state, MOST_PAGES, 1);
	for (i = 0; i < 40; i++) {
		const struct kind *kind = &kinds[i % ARRAY_SIZE(kinds)];
		struct colink_prefetch args = prefetch_args(rig->region, self->state.extents,
							    self->state.n_extents);

		evict(&rig->file);
		args.flags = kind->flags;
		args.eventfd = kind->event ? event : -1;
		only_in_module(true);
		set_allocation_faults("probability", "3");
		result = prefetch(rig->device, &args);
		if (!result && kind->event) {
			EXPECT_TRUE(signalled(event, 20000));
			EXPECT_EQ(8, read(event, &times, 8));
		}
		set_allocation_faults("probability", "0");
		only_in_module(false);

		EXPECT_TRUE(!result || result == -ENOMEM);
		EXPECT_TRUE(settles(rig));
		failed += result != 0;
		partly += !result && count_resident(&rig->file) < MOST_PAGES;
		EXPECT_TRUE(reads_right(&self->state));
	}
	TH_LOG("of 40 requests %d failed, %d did not bring in all", failed, partly);
	EXPECT_LT(0, partly);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		EXPECT_FALSE(fault_in_prefetch(_metadata, &self->state, &kinds[i], 0));
	close(event);
}

/* The disk of the file fails every read of the module's. */
TEST_F(fault_injection, read_errors)
{
	static const struct kind kinds[] = { { COLINK_WAIT, false }, { 0, true } };
	const struct rig *rig = &self->state.rig;
	struct stat status;
	char path[128];
	FILE *disk;
	size_t i;

	if (!faults_in_module() || access(FAULTS "/fail_make_request", F_OK))
		SKIP(return, "reads cannot be made to fail");
	need(!fstat(rig->file.fd, &status), "fstat");
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/make-it-fail", major(status.st_dev),
		 minor(status.st_dev));
	disk = fopen(path, "w");
	need(disk && fprintf(disk, "1\n") > 0 && !fflush(disk), path);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct colink_prefetch args = prefetch_args(rig->region, self->state.extents,
							    self->state.n_extents);
		int event = kinds[i].event ? eventfd(0, EFD_CLOEXEC) : -1;

		evict(&rig->file);
		args.flags = kinds[i].flags;
		args.eventfd = event;
		only_in_module(true);
		set_fault("fail_make_request", "probability", "100");
		EXPECT_EQ(0, prefetch(rig->device, &args));
		if (event >= 0)
			EXPECT_TRUE(signalled(event, 20000));
		set_fault("fail_make_request", "probability", "0");
		only_in_module(false);
		EXPECT_TRUE(settles(rig));
		EXPECT_EQ(0, count_resident(&rig->file));
		/* Who reads, tries again. */
		EXPECT_TRUE(reads_right(&self->state));
		EXPECT_FALSE(fault_in_prefetch(_metadata, &self->state, &kinds[i], 0));
		if (event >= 0)
			close(event);
	}
	rewind(disk);
	need(fprintf(disk, "0\n") > 0 && !fclose(disk), path);
}

static int dying_cgroups(void)
{
	FILE *stat = fopen(CGROUPS "/cgroup.stat", "r");
	char name[64];
	int n = 0;

	need(stat, CGROUPS "/cgroup.stat");
	do
		need(fscanf(stat, "%63s %d", name, &n) == 2, "nr_dying_descendants");
	while (strcmp(name, "nr_dying_descendants"));
	fclose(stat);
	return n;
}

/* Requests hold the groups of who asked. When all are gone, a group can go as well. */
TEST_F(fault_injection, groups_are_let_go)
{
	static const struct kind kinds[] = { { COLINK_WAIT, false }, { COLINK_SPECULATIVE, true } };
	int before, tries, status, procs;
	unsigned int nth, i;
	pid_t child;

	if (access(CGROUPS "/cgroup.stat", F_OK))
		SKIP(return, "no cgroups");
	before = dying_cgroups();
	need(!mkdir(CGROUP, 0755), CGROUP);
	child = fork();
	if (!child) {
		procs = open(CGROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC);
		need(procs >= 0 && write(procs, "0", 1) == 1, CGROUP);
		self->state.fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
		for (i = 0; i < ARRAY_SIZE(kinds); i++)
			for (nth = 1; nth <= 30; nth++)
				fault_in_prefetch(_metadata, &self->state, &kinds[i], nth);
		_exit(0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	evict(&self->state.rig.file);
	EXPECT_EQ(0, errno_of(rmdir(CGROUP)));
	for (tries = 0; tries < 2000 && dying_cgroups() > before; tries++)
		usleep(10000);
	EXPECT_GE(before, dying_cgroups());
}

FIXTURE(fault_in_prefetch) {
	struct state state;
};

FIXTURE_VARIANT(fault_in_prefetch) {
	struct kind kind;
	__u32 n_extents, pages;
	bool folios; /* of several pages: XFS has them */
};

/* Many extents, for more than one block of the plan, where reading them is not hit. */
FIXTURE_VARIANT_ADD(fault_in_prefetch, waiting) {
	.kind = { COLINK_WAIT, false }, .n_extents = 4, .pages = 8,
};

FIXTURE_VARIANT_ADD(fault_in_prefetch, waiting_speculative) {
	.kind = { COLINK_WAIT | COLINK_SPECULATIVE, true }, .n_extents = 4, .pages = 8,
};

FIXTURE_VARIANT_ADD(fault_in_prefetch, later) {
	.kind = { 0, false }, .n_extents = MOST_PAGES, .pages = 1,
};

FIXTURE_VARIANT_ADD(fault_in_prefetch, later_with_event) {
	.kind = { 0, true }, .n_extents = MOST_PAGES, .pages = 1,
};

FIXTURE_VARIANT_ADD(fault_in_prefetch, later_speculative) {
	.kind = { COLINK_SPECULATIVE, true }, .n_extents = MOST_PAGES, .pages = 1,
};

/* Where there is none of 16 pages, there may be one of eight. */
FIXTURE_VARIANT_ADD(fault_in_prefetch, folios) {
	.kind = { COLINK_WAIT, false }, .n_extents = 3, .pages = 84, .folios = true,
};

FIXTURE_VARIANT_ADD(fault_in_prefetch, folios_speculative) {
	.kind = { COLINK_WAIT | COLINK_SPECULATIVE, true }, .n_extents = 3, .pages = 84,
	.folios = true,
};

FIXTURE_SETUP(fault_in_prefetch)
{
	char directory[128];

	snprintf(directory, sizeof(directory), "%s", disk());
	if (variant->folios && !mounted_path("xfs", directory, sizeof(directory)))
		SKIP(exit(SKIPPED), "%s is not mounted", directory);
	if (!state_open(&self->state, directory))
		SKIP(exit(SKIPPED), "this kernel has no fault injection");
	ask_for(&self->state, variant->n_extents, variant->pages);
}

FIXTURE_TEARDOWN(fault_in_prefetch)
{
	state_close(&self->state);
}

TEST_F_TIMEOUT(fault_in_prefetch, each, 900)
{
	unsigned int nth = 1;

	while (fault_in_prefetch(_metadata, &self->state, &variant->kind, nth))
		nth++;
	TH_LOG("%u faults", nth - 1);
	EXPECT_LT(20, nth);
}

TEST_HARNESS_MAIN
