/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * link_prefetch (bpf/), loaded for one file: its maps filled with the file's hints.
 *
 * The program is attached as long as any process has its descriptors open: a child that
 * was forked keeps it when its parent calls link_loader_close(). Its maps of policy and
 * counters can be found by their ids, by root, and read and changed while it runs; a
 * process that has the map open can still read the counters when the program has ended.
 */
#ifndef COLINK_KERNEL_LINK_LOADER_H
#define COLINK_KERNEL_LINK_LOADER_H

#include <stdint.h>

#include "base/error.h"
#include "kernel/link_hints.h"
#include "link_prefetch.h"

struct link_loader;

/*
 * Have the kernel take the program, with maps for these hints, and fill them. `path` is
 * for messages. Nothing is attached yet. The module must be loaded: the program calls it.
 */
int link_loader_open(const struct link_hints *hints, const struct link_policy *policy,
		     const char *path, struct link_loader **loader, struct error *err);

/* Add the file, whose layers are those of the region, and attach. */
int link_loader_attach(struct link_loader *loader, const struct link_file *file, uint32_t region,
		       struct error *err);

/* The program sees nothing any more, until it is attached again. Not attached: does nothing. */
void link_loader_detach(struct link_loader *loader);

/* Detach, unless another process has it too. NULL is allowed. */
void link_loader_close(struct link_loader *loader);

/* The two maps that others may look for; ids are not used again while they exist. */
struct link_map_ids {
	uint32_t policy;
	uint32_t counters;
};

int link_loader_map_ids(const struct link_loader *loader, struct link_map_ids *ids,
			struct error *err);

/* Such a map by its id: *map is a descriptor that the caller close()s. */
int link_policy_open(uint32_t id, const char *path, int *map, struct error *err);
int link_counters_open(uint32_t id, const char *path, int *map, struct error *err);

int link_policy_get(int map, struct link_policy *policy, struct error *err);
int link_policy_set(int map, const struct link_policy *policy, struct error *err);

/* Summed over all CPUs. */
int link_counters_get(int map, uint64_t counts[LINK_COUNTERS], struct error *err);

#endif
