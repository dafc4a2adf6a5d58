// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who pays for pages and I/O that a worker brings in, and whether there is memory to
 * spare.
 *
 * A worker belongs to no cgroup: what it puts into the page cache would be charged to
 * the root, and its reads would escape the limits of the program's group. So a request
 * remembers the groups of the task that asked, and the worker acts for them, as
 * drivers/block/loop.c does.
 *
 * Speculative requests must not cause reclaim. page_cache_ra_unbounded() allocates
 * with the mapping's mask, which may reclaim and cannot be changed per call, and read.c
 * does the same for a page; so memory is looked at before each chunk. The allocator's fast
 * path succeeds, without waking kswapd, while a zone stays over its low watermark, and a
 * charge succeeds while every group up to the root stays under its limits. Another task
 * can take the memory between the look and the allocation: the slack is for that.
 */
#include <linux/memcontrol.h>
#include <linux/mmzone.h>
#include <linux/sched/mm.h>

#include "compat.h"
#include "private.h"

/* The groups of the current task. Does not sleep. */
void colink_charge_get(struct colink_charge *charge)
{
	charge->memcg = get_mem_cgroup_from_mm(current->mm);
	charge->blkcg = compat_blkcg_get();
}

void colink_charge_put(struct colink_charge *charge)
{
	mem_cgroup_put(charge->memcg);
	compat_blkcg_put(charge->blkcg);
}

/* Until colink_charge_end(), given what this returns, the current task acts for them. */
struct mem_cgroup *colink_charge_begin(const struct colink_charge *charge)
{
	kthread_associate_blkcg(charge->blkcg);
	return set_active_memcg(charge->memcg);
}

void colink_charge_end(struct mem_cgroup *previous)
{
	set_active_memcg(previous);
	kthread_associate_blkcg(NULL);
}

/* Is no zone that pages of this mask come from far enough over its low watermark? */
static bool zones_short(gfp_t gfp, unsigned long pages)
{
	enum zone_type highest = gfp_zone(gfp);
	int node, i;

	for_each_online_node(node) {
		for (i = 0; i <= highest; i++) {
			struct zone *zone = &NODE_DATA(node)->node_zones[i];
			unsigned long keep;

			if (!managed_zone(zone))
				continue;
			/* Nodes of the page cache and bios cannot be had from CMA. */
			keep = low_wmark_pages(zone) + zone->lowmem_reserve[highest] +
			       zone->nr_reserved_highatomic +
			       zone_page_state(zone, NR_FREE_CMA_PAGES);
			if (zone_page_state(zone, NR_FREE_PAGES) > keep + pages)
				return false;
		}
	}
	return true;
}

/* Would these pages take the group, or one above it, over a limit? */
static bool group_short(struct mem_cgroup *memcg, unsigned long pages)
{
#ifdef CONFIG_MEMCG
	for (; memcg; memcg = parent_mem_cgroup(memcg)) {
		unsigned long limit = min(READ_ONCE(memcg->memory.max),
					  READ_ONCE(memcg->memory.high));

		if (page_counter_read(&memcg->memory) + pages > limit)
			return true;
	}
#endif
	return false;
}

bool colink_memory_short(const struct colink_charge *charge, gfp_t gfp, unsigned long pages)
{
	/* Charges are taken in batches (MEMCG_CHARGE_BATCH, 64); other tasks allocate too. */
	unsigned long slack = 2 * 64;

	/* Pages may come from zones that what describes them may not. */
	return zones_short(gfp, pages + slack) || zones_short(GFP_KERNEL, pages + slack) ||
	       group_short(charge->memcg, pages + slack);
}
