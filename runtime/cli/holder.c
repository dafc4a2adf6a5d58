// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "cli/holder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the holder says to who started it, once. */
struct answer {
	int ret;
	struct error err;
	struct link_state state;
};

/* A signal that is ignored, as nohup does, would come nevertheless while it is blocked. */
static sigset_t ending_signals(void)
{
	static const int optional[] = { SIGINT, SIGHUP };
	struct sigaction action;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		if (!sigaction(optional[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&set, optional[i]);
	return set;
}

void holder_block_signals(void)
{
	sigset_t set = ending_signals();

	sigprocmask(SIG_BLOCK, &set, NULL);
}

void holder_wait(void)
{
	sigset_t set = ending_signals();
	int received;

	while (sigwait(&set, &received))
		;
}

/*
 * What came from the shell, a lock or a pipe, must not stay open for as long as the model
 * is loaded. All that is our own would be closed in a program we ran; the shell's would not.
 */
static void close_inherited(void)
{
	DIR *descriptors = opendir("/proc/self/fd");
	const struct dirent *entry;

	while (descriptors && (entry = readdir(descriptors))) {
		int fd = atoi(entry->d_name), flags = fcntl(fd, F_GETFD);

		if (fd > STDERR_FILENO && flags >= 0 && !(flags & FD_CLOEXEC))
			close(fd);
	}
	if (descriptors)
		closedir(descriptors);
}

/* Opens no terminal from here on, so being the leader of a session gets it none. */
static int leave_session(struct error *err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return error_set(err, -errno, "cannot open /dev/null: %s", strerror(errno));
	setsid();
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	close(null);
	close_inherited();
	return chdir("/") ? error_set(err, -errno, "cannot go to /: %s", strerror(errno)) : 0;
}

/* Whole, since nobody else writes into the pipe; false when nobody listens any more. */
static bool say(int to, const struct answer *answer)
{
	return write(to, answer, sizeof(*answer)) == (ssize_t)sizeof(*answer);
}

/* Who has gone before hearing that all is well did not want it: then it ends. */
static void be_holder(struct link_holding *holding, int answer_to)
{
	struct answer answer = { 0 };
	bool heard;

	answer.ret = leave_session(&answer.err);
	if (answer.ret == 0)
		answer.ret = link_holding_publish(holding, getpid(), &answer.err);
	answer.state = *link_holding_state(holding);
	heard = say(answer_to, &answer);
	close(answer_to);
	if (heard && answer.ret == 0)
		holder_wait();
	link_holding_end(holding);
	_exit(0);
}

static int hear(int from, struct answer *answer, struct error *err)
{
	size_t have = 0;

	while (have < sizeof(*answer)) {
		ssize_t n = read(from, (char *)answer + have, sizeof(*answer) - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(err, -ECHILD, "the process in the background has ended "
					 "before it was ready");
		have += (size_t)n;
	}
	if (answer->ret < 0)
		*err = answer->err;
	return answer->ret;
}

int holder_start(struct link_holding *holding, struct link_state *state, struct error *err)
{
	struct answer answer;
	int ends[2], ret;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC)) {
		ret = error_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
		link_holding_end(holding);
		return ret;
	}
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		be_holder(holding, ends[1]);
	}
	close(ends[1]);
	if (pid < 0) {
		ret = error_set(err, -errno, "cannot start a process in the background: %s",
				strerror(errno));
		link_holding_end(holding);
	} else {
		link_holding_leave(holding);
		ret = hear(ends[0], &answer, err);
	}
	close(ends[0]);
	if (ret == 0)
		*state = answer.state;
	return ret;
}
