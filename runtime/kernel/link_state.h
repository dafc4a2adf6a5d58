/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which models are loaded: a folder with a file for each, named after device and inode.
 *
 * The process that keeps a model loaded holds a lock on its file as long as it lives, and
 * wrote into it who it is and where its BPF maps are. So a file that nobody has locked is
 * stale, whatever it says, and a process is signalled only when its file is locked. The
 * lock belongs to the open file (F_OFD_SETLK): a child that was forked has it too, and
 * it can be asked for without taking it, so that who only looks is in nobody's way.
 *
 * All that can change while a model is loaded, policy and counters, is in the BPF maps.
 */
#ifndef COLINK_KERNEL_LINK_STATE_H
#define COLINK_KERNEL_LINK_STATE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/error.h"
#include "kernel/link_loader.h"

/* The folder, unless --state or the environment say otherwise. */
#define LINK_STATE_DIRECTORY "/run/colink"

/* "8:1-1234": device and inode, as stat(2) shows them. */
#define LINK_STATE_NAME_SIZE 48

struct link_state {
	char name[LINK_STATE_NAME_SIZE];
	char model[PATH_MAX]; /* as it was called when it was loaded, from the root on */
	pid_t pid;
	uint32_t region;
	uint32_t n_layers;
	uint32_t n_hot_runs;
	uint64_t gap_bytes;
	struct link_map_ids maps;
};

/* Create the folder if need be; others than its owner must not be able to write there. */
int link_state_make_directory(const char *directory, struct error *err);

void link_state_name(const struct stat *file, char name[LINK_STATE_NAME_SIZE]);

/*
 * Create the file, empty, and lock it. *fd is not inherited by programs that are run.
 * -EALREADY, with a message, when somebody has it locked.
 */
int link_state_claim(const char *directory, const char *name, int *fd, struct error *err);

/* Say all that is in `state`. */
int link_state_write(int fd, const struct link_state *state, struct error *err);

/* Remove the file, if it is there and still the one that is open, and close it. */
void link_state_release(const char *directory, const char *name, int fd);

/*
 * What a file says. -ENOENT: nobody has it locked (what is left of it is removed);
 * -EAGAIN: whoever has it locked has not said yet.
 */
int link_state_read(const char *directory, const char *name, struct link_state *state,
		    struct error *err);

/*
 * All that are loaded, by name, or with `path` those that this path means or meant
 * when they were loaded. The caller frees *list. A folder that is not there has none.
 */
int link_state_list(const char *directory, const char *path, struct link_state **list,
		    size_t *count, struct error *err);

/* End the process and wait until it has ended. */
int link_state_stop(const char *directory, const struct link_state *state, struct error *err);

#endif
