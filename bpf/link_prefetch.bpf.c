// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy: who touches a slot will soon want those that it is linked to.
 *
 * A buffered read or a page fault of a file in the map is mapped to the layer and slot
 * it touches last. From there links are followed while each is stronger than the threshold:
 * neurons that are linked fire in clusters, so that the last of a run is wanted hardly less
 * often than the second, far more often than if its links were independent. The module is
 * asked for that run, and for what is missing of the touched bundle itself; it drops what is
 * resident already, and never makes us wait.
 *
 * A touch of another layer than the last of that file enters the layer: the module is
 * asked for the hottest runs of the one that is computed next, too. One program at a
 * time computes with a file, so that this is kept per file; were there two, they would
 * ask more often than needed.
 *
 * A fault would read the 128 KiB around its page, most of which is not wanted soon: unless the
 * policy lets it, it reads what the module would have been asked for instead, by itself, so
 * that one I/O brings it and no worker has to wake up. What is longer than the kernel reads
 * around at a time is left to the module. While there is room, long reads do no harm, and
 * bring sooner what will be wanted in the end: there is room until a fault misses what had
 * been here and was pushed out, while memory is short.
 *
 * Seen are reads that go through filemap_read() (read, pread, io_uring; not splice) and
 * faults that reach filemap_fault(): pages that are resident are often mapped without
 * one. Reads of other files cost a look at their class, as a rule.
 */
#include <stdbool.h>

#include "kernel_types.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "link_prefetch.h"

/* Halvings of the largest number of layers, 4096, down to one. */
#define SEARCH_STEPS 12

/* How long there is no room after a page was missed that had been here. */
#define SHORT_OF_ROOM_NS 10000000000ULL

#define ENOENT 2
#define EAGAIN 11

char LICENSE[] SEC("license") = "GPL";

extern int bpf_colink_prefetch(__u32 region, __u32 layer, __u64 first, __u64 count) __ksym;
extern int bpf_colink_fault_reads(__u32 region, struct vm_fault *fault) __ksym;
extern int bpf_colink_fault_returns(__u32 region, struct vm_fault *fault) __ksym;
extern int bpf_colink_read_only(__u32 region, struct readahead_control *ractl,
				struct file_ra_state *ra, __u64 first, __u32 pages) __ksym;

/* Pages of the kernel that runs: 4096 bytes unless the loader says otherwise. */
const volatile __u32 page_size = 4096;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LINK_MAX_FILES);
	__type(key, struct link_file);
	__type(value, struct link_region);
} files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct link_layer);
} layers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct link_hint);
} hints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct link_run);
} hot_runs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct link_policy);
} policy SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LINK_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* What a task's fault shall read, from its entry to where it reads; pages: 0 for nothing. */
struct window {
	__u32 region;
	__u32 pages;
	__u64 first;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct window);
} windows SEC(".maps");

/* Set for each class that a file of the map is in; more than that does no harm. */
__u8 file_classes[LINK_FILE_CLASSES];

/* Per CPU, and atomic even so: another task may run in the middle of the program. */
static void count(enum link_counter counter, __u64 by)
{
	__u32 index = counter;
	__u64 *own = bpf_map_lookup_elem(&counters, &index);

	if (own)
		__sync_fetch_and_add(own, by);
}

static struct link_region *region_of(const struct inode *inode)
{
	struct link_file file = { .inode = inode->i_ino, .device = inode->i_sb->s_dev };

	if (!file_classes[link_file_class(&file)])
		return NULL;
	return bpf_map_lookup_elem(&files, &file);
}

/* The layer wanted is one of [low, high). */
struct search {
	__u64 position;
	__u32 low;
	__u32 high;
};

static long halve(__u32 step, struct search *search)
{
	__u32 middle = search->low + (search->high - search->low) / 2;
	struct link_layer *layer;

	if (middle == search->low)
		return 1;
	layer = bpf_map_lookup_elem(&layers, &middle);
	if (!layer)
		return 1;
	if (layer->offset <= search->position)
		search->low = middle;
	else
		search->high = middle;
	return 0;
}

/* The layer that a position of the file is in; NULL when in none. */
static struct link_layer *layer_at(const struct link_region *region, __u64 position)
{
	struct search search = {
		.position = position,
		.low = region->first_layer,
		.high = region->first_layer + region->n_layers,
	};
	struct link_layer *layer;

	bpf_loop(SEARCH_STEPS, halve, &search, 0);
	layer = bpf_map_lookup_elem(&layers, &search.low);
	if (!layer || !region->n_layers || !layer->stride || position < layer->offset ||
	    (position - layer->offset) / layer->stride >= layer->slots)
		return NULL;
	return layer;
}

/* Links followed so far, from the slot whose hint is the first. */
struct walk {
	__u32 first_hint;
	__u32 followed;
	__u32 threshold;
};

static long follow(__u32 step, struct walk *walk)
{
	__u32 index = walk->first_hint + step;
	struct link_hint *hint = bpf_map_lookup_elem(&hints, &index);

	if (!hint || hint->strength <= walk->threshold)
		return 1;
	walk->followed++;
	return 0;
}

/* How many slots behind this one are likely enough to be wanted with it. */
static __u32 run_behind(const struct link_layer *layer, __u32 slot)
{
	struct walk walk = { .first_hint = layer->first_hint + slot };
	__u32 only = 0, most = layer->slots - 1 - slot;
	struct link_policy *now = bpf_map_lookup_elem(&policy, &only);

	if (!now)
		return 0;
	walk.threshold = now->threshold;
	if (most > now->max_run)
		most = now->max_run;
	bpf_loop(most, follow, &walk, 0);
	return walk.followed;
}

static void ask(const struct link_region *region, const struct link_layer *layer, __u32 first,
		__u32 slots)
{
	int error = bpf_colink_prefetch(region->region, layer->number, first, slots);

	if (!error) {
		count(LINK_ASKED, 1);
		count(LINK_SLOTS, slots);
	} else if (error == -EAGAIN) {
		count(LINK_DROPPED, 1);
	} else if (error == -ENOENT) {
		count(LINK_GONE, 1);
	} else {
		count(LINK_REFUSED, 1);
	}
}

/* The hot runs of a layer that are being asked for. */
struct hot {
	__u32 region;
	__u32 layer;
	__u32 first;
};

static long ask_hot(__u32 step, struct hot *hot)
{
	__u32 index = hot->first + step;
	struct link_run *run = bpf_map_lookup_elem(&hot_runs, &index);

	if (!run)
		return 1;
	if (bpf_colink_prefetch(hot->region, hot->layer, run->first, run->slots))
		count(LINK_HOT_DENIED, 1);
	else
		count(LINK_HOT_ASKED, 1);
	return 0;
}

/* Ask for the hottest runs of the next layer, once, while this one is computed. */
static void enter(struct link_region *region, const struct link_layer *layer)
{
	__u32 only = 0, next_index = layer->next, most;
	struct link_policy *now = bpf_map_lookup_elem(&policy, &only);
	struct link_layer *next = bpf_map_lookup_elem(&layers, &next_index);
	struct hot hot = { .region = region->region };

	if (region->entered == layer->number + 1 || !now || !next)
		return;
	region->entered = layer->number + 1;
	count(LINK_ENTERED, 1);
	hot.layer = next->number;
	hot.first = next->first_hot;
	most = next->n_hot;
	if (most > now->max_hot)
		most = now->max_hot;
	bpf_loop(most, ask_hot, &hot, 0);
}

/* A slot that is touched, and how many behind it are likely enough to be wanted with it. */
struct touch {
	struct link_layer *layer;
	__u32 slot;
	__u32 behind;
};

/* Byte `position` is wanted; false when it is in no layer. */
static bool find(const struct link_region *region, __u64 position, struct touch *touch)
{
	touch->layer = layer_at(region, position);
	if (!touch->layer)
		return false;
	touch->slot = (position - touch->layer->offset) / touch->layer->stride;
	touch->behind = run_behind(touch->layer, touch->slot);
	return true;
}

static __u64 end_of_slot(const struct link_layer *layer, __u32 slot)
{
	return layer->offset + (__u64)(slot + 1) * layer->stride;
}

/* Ask for the run; all up to `end` comes in without us. */
static void ask_for_run(const struct link_region *region, const struct touch *touch, __u64 end)
{
	/* The rest of the slot itself as well? */
	bool rest = end < end_of_slot(touch->layer, touch->slot);

	if (rest || touch->behind)
		ask(region, touch->layer, touch->slot + !rest, touch->behind + rest);
	else
		count(LINK_WEAK, 1);
}

/* Have the fault, which reads `most` pages, read the run; false where that is not all of it. */
static bool fault_reads(const struct link_region *region, struct vm_fault *fault,
			const struct touch *touch, __u32 most)
{
	__u64 end = end_of_slot(touch->layer, touch->slot + touch->behind);
	__u64 pages = (end + page_size - 1) / page_size - fault->pgoff;
	struct window *window;

	window = bpf_task_storage_get(&windows, bpf_get_current_task_btf(), NULL,
				      BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!window)
		return false;
	window->region = region->region;
	window->first = fault->pgoff;
	window->pages = pages < most ? pages : most;
	return pages <= most;
}

SEC("fentry/filemap_read")
int BPF_PROG(on_read, struct kiocb *iocb, struct iov_iter *iter)
{
	struct inode *inode = iocb->ki_filp->f_inode;
	__u64 begin = iocb->ki_pos, end = begin + iter->count;
	__u64 size = inode->i_size;
	struct link_region *region = region_of(inode);
	struct touch touch;

	if (!region)
		return 0;
	if (end > size)
		end = size;
	if (end <= begin)
		return 0;
	count(LINK_READS, 1);
	if (find(region, end - 1, &touch)) {
		ask_for_run(region, &touch, end);
		enter(region, touch.layer);
	} else {
		count(LINK_OUTSIDE, 1);
	}
	return 0;
}

/* Does what is read before it is wanted stay until then? */
static bool has_room(struct link_region *region, struct vm_fault *fault)
{
	__u64 returned;

	if (bpf_colink_fault_returns(region->region, fault) > 0)
		region->returned = bpf_ktime_get_ns();
	/* Another processor may write it, too. */
	returned = *(volatile __u64 *)&region->returned;
	return !returned || bpf_ktime_get_ns() > returned + SHORT_OF_ROOM_NS;
}

/* What a fault before had for its read, which then was not needed. */
static void forget_window(void)
{
	struct window *window =
		bpf_task_storage_get(&windows, bpf_get_current_task_btf(), NULL, 0);

	if (window)
		window->pages = 0;
}

/* A fault of a slot: bring what is likely to be wanted with it. */
static void bring(struct link_region *region, struct vm_fault *fault,
		  const struct link_policy *now, const struct touch *touch)
{
	bool around = now->read_around == LINK_AROUND_ALWAYS ||
		      (now->read_around == LINK_AROUND_ROOM && has_room(region, fault));
	int most = bpf_colink_fault_reads(region->region, fault);

	if (most > 0 && around)
		count(LINK_AROUND, 1);
	else if (most > 0 && fault_reads(region, fault, touch, most))
		count(LINK_IN_FAULT, 1);
	else
		ask_for_run(region, touch, ((__u64)fault->pgoff + 1) * page_size);
}

SEC("fentry/filemap_fault")
int BPF_PROG(on_fault, struct vm_fault *fault)
{
	struct link_region *region = region_of(fault->vma->vm_file->f_inode);
	__u64 page = (__u64)fault->pgoff * page_size;
	__u32 only = 0;
	struct link_policy *now = bpf_map_lookup_elem(&policy, &only);
	struct touch touch;

	/* A fault that had to wait is tried again: it was counted, and has been asked for. */
	if (!region || !now || fault->flags & FAULT_FLAG_TRIED)
		return 0;
	count(LINK_FAULTS, 1);
	forget_window();
	if (!find(region, page + fault->real_address % page_size, &touch)) {
		count(LINK_OUTSIDE, 1);
		return 0;
	}
	bring(region, fault, now, &touch);
	enter(region, touch.layer);
	return 0;
}

/* Where a fault reads around its page, among others. */
SEC("fentry/page_cache_ra_order")
int BPF_PROG(on_read_around, struct readahead_control *ractl, struct file_ra_state *ra)
{
	struct window *window =
		bpf_task_storage_get(&windows, bpf_get_current_task_btf(), NULL, 0);

	if (window && window->pages) {
		bpf_colink_read_only(window->region, ractl, ra, window->first, window->pages);
		window->pages = 0;
	}
	return 0;
}
