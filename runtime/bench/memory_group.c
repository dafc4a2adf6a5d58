// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench/memory_group.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that has ended may count a moment longer. */
#define REMOVE_TRIES 200
#define REMOVE_PAUSE_US 10000

static int write_value(const char *folder, const char *name, const char *value, struct error *err)
{
	char *path;
	int fd, ret = 0;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return error_no_memory(err, "a path");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		ret = error_set(err, -errno, "%s: cannot write %s: %s", path, value,
				strerror(errno));
	if (fd >= 0)
		close(fd);
	free(path);
	return ret;
}

/* In the remover: wait until the other end is nowhere open, then remove. */
static void remover(int wait_fd, const char *path)
{
	char nothing;

	while (read(wait_fd, &nothing, 1) < 0 && errno == EINTR)
		;
	for (int i = 0; i < REMOVE_TRIES && rmdir(path) && errno == EBUSY; i++)
		usleep(REMOVE_PAUSE_US);
	_exit(0);
}

static int start_remover(struct memory_group *group, struct error *err)
{
	sigset_t all, before;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return error_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
	/* A signal to all that run in a terminal ends the others, not the remover. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	group->remover = fork();
	if (group->remover == 0) {
		close(ends[1]);
		remover(ends[0], group->path);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[0]);
	group->hold = ends[1];
	if (group->remover < 0) {
		close(ends[1]);
		return error_set(err, -errno, "cannot start a process: %s", strerror(errno));
	}
	return 0;
}

static int make_folder(const char *parent, struct memory_group *group, struct error *err)
{
	if (asprintf(&group->path, "%s/colink-bench-%d", parent, (int)getpid()) < 0) {
		group->path = NULL;
		return error_no_memory(err, "a path");
	}
	if (mkdir(group->path, 0755))
		return error_set(err, -errno, "%s: cannot make a memory cgroup: %s", group->path,
				 strerror(errno));
	return 0;
}

/* In v2, children have the memory controller when their parent says so. */
static int set_limit(const struct memory_controller *controller,
		     const struct memory_group *group, uint64_t limit_bytes, struct error *err)
{
	const char *name = controller->v2 ? "memory.max" : "memory.limit_in_bytes";
	struct error first;
	char value[24];
	int ret;

	snprintf(value, sizeof(value), "%" PRIu64, limit_bytes);
	ret = write_value(group->path, name, value, controller->v2 ? &first : err);
	if (ret == -ENOENT && controller->v2) {
		ret = write_value(controller->own, "cgroup.subtree_control", "+memory", err);
		if (ret == 0)
			ret = write_value(group->path, name, value, err);
	} else if (ret < 0 && controller->v2) {
		*err = first;
	}
	return ret;
}

static int create_in(const struct memory_controller *controller, uint64_t limit_bytes,
		     struct memory_group *group, struct error *err)
{
	int ret = make_folder(controller->own, group, err);

	if (ret < 0)
		goto free_path;
	ret = set_limit(controller, group, limit_bytes, err);
	if (ret == 0)
		ret = start_remover(group, err);
	if (ret == 0)
		return 0;
	rmdir(group->path);
free_path:
	free(group->path);
	group->path = NULL;
	return ret;
}

int memory_group_create(const struct memory_controller_sources *sources, uint64_t limit_bytes,
			struct memory_group *group, struct error *err)
{
	struct memory_controller controller;
	int ret;

	*group = (struct memory_group){ .remover = -1, .hold = -1 };
	ret = memory_controller_find(sources, &controller, err);
	if (ret == 0)
		ret = create_in(&controller, limit_bytes, group, err);
	memory_controller_free(&controller);
	return ret;
}

int memory_group_enter(const struct memory_group *group, struct error *err)
{
	return write_value(group->path, "cgroup.procs", "0", err);
}

void memory_group_remove(struct memory_group *group)
{
	if (!group->path)
		return;
	close(group->hold);
	while (waitpid(group->remover, NULL, 0) < 0 && errno == EINTR)
		;
	free(group->path);
	group->path = NULL;
}
