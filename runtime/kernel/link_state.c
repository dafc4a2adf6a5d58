// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "kernel/link_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/json.h"

#define MAX_BYTES (2 * PATH_MAX + 1024)

/* A process that was told to end and does not is stuck in the kernel, or stopped. */
#define PATIENCE_MS 10000

int link_state_make_directory(const char *directory, struct error *err)
{
	struct stat status;

	if (mkdir(directory, 0700) && errno != EEXIST)
		return error_set(err, -errno, "cannot create the folder %s: %s (another one: "
				 "--state)", directory, strerror(errno));
	/* Not through somebody's link. */
	if (lstat(directory, &status))
		return error_set(err, -errno, "%s: %s", directory, strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return error_set(err, -ENOTDIR, "%s: is not a folder", directory);
	if (status.st_uid != geteuid() || status.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(err, -EPERM, "%s: others may write there; it has to be yours "
				 "alone", directory);
	return 0;
}

void link_state_name(const struct stat *file, char name[LINK_STATE_NAME_SIZE])
{
	snprintf(name, LINK_STATE_NAME_SIZE, "%u:%u-%" PRIu64, major(file->st_dev),
		 minor(file->st_dev), (uint64_t)file->st_ino);
}

static int open_state(const char *directory, const char *name, int flags)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* Is the open file still the one of that name? Its owner removes it while it is locked. */
static bool has_name(const char *directory, const char *name, int fd)
{
	char path[PATH_MAX];
	struct stat named, opened;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path))
		return false;
	return !lstat(path, &named) && !fstat(fd, &opened) && named.st_ino == opened.st_ino &&
	       named.st_dev == opened.st_dev;
}

static int try_lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &whole) ? -errno : 0;
}

static bool is_locked(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return !fcntl(fd, F_OFD_GETLK, &whole) && whole.l_type != F_UNLCK;
}

int link_state_claim(const char *directory, const char *name, int *result, struct error *err)
{
	for (;;) {
		int fd = open_state(directory, name, O_RDWR | O_CREAT), ret;

		if (fd < 0)
			return error_set(err, -errno, "%s/%s: %s", directory, name,
					 strerror(errno));
		ret = try_lock(fd);
		if (ret == 0 && has_name(directory, name, fd) && !ftruncate(fd, 0)) {
			*result = fd;
			return 0;
		}
		close(fd);
		if (ret == -EAGAIN || ret == -EACCES)
			return error_set(err, -EALREADY, "%s/%s: is locked", directory, name);
		if (ret < 0)
			return error_set(err, ret, "%s/%s: cannot be locked: %s", directory, name,
					 strerror(-ret));
	}
}

int link_state_write(int fd, const struct link_state *state, struct error *err)
{
	json_t *object;
	char *text;
	ssize_t written;
	size_t length;

	object = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			   "model", state->model,
			   "pid", (json_int_t)state->pid,
			   "region", (json_int_t)state->region,
			   "layers", (json_int_t)state->n_layers,
			   "hot_runs", (json_int_t)state->n_hot_runs,
			   "gap_bytes", (json_int_t)state->gap_bytes,
			   "policy_map", (json_int_t)state->maps.policy,
			   "counters_map", (json_int_t)state->maps.counters);
	text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (!text)
		return error_no_memory(err, "the state of a loaded model");
	length = strlen(text);
	written = pwrite(fd, text, length, 0);
	free(text);
	if (written != (ssize_t)length)
		return error_set(err, -EIO, "%s: cannot write its state: %s", state->model,
				 written < 0 ? strerror(errno) : "the disk is full");
	return 0;
}

/* Only who has it locked may, so that nobody else's of the same name is meant. */
static void remove_state(const char *directory, const char *name, int fd)
{
	char path[PATH_MAX];

	if (!has_name(directory, name, fd))
		return;
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	unlink(path);
}

void link_state_release(const char *directory, const char *name, int fd)
{
	remove_state(directory, name, fd);
	close(fd);
}

static int parse(const char *text, size_t length, struct link_state *state)
{
	json_int_t pid, region, layers, hot_runs, gap_bytes, policy, counters;
	const char *model;
	json_t *object;
	int ret;

	ret = json_parse_object(text, length, "", &object, NULL);
	if (ret < 0)
		return ret;
	if (json_unpack(object, "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "model", &model,
			"pid", &pid, "region", &region, "layers", &layers, "hot_runs", &hot_runs,
			"gap_bytes", &gap_bytes, "policy_map", &policy,
			"counters_map", &counters) ||
	    strlen(model) >= sizeof(state->model) || pid < 2 || pid > INT32_MAX) {
		ret = -EINVAL;
	} else {
		strcpy(state->model, model);
		state->pid = (pid_t)pid;
		state->region = (uint32_t)region;
		state->n_layers = (uint32_t)layers;
		state->n_hot_runs = (uint32_t)hot_runs;
		state->gap_bytes = (uint64_t)gap_bytes;
		state->maps.policy = (uint32_t)policy;
		state->maps.counters = (uint32_t)counters;
	}
	json_decref(object);
	return ret;
}

/* Only what is locked while it is read counts. */
static int read_open(const char *directory, const char *name, int fd, struct link_state *state,
		     struct error *err)
{
	char text[MAX_BYTES];
	ssize_t length;

	if (!is_locked(fd)) {
		if (try_lock(fd) == 0)
			remove_state(directory, name, fd);
		return error_set(err, -ENOENT, "%s/%s: nobody has it locked", directory, name);
	}
	length = pread(fd, text, sizeof(text), 0);
	if (length < 0)
		return error_set(err, -errno, "%s/%s: %s", directory, name, strerror(errno));
	if (parse(text, (size_t)length, state) < 0)
		return error_set(err, -EAGAIN, "%s/%s: says nothing yet; another process is "
				 "loading the model", directory, name);
	snprintf(state->name, sizeof(state->name), "%s", name);
	return 0;
}

int link_state_read(const char *directory, const char *name, struct link_state *state,
		    struct error *err)
{
	int fd = open_state(directory, name, O_RDWR), ret;

	if (fd < 0)
		return error_set(err, -errno, "%s/%s: %s", directory, name, strerror(errno));
	ret = read_open(directory, name, fd, state, err);
	close(fd);
	return ret;
}

static bool is_state_name(const char *name)
{
	unsigned int device_major, device_minor;
	unsigned long long inode;
	char end;

	return strlen(name) < LINK_STATE_NAME_SIZE &&
	       sscanf(name, "%u:%u-%llu%c", &device_major, &device_minor, &inode, &end) == 3;
}

/* From the root on; of a file that is gone, as it would have been. */
static void absolute_path(const char *path, char absolute[PATH_MAX])
{
	char folder[PATH_MAX];
	const char *last = strrchr(path, '/');
	int length = last ? (int)(last - path) + 1 : 1;

	if (realpath(path, absolute))
		return;
	snprintf(folder, sizeof(folder), "%.*s", length, last ? path : ".");
	if (!realpath(folder, absolute) ||
	    strlen(absolute) + strlen(path) + 2 > PATH_MAX) {
		absolute[0] = '\0';
		return;
	}
	if (strcmp(absolute, "/"))
		strcat(absolute, "/");
	strcat(absolute, last ? last + 1 : path);
}

/* What a path means: a file by device and inode, and what was called so. */
struct wanted {
	char name[LINK_STATE_NAME_SIZE];
	char model[PATH_MAX];
};

static struct wanted *wanted_of(const char *path)
{
	struct wanted *wanted = calloc(1, sizeof(*wanted));
	struct stat status;

	if (!wanted)
		return NULL;
	if (!stat(path, &status))
		link_state_name(&status, wanted->name);
	absolute_path(path, wanted->model);
	return wanted;
}

static int add(struct link_state **list, size_t *count, const struct link_state *state)
{
	struct link_state *larger = realloc(*list, (*count + 1) * sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	larger[(*count)++] = *state;
	*list = larger;
	return 0;
}

/* Those that are stale or not complete are none. */
static int collect(DIR *open_directory, const char *directory, const struct wanted *wanted,
		   struct link_state **list, size_t *count)
{
	struct link_state *state = malloc(sizeof(*state));
	const struct dirent *entry;
	int ret = state ? 0 : -ENOMEM;

	while (ret == 0 && (entry = readdir(open_directory))) {
		if (!is_state_name(entry->d_name) ||
		    link_state_read(directory, entry->d_name, state, NULL) < 0)
			continue;
		if (!wanted || !strcmp(state->name, wanted->name) ||
		    !strcmp(state->model, wanted->model))
			ret = add(list, count, state);
	}
	free(state);
	return ret;
}

static int compare_states(const void *a, const void *b)
{
	const struct link_state *one = a, *other = b;

	return strcmp(one->name, other->name);
}

int link_state_list(const char *directory, const char *path, struct link_state **list,
		    size_t *count, struct error *err)
{
	struct wanted *wanted = path ? wanted_of(path) : NULL;
	DIR *open_directory;
	int ret;

	*list = NULL;
	*count = 0;
	if (path && !wanted)
		return error_no_memory(err, "the list of loaded models");
	open_directory = opendir(directory);
	if (!open_directory) {
		ret = -errno;
		free(wanted);
		if (ret == -ENOENT)
			return 0;
		return error_set(err, ret, "%s: cannot see what is loaded: %s", directory,
				 ret == -EACCES ? "only root may" : strerror(-ret));
	}
	ret = collect(open_directory, directory, wanted, list, count);
	closedir(open_directory);
	free(wanted);
	if (ret < 0) {
		free(*list);
		*list = NULL;
		return error_no_memory(err, "the list of loaded models");
	}
	if (*count)
		qsort(*list, *count, sizeof(**list), compare_states);
	return 0;
}

/* The process is the one that the file named while it was locked: pids are used again. */
static int signal_and_wait(int process, const struct link_state *state, struct error *err)
{
	struct pollfd ended = { .fd = process, .events = POLLIN };
	int ret;

	if (pidfd_send_signal(process, SIGTERM, NULL, 0) && errno != ESRCH)
		return error_set(err, -errno, "%s: cannot end process %d: %s", state->model,
				 state->pid, strerror(errno));
	do {
		ret = poll(&ended, 1, PATIENCE_MS);
	} while (ret < 0 && errno == EINTR);
	if (ret <= 0)
		return error_set(err, -ETIMEDOUT, "%s: process %d was told to end and has not",
				 state->model, state->pid);
	return 0;
}

int link_state_stop(const char *directory, const struct link_state *state, struct error *err)
{
	struct link_state now;
	int process = pidfd_open(state->pid, 0), ret;

	/* Whoever is gone by now has ended, which is what is wanted. */
	if (process < 0 && errno != ESRCH)
		return error_set(err, -errno, "%s: process %d: %s", state->model, state->pid,
				 strerror(errno));
	if (process < 0)
		return 0;
	ret = link_state_read(directory, state->name, &now, NULL);
	if (ret == 0 && now.pid == state->pid)
		ret = signal_and_wait(process, state, err);
	else
		ret = 0;
	close(process);
	return ret;
}
