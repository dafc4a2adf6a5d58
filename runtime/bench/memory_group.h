/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A memory cgroup for a process of ours: what it maps may then be in the page cache up to a
 * limit, as if memory were short. The group is a child of the group that this process is in,
 * of cgroup v1 or v2, whichever has the memory controller, so limits from outside still hold.
 *
 * A small process of its own removes the group when all who know it are gone, however they
 * ended. One thread at a time may use a group.
 */
#ifndef COLINK_BENCH_MEMORY_GROUP_H
#define COLINK_BENCH_MEMORY_GROUP_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/memory_controller.h"

struct memory_group {
	char *path; /* the group's folder */
	pid_t remover;
	int hold; /* open in whoever knows the group: the remover waits until nobody has it */
};

/*
 * Make a group with a limit. Where that cannot be done, for want of cgroups or of the right,
 * a negative errno and a message that says why; nothing is left then. The caller calls
 * memory_group_remove().
 */
int memory_group_create(const struct memory_controller_sources *sources, uint64_t limit_bytes,
			struct memory_group *group, struct error *err);

/* Move the calling process, a child of the one that made the group, into it. */
int memory_group_enter(const struct memory_group *group, struct error *err);

/* No process may be in it any more. */
void memory_group_remove(struct memory_group *group);

#endif
