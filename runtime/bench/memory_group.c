// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench/memory_group.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIELDS 64 /* of a line of mountinfo, at most */
/* A process that has ended may count a moment longer. */
#define REMOVE_TRIES 200
#define REMOVE_PAUSE_US 10000

/* Where the memory controller is. */
struct controller {
	bool v2;
	char *root; /* the group at which it is mounted */
	char *mount;
};

/* Is `name` one of the words between commas? */
static bool has_word(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = list; (at = strstr(at, name)); at += length)
		if ((at == list || at[-1] == ',') && (at[length] == ',' || !at[length]))
			return true;
	return false;
}

/*
 * A line of proc_pid_mountinfo(5): ID, parent, device, root, mount point, options, optional
 * fields, "-", type, source, options of the file system. True for a mount of cgroup v1 with
 * memory, or of v2 while nothing better was found.
 */
static bool take_mount(char *line, struct controller *controller)
{
	char *fields[FIELDS], *rest = line;
	size_t n = 0, dash = 6;

	while (n < FIELDS && (fields[n] = strsep(&rest, " \n")))
		n++;
	while (dash < n && strcmp(fields[dash], "-"))
		dash++;
	if (dash + 3 >= n)
		return false;
	if (!strcmp(fields[dash + 1], "cgroup") && has_word(fields[dash + 3], "memory"))
		controller->v2 = false;
	else if (!strcmp(fields[dash + 1], "cgroup2") && !controller->mount)
		controller->v2 = true;
	else
		return false;
	free(controller->root);
	free(controller->mount);
	controller->root = strdup(fields[3]);
	controller->mount = strdup(fields[4]);
	return true;
}

static int find_controller(const char *mounts, struct controller *controller, struct error *err)
{
	FILE *file = fopen(mounts, "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	*controller = (struct controller){ 0 };
	if (!file)
		return error_set(err, -errno, "%s: %s", mounts, strerror(errno));
	while (getline(&line, &size, file) >= 0)
		found = take_mount(line, controller) || found;
	free(line);
	fclose(file);
	if (!found)
		return error_set(err, -ENODEV,
				 "no memory cgroups are mounted, which limit the page cache");
	if (!controller->root || !controller->mount)
		return error_no_memory(err, "the mount of cgroups");
	return 0;
}

/* The group of a line "ID:controllers:group", if it is the controller's. */
static char *group_of_line(char *line, bool v2)
{
	char *controllers = strchr(line, ':'), *group;

	group = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!group)
		return NULL;
	*controllers++ = '\0';
	*group++ = '\0';
	group[strcspn(group, "\n")] = '\0';
	if (v2)
		return !strcmp(line, "0") ? strdup(group) : NULL;
	return has_word(controllers, "memory") ? strdup(group) : NULL;
}

static int find_own_group(const char *own, bool v2, char **group, struct error *err)
{
	FILE *file = fopen(own, "re");
	char *line = NULL;
	size_t size = 0;

	*group = NULL;
	if (!file)
		return error_set(err, -errno, "%s: %s", own, strerror(errno));
	while (!*group && getline(&line, &size, file) >= 0)
		*group = group_of_line(line, v2);
	free(line);
	fclose(file);
	return *group ? 0 : error_set(err, -ENODEV, "%s: no memory cgroup in it", own);
}

/* What is below the group that is mounted; all of it when that is not above. */
static const char *below(const char *group, const char *root)
{
	size_t length = strlen(root);

	if (strcmp(root, "/") && !strncmp(group, root, length) &&
	    (group[length] == '/' || !group[length]))
		return group + length;
	return strcmp(group, "/") ? group : "";
}

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
static int set_limit(const struct controller *controller, const char *parent,
		     const struct memory_group *group, uint64_t limit_bytes, struct error *err)
{
	const char *name = controller->v2 ? "memory.max" : "memory.limit_in_bytes";
	struct error first;
	char value[24];
	int ret;

	snprintf(value, sizeof(value), "%" PRIu64, limit_bytes);
	ret = write_value(group->path, name, value, controller->v2 ? &first : err);
	if (ret == -ENOENT && controller->v2) {
		ret = write_value(parent, "cgroup.subtree_control", "+memory", err);
		if (ret == 0)
			ret = write_value(group->path, name, value, err);
	} else if (ret < 0 && controller->v2) {
		*err = first;
	}
	return ret;
}

static int create_in(const struct controller *controller, const char *parent, uint64_t limit_bytes,
		     struct memory_group *group, struct error *err)
{
	int ret = make_folder(parent, group, err);

	if (ret < 0)
		goto free_path;
	ret = set_limit(controller, parent, group, limit_bytes, err);
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

int memory_group_create(const struct memory_group_sources *sources, uint64_t limit_bytes,
			struct memory_group *group, struct error *err)
{
	struct controller controller;
	char *own = NULL, *parent = NULL;
	int ret;

	*group = (struct memory_group){ .remover = -1, .hold = -1 };
	ret = find_controller(sources->mounts, &controller, err);
	if (ret == 0)
		ret = find_own_group(sources->own, controller.v2, &own, err);
	if (ret == 0 && asprintf(&parent, "%s%s", controller.mount,
				 below(own, controller.root)) < 0) {
		parent = NULL;
		ret = error_no_memory(err, "a path");
	}
	if (ret == 0)
		ret = create_in(&controller, parent, limit_bytes, group, err);
	free(parent);
	free(own);
	free(controller.root);
	free(controller.mount);
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
