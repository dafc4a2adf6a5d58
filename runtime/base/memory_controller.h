/* SPDX-License-Identifier: GPL-2.0-only */
/* Where memory cgroups are: of v1 or v2, whichever has the memory controller. */
#ifndef COLINK_BASE_MEMORY_CONTROLLER_H
#define COLINK_BASE_MEMORY_CONTROLLER_H

#include <stdbool.h>

#include "base/error.h"

/* Where the kernel says what there is; a test may say otherwise. */
struct memory_controller_sources {
	const char *mounts; /* as /proc/self/mountinfo */
	const char *own; /* as /proc/self/cgroup */
};

#define MEMORY_CONTROLLER_SOURCES \
	((struct memory_controller_sources){ "/proc/self/mountinfo", "/proc/self/cgroup" })

struct memory_controller {
	bool v2;
	char *mount; /* folder of the topmost group that can be seen */
	char *own; /* of this process's group: the same or one below */
};

/*
 * -ENODEV where no memory cgroups are mounted. The caller calls memory_controller_free(), also
 * after a failure.
 */
int memory_controller_find(const struct memory_controller_sources *sources,
			   struct memory_controller *controller, struct error *err);
void memory_controller_free(struct memory_controller *controller);

#endif
