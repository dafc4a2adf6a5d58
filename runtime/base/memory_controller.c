// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "base/memory_controller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS 64 /* of a line of mountinfo, at most */

/* Where the controller is mounted. */
struct mount {
	bool v2;
	char *root; /* the group at which it is mounted */
	char *folder;
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
static bool take_mount(char *line, struct mount *mount)
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
		mount->v2 = false;
	else if (!strcmp(fields[dash + 1], "cgroup2") && !mount->folder)
		mount->v2 = true;
	else
		return false;
	free(mount->root);
	free(mount->folder);
	mount->root = strdup(fields[3]);
	mount->folder = strdup(fields[4]);
	return true;
}

static int find_mount(const char *mounts, struct mount *mount, struct error *err)
{
	FILE *file = fopen(mounts, "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	*mount = (struct mount){ 0 };
	if (!file)
		return error_set(err, -errno, "%s: %s", mounts, strerror(errno));
	while (getline(&line, &size, file) >= 0)
		found = take_mount(line, mount) || found;
	free(line);
	fclose(file);
	if (!found)
		return error_set(err, -ENODEV,
				 "no memory cgroups are mounted, which limit the page cache");
	if (!mount->root || !mount->folder)
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

int memory_controller_find(const struct memory_controller_sources *sources,
			   struct memory_controller *controller, struct error *err)
{
	struct mount mount;
	char *group = NULL;
	int ret;

	*controller = (struct memory_controller){ 0 };
	ret = find_mount(sources->mounts, &mount, err);
	controller->v2 = mount.v2;
	controller->mount = mount.folder;
	if (ret == 0)
		ret = find_own_group(sources->own, mount.v2, &group, err);
	if (ret == 0 && asprintf(&controller->own, "%s%s", mount.folder,
				 below(group, mount.root)) < 0) {
		controller->own = NULL;
		ret = error_no_memory(err, "a path");
	}
	free(group);
	free(mount.root);
	return ret;
}

void memory_controller_free(struct memory_controller *controller)
{
	free(controller->mount);
	free(controller->own);
}
