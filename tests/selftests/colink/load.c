// SPDX-License-Identifier: GPL-2.0-only
/*
 * colink load: what is read of a loaded model brings in what is linked to it and the
 * hottest runs of the next layer, as the policy says, which can be changed while it runs;
 * and what cannot be loaded is refused in one line.
 */
#include <sys/prctl.h>

#include <linux/capability.h>

#include "load_test.h"

/* Low enough for runs of several pages: --threshold 0.05841. */
#define THRESHOLD 3828

/* Links followed from a slot, in the arithmetic of the BPF program. */
static int followed(const float *link, int slot, __u32 threshold)
{
	int n = 0;

	while (slot + n < SLOTS - 1 && n < 64 && (__u32)(link[slot + n] * ONE + 0.5f) > threshold)
		n++;
	return n;
}

/* The first slot of a page of which the longest run is followed. */
static int best_slot(const float *link, __u32 threshold)
{
	int best = 0, slot;

	for (slot = 0; slot < SLOTS; slot += SLOTS_PER_PAGE)
		if (followed(link, slot, threshold) > followed(link, best, threshold))
			best = slot;
	return best;
}

static void read_slot(FIXTURE_DATA(load) *self, int layer, int slot)
{
	char bundle[STRIDE];

	need(pread(self->file.fd, bundle, STRIDE, self->bundles[layer] + slot * STRIDE) == STRIDE,
	     "pread");
}

/*
 * Are exactly the pages of these slots resident soon? What was asked for too much would
 * come with the same request, so that a moment more shows it.
 */
static bool slots_resident(FIXTURE_DATA(load) *self, int layer, int first, int slots)
{
	size_t begin = (self->bundles[layer] + first * STRIDE) / PAGE, page, have = 0, n = 0;
	size_t end = (self->bundles[layer] + (first + slots) * STRIDE + PAGE - 1) / PAGE;
	int tries;

	for (tries = 0; tries < 300 && have < end - begin; tries++) {
		usleep(10000);
		n = resident(&self->file, self->vector);
		for (have = 0, page = begin; page < end; page++)
			have += self->vector[page];
	}
	usleep(50000);
	n = resident(&self->file, self->vector);
	if (have != end - begin || n != have)
		ksft_print_msg("of %zu pages %zu are resident, in all %zu\n", end - begin, have, n);
	return have == end - begin && n == have;
}

TEST_F(load, linked_run_becomes_resident)
{
	int slot, n;

	run(&self->output, "load", self->file.path, "--json", "--max-hot", "0");
	ASSERT_EQ(0, self->output.status);
	EXPECT_EQ(LAYERS, number(&self->output, "layers"));
	EXPECT_LT(0, number(&self->output, "region"));
	EXPECT_LT(0, number(&self->output, "hot_runs"));
	EXPECT_EQ(16505, number(&self->output, "gap_bytes"));
	EXPECT_EQ(64, number(&self->output, "max_run"));
	EXPECT_EQ(ONE / 4 * 3, (int)(number(&self->output, "threshold") * ONE + 0.5));
	EXPECT_EQ(0, kill(number(&self->output, "pid"), 0));
	EXPECT_EQ(1, entries(STATE));
	EXPECT_EQ(1, regions());

	run(&self->output, "unload", self->file.path);
	run(&self->output, "load", self->file.path, "--threshold", "0.05841", "--max-hot", "0");
	ASSERT_EQ(0, self->output.status);
	slot = best_slot(self->link[3], THRESHOLD);
	n = followed(self->link[3], slot, THRESHOLD);
	ASSERT_LT(SLOTS_PER_PAGE, n);
	evict(&self->file);
	read_slot(self, 3, slot);
	EXPECT_TRUE(slots_resident(self, 3, slot, 1 + n));

	run(&self->output, "unload", self->file.path, "--json");
	EXPECT_EQ(0, self->output.status);
	EXPECT_EQ(1, number(&self->output, "reads"));
	EXPECT_EQ(1, number(&self->output, "asked"));
	EXPECT_EQ(n, number(&self->output, "slots"));
	EXPECT_EQ(1, number(&self->output, "entered"));
	EXPECT_EQ(0, number(&self->output, "hot_asked"));
	EXPECT_TRUE(nothing_left());

	/* Now a read brings in what is read. */
	evict(&self->file);
	read_slot(self, 3, slot);
	EXPECT_TRUE(slots_resident(self, 3, slot, 1));
}

TEST_F(load, hot_runs_of_the_next_layer)
{
	size_t page, first = 0, last = 0, n;

	run(&self->output, "load", self->file.path, "--threshold", "1", "--max-hot", "1");
	ASSERT_EQ(0, self->output.status);
	evict(&self->file);
	read_slot(self, 4, 0);
	usleep(300000);
	n = resident(&self->file, self->vector);
	/* The only layer of this model with slots that are hot. */
	for (page = self->bundles[5] / PAGE; page < self->file.pages; page++) {
		if (self->vector[page] && !first)
			first = page;
		if (self->vector[page])
			last = page;
	}
	EXPECT_LT(0, first);
	EXPECT_EQ(n, last - first + 1 + 1);
	run(&self->output, "load", self->file.path, "--status", "--json");
	EXPECT_EQ(1, number(&self->output, "hot_asked"));
}

TEST_F(load, policy_changes_while_it_runs)
{
	int slot = best_slot(self->link[2], ONE / 10), n = followed(self->link[2], slot, ONE / 10);
	double pid;

	if (n > 30)
		n = 30;
	run(&self->output, "load", self->file.path, "--threshold", "1", "--max-hot", "0",
	    "--max-run", "30", "--json");
	ASSERT_EQ(0, self->output.status);
	pid = number(&self->output, "pid");
	evict(&self->file);
	read_slot(self, 2, slot);
	EXPECT_TRUE(slots_resident(self, 2, slot, 1));

	/* What is not given stays. */
	run(&self->output, "load", self->file.path, "--threshold", "0.1", "--read-around",
	    "never", "--json");
	ASSERT_EQ(0, self->output.status);
	EXPECT_EQ(pid, number(&self->output, "pid"));
	EXPECT_EQ(30, number(&self->output, "max_run"));
	EXPECT_EQ(0, number(&self->output, "max_hot"));
	EXPECT_NE(NULL, strstr(self->output.out, "\"read_around\":\"never\""));
	EXPECT_EQ(1, number(&self->output, "weak"));
	EXPECT_NE(NULL, strstr(self->output.out, "\"already_loaded\":true"));
	evict(&self->file);
	read_slot(self, 2, slot);
	EXPECT_TRUE(slots_resident(self, 2, slot, 1 + n));

	run(&self->output, "load", self->file.path, "--max-run", "2");
	ASSERT_EQ(0, self->output.status);
	evict(&self->file);
	read_slot(self, 2, slot);
	EXPECT_TRUE(slots_resident(self, 2, slot, 3));
	EXPECT_EQ(1, regions());
}

TEST_F(load, what_a_second_load_cannot_change)
{
	run(&self->output, "load", self->file.path, "--gap", "8192");
	ASSERT_EQ(0, self->output.status);
	run(&self->output, "load", self->file.path, "--gap", "4096");
	EXPECT_TRUE(refused(&self->output, "'colink unload' it first"));
	run(&self->output, "load", self->file.path, "--foreground");
	EXPECT_TRUE(refused(&self->output, "is loaded already"));
	run(&self->output, "load", self->file.path, "--gap", "8192");
	EXPECT_EQ(0, self->output.status);
	EXPECT_EQ(1, regions());
}

/* Of many at once one loads it, and the others find it loaded. */
TEST_F(load, loads_at_once)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), i;
	pid_t pids[6];

	for (i = 0; i < 6; i++)
		pids[i] = start(ARGS("load", self->file.path), NULL, null, STDERR_FILENO);
	for (i = 0; i < 6; i++)
		EXPECT_EQ(0, ended(pids[i]));
	EXPECT_EQ(1, regions());
	EXPECT_EQ(1, entries(STATE));
	run(&self->output, "unload");
	EXPECT_TRUE(nothing_left());
}

/* A descriptor of the shell's that it inherits does not stay open with it. */
TEST_F(load, descriptors_not_kept)
{
	int inherited[2];
	char byte;

	need(!pipe(inherited), "pipe");
	need(!fcntl(inherited[0], F_SETFD, FD_CLOEXEC), "fcntl");
	run(&self->output, "load", self->file.path);
	ASSERT_EQ(0, self->output.status);
	close(inherited[1]);
	EXPECT_EQ(0, read(inherited[0], &byte, 1));
}

static void become_nobody(void)
{
	need(!setuid(65534), "setuid");
}

static void give_up_bpf(void)
{
	need(!prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) && !prctl(PR_CAPBSET_DROP, CAP_BPF),
	     "PR_CAPBSET_DROP");
}

TEST_F(load, refused_in_one_line)
{
	chmod(self->file.path, 0644);
	run_as(&self->output, become_nobody, ARGS("load", self->file.path));
	EXPECT_TRUE(refused(&self->output, "only root may"));
	run_as(&self->output, give_up_bpf, ARGS("load", self->file.path));
	EXPECT_TRUE(refused(&self->output, "only root may load BPF programs"));
	run(&self->output, "load", PROGRAM);
	EXPECT_TRUE(refused(&self->output, "not a GGUF file"));
	run(&self->output, "load", self->file.path, "--state", "/nowhere/at/all");
	EXPECT_TRUE(refused(&self->output, "/nowhere/at/all"));
	need(!mkdir("/tmp/open-to-all", 0700) && !chmod("/tmp/open-to-all", 0777), "mkdir");
	run(&self->output, "load", self->file.path, "--state", "/tmp/open-to-all");
	EXPECT_TRUE(refused(&self->output, "others may write there"));
	rmdir("/tmp/open-to-all");
	EXPECT_TRUE(nothing_left());
}

/* The module went: nothing to load with. */
TEST_F(load, module_not_loaded)
{
	char module[128];

	need(!system("rmmod colink"), "rmmod");
	run(&self->output, "load", self->file.path);
	EXPECT_TRUE(refused(&self->output, "the module is not loaded"));
	snprintf(module, sizeof(module), "insmod %s", getenv("COLINK_MODULE"));
	need(!system(module), module);
}

/* Without the fixture, which needs BTF. */
TEST(module_without_btf)
{
	struct output output;
	char path[64];

	if (access(PROGRAM, X_OK) || !access("/sys/kernel/btf/colink", F_OK))
		SKIP(return, "the module has BTF, or there is no " PROGRAM);
	setenv("COLINK_STATE", STATE, 1);
	snprintf(path, sizeof(path), "%s/linked.gguf", disk());
	run(&output, "load", path);
	EXPECT_TRUE(refused(&output, "BTF"));
	EXPECT_EQ(0, entries(STATE));
}

TEST_HARNESS_MAIN
