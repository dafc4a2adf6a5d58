/* SPDX-License-Identifier: GPL-2.0-only */
/* How much memory this process may still take, what it brings into the page cache included. */
#ifndef COLINK_BASE_MEMORY_ROOM_H
#define COLINK_BASE_MEMORY_ROOM_H

#include <stdint.h>

#include "base/memory_controller.h"

struct memory_room_sources {
	const char *machine; /* as /proc/meminfo */
	struct memory_controller_sources groups;
};

#define MEMORY_ROOM_SOURCES \
	((struct memory_room_sources){ "/proc/meminfo", MEMORY_CONTROLLER_SOURCES })

/*
 * Bytes that are free or that page cache holds, which makes room: of the machine (MemAvailable),
 * and of each memory cgroup that this process is in, up to its limit; the least of these. It is
 * what can be had at this moment, if others take no more. UINT64_MAX where the kernel does not
 * say.
 */
uint64_t memory_room(const struct memory_room_sources *sources);

#endif
