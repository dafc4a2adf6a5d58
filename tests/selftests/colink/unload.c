// SPDX-License-Identifier: GPL-2.0-only
/*
 * colink unload: whatever ends the process that holds a model, nothing is left of it; and
 * nobody else is taken for one.
 */
#include "load_test.h"

TEST_F(load, unload_ends_all)
{
	char other[256];

	snprintf(other, sizeof(other), "%s/other.gguf", disk());
	copy_model(self->file.path, other);
	run(&self->output, "load", self->file.path);
	ASSERT_EQ(0, self->output.status);
	run(&self->output, "load", other);
	ASSERT_EQ(0, self->output.status);
	EXPECT_EQ(2, regions());
	EXPECT_EQ(2, entries(STATE));
	run(&self->output, "unload", "--json");
	EXPECT_EQ(0, self->output.status);
	EXPECT_NE(NULL, strstr(self->output.out, "model.gguf"));
	EXPECT_NE(NULL, strstr(self->output.out, "other.gguf"));
	EXPECT_TRUE(nothing_left());
	unlink(other);
	/* There is nothing now. */
	run(&self->output, "unload", "--json");
	EXPECT_EQ(0, self->output.status);
	EXPECT_STREQ("{\"unloaded\":[]}\n", self->output.out);
	run(&self->output, "unload", self->file.path);
	EXPECT_TRUE(refused(&self->output, "is not loaded"));
}

/* One of two: the other stays. */
TEST_F(load, unload_ends_one)
{
	char other[256];

	snprintf(other, sizeof(other), "%s/other.gguf", disk());
	copy_model(self->file.path, other);
	run(&self->output, "load", self->file.path);
	run(&self->output, "load", other);
	ASSERT_EQ(0, self->output.status);
	/* By any of its names. */
	need(!chdir(disk()), "chdir");
	run(&self->output, "unload", "./other.gguf");
	EXPECT_EQ(0, self->output.status);
	unlink(other);
	EXPECT_EQ(1, regions());
	run(&self->output, "load", "model.gguf", "--status");
	EXPECT_EQ(0, self->output.status);
}

/* While unload waits for a holder that is stopped, somebody reads: that counts, too. */
TEST_F(load, counts_up_to_the_end)
{
	pid_t holder, unload;
	int out[2];
	char byte;

	run(&self->output, "load", self->file.path, "--json");
	ASSERT_EQ(0, self->output.status);
	holder = number(&self->output, "pid");
	kill(holder, SIGSTOP);
	need(!pipe2(out, O_CLOEXEC), "pipe");
	unload = start(ARGS("unload", "--json"), NULL, out[1], STDERR_FILENO);
	close(out[1]);
	sleep(1);
	need(pread(self->file.fd, &byte, 1, self->bundles[0]) == 1, "pread");
	kill(holder, SIGCONT);
	read_all(out[0], self->output.out, sizeof(self->output.out));
	EXPECT_EQ(0, ended(unload));
	EXPECT_EQ(1, number(&self->output, "reads"));
	EXPECT_EQ(1, number(&self->output, "entered"));
	EXPECT_TRUE(nothing_left());
}

/* A process that is killed takes its time to be gone. */
static bool no_region_soon(void)
{
	int tries;

	for (tries = 0; tries < 1000 && regions(); tries++)
		usleep(20000);
	return !regions();
}

TEST_F(load, holder_killed)
{
	run(&self->output, "load", self->file.path, "--json");
	ASSERT_EQ(0, self->output.status);
	ASSERT_EQ(0, kill(number(&self->output, "pid"), SIGKILL));
	EXPECT_TRUE(no_region_soon());
	/* Its file is left, and nobody is deceived by it. */
	EXPECT_EQ(1, entries(STATE));
	run(&self->output, "load", self->file.path, "--status");
	EXPECT_TRUE(refused(&self->output, "is not loaded"));
	EXPECT_TRUE(nothing_left());

	run(&self->output, "load", self->file.path, "--json");
	ASSERT_EQ(0, self->output.status);
	ASSERT_EQ(0, kill(number(&self->output, "pid"), SIGKILL));
	EXPECT_TRUE(no_region_soon());
	run(&self->output, "load", self->file.path, "--json");
	EXPECT_EQ(0, self->output.status);
	EXPECT_NE(NULL, strstr(self->output.out, "\"already_loaded\":false"));
	EXPECT_EQ(1, regions());
}

static void state_path(FIXTURE_DATA(load) *self, char *path, size_t size)
{
	struct stat status;

	need(!fstat(self->file.fd, &status), "fstat");
	snprintf(path, size, STATE "/%u:%u-%lu", major(status.st_dev), minor(status.st_dev),
		 status.st_ino);
}

/* A file that nobody has locked names a process that is none of ours. */
TEST_F(load, stale_file)
{
	char path[300];
	pid_t innocent;
	FILE *file;

	innocent = fork();
	if (!innocent) {
		pause();
		_exit(0);
	}
	mkdir(STATE, 0700);
	state_path(self, path, sizeof(path));
	file = fopen(path, "w");
	need(file, path);
	fprintf(file, "{\"model\":\"%s\",\"pid\":%d,\"region\":1,\"layers\":6,\"hot_runs\":1,"
		"\"gap_bytes\":0,\"policy_map\":1,\"counters_map\":2}", self->file.path, innocent);
	fclose(file);
	run(&self->output, "unload", self->file.path);
	EXPECT_TRUE(refused(&self->output, "is not loaded"));
	EXPECT_EQ(0, entries(STATE));
	EXPECT_EQ(0, waitpid(innocent, NULL, WNOHANG));

	file = fopen(path, "w");
	need(file, path);
	fprintf(file, "rubbish");
	fclose(file);
	run(&self->output, "load", self->file.path);
	EXPECT_EQ(0, self->output.status);
	kill(innocent, SIGKILL);
	ended(innocent);
}

/* The region keeps the file; its name still tells which is meant. */
TEST_F(load, file_deleted)
{
	run(&self->output, "load", self->file.path);
	ASSERT_EQ(0, self->output.status);
	need(!unlink(self->file.path), "unlink");
	run(&self->output, "load", self->file.path, "--status");
	EXPECT_EQ(0, self->output.status);
	need(!chdir(disk()), "chdir");
	run(&self->output, "unload", "model.gguf");
	EXPECT_EQ(0, self->output.status);
	EXPECT_TRUE(nothing_left());
}

/* Wait until a foreground command has loaded: then its state file says who it is. */
static bool is_loaded(FIXTURE_DATA(load) *self)
{
	char path[300];
	struct stat status;
	int tries;

	state_path(self, path, sizeof(path));
	for (tries = 0; tries < 1000; tries++) {
		if (!stat(path, &status) && status.st_size)
			return regions() == 1;
		usleep(10000);
	}
	return false;
}

#define WENT_ON 999

/* How it ended within so many hundredths of a second of the signal. */
static int foreground(FIXTURE_DATA(load) *self, void (*prepare)(void), int signal, int patience)
{
	int out[2], status = 0, tries;
	pid_t pid;

	need(!pipe2(out, O_CLOEXEC), "pipe");
	pid = start(ARGS("load", self->file.path, "--foreground"), prepare, out[1], out[1]);
	close(out[1]);
	need(is_loaded(self), "load --foreground");
	kill(pid, signal);
	for (tries = 0; tries < patience && !waitpid(pid, &status, WNOHANG); tries++)
		usleep(10000);
	if (tries == patience) {
		kill(pid, SIGTERM);
		ended(pid);
	}
	read_all(out[0], self->output.out, sizeof(self->output.out));
	if (tries == patience)
		return WENT_ON;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void ignore_interrupt(void)
{
	signal(SIGINT, SIG_IGN);
}

TEST_F(load, foreground)
{
	EXPECT_EQ(0, foreground(self, NULL, SIGINT, 1000));
	EXPECT_NE(NULL, strstr(self->output.out, "0 reads"));
	EXPECT_TRUE(nothing_left());
	EXPECT_EQ(0, foreground(self, NULL, SIGTERM, 1000));
	EXPECT_TRUE(nothing_left());
	/* As in a shell's background. */
	EXPECT_EQ(WENT_ON, foreground(self, ignore_interrupt, SIGINT, 50));
	EXPECT_TRUE(nothing_left());
}

/* A signal that comes while it is loading, too, leaves nothing. */
TEST_F(load, interrupted_while_loading)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), tries;
	pid_t pid = start(ARGS("load", self->file.path, "--foreground"), NULL, null, null);

	for (tries = 0; tries < 10000 && !regions(); tries++)
		usleep(1000);
	EXPECT_EQ(1, regions());
	kill(pid, SIGINT);
	EXPECT_EQ(0, ended(pid));
	EXPECT_TRUE(nothing_left());
}

TEST_F(load, unload_ends_foreground)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	pid_t pid = start(ARGS("load", self->file.path, "--foreground"), NULL, null, null);

	ASSERT_TRUE(is_loaded(self));
	run(&self->output, "unload", self->file.path);
	EXPECT_EQ(0, self->output.status);
	EXPECT_EQ(0, ended(pid));
	EXPECT_TRUE(nothing_left());
}

TEST_HARNESS_MAIN
