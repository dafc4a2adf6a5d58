/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * io_stat's part that knows single pages: which of them the module brought in and nobody
 * used yet, which of these nobody wanted, which are mapped, which a touch waits for.
 *
 * Files may be huge and are touched in places, so that states are kept in a hash table,
 * in blocks that are made when the first page in them becomes worth knowing. A page of
 * which nothing is known has no bit, and often no block.
 *
 * All of a page's bits that change together are in one word and change by one atomic
 * operation, so that a page is counted once whatever happens elsewhere. Whether it was wanted
 * is a question of its own, with a word of its own.
 */
#ifndef PAGE_STATES_BPF_H
#define PAGE_STATES_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "io_stat.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, IO_LOST_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

/* Grows with what is touched: 16 million pages, 64 GiB of 4 KiB, if all of them are. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, __u64);
	__type(value, struct io_pages);
} pages SEC(".maps");

static const struct io_pages no_pages;

/* Per CPU, and atomic even so: another task may run in the middle of the program. */
static void add(__u64 *counter, __u64 by)
{
	__sync_fetch_and_add(counter, by);
}

static void count_lost(enum io_lost what)
{
	__u32 index = what;
	__u64 *own = bpf_map_lookup_elem(&lost, &index);

	if (own)
		add(own, 1);
}

/* Pages first to last of a file, and what was found of them. */
struct range {
	__u64 first;
	__u64 last;
	__u32 file;
	__u32 missed;
	__u32 wanted;
	__u32 used;
	__u32 mapped;
	__u32 evicted;
};

static __u32 bits_set(__u32 bits)
{
	bits -= bits >> 1 & 0x55555555;
	bits = (bits & 0x33333333) + (bits >> 2 & 0x33333333);
	return ((bits + (bits >> 4) & 0x0f0f0f0f) * 0x01010101) >> 24;
}

/* The pages of a chunk that the range has, as bits. */
static __u32 part_of(const struct range *range, __u64 chunk)
{
	__u32 low = 0, high = IO_CHUNK_PAGES - 1;

	if (range->first >> IO_CHUNK_SHIFT == chunk)
		low = range->first & (IO_CHUNK_PAGES - 1);
	if (range->last >> IO_CHUNK_SHIFT == chunk)
		high = range->last & (IO_CHUNK_PAGES - 1);
	return ~0U << low & ~0U >> (IO_CHUNK_PAGES - 1 - high);
}

static struct io_pages *find_pages(__u32 file, __u64 chunk)
{
	__u64 key = io_pages_key(file, chunk);

	return bpf_map_lookup_elem(&pages, &key);
}

static struct io_pages *make_pages(__u32 file, __u64 chunk)
{
	struct io_pages *found = find_pages(file, chunk);
	__u64 key = io_pages_key(file, chunk);

	if (found)
		return found;
	bpf_map_update_elem(&pages, &key, &no_pages, BPF_NOEXIST);
	found = bpf_map_lookup_elem(&pages, &key);
	if (!found)
		count_lost(IO_LOST_PAGES);
	return found;
}

static __u32 chunks_of(const struct range *range)
{
	return (range->last >> IO_CHUNK_SHIFT) - (range->first >> IO_CHUNK_SHIFT) + 1;
}

static __u64 chunk_of(const struct range *range, __u32 step)
{
	return (range->first >> IO_CHUNK_SHIFT) + step;
}

static long prefetch_chunk(__u32 step, struct range *range)
{
	__u64 chunk = chunk_of(range, step);
	__u64 part = part_of(range, chunk);
	struct io_pages *found = make_pages(range->file, chunk);

	if (!found)
		return 0;
	__sync_fetch_and_and(&found->state[chunk % IO_CHUNKS], ~(part << 32));
	__sync_fetch_and_or(&found->state[chunk % IO_CHUNKS], part);
	__sync_fetch_and_or(&found->unwanted[chunk % IO_CHUNKS], part);
	return 0;
}

/* Of these pages of a chunk, how many nobody had wanted. */
static __u32 take_unwanted(struct io_pages *found, __u64 chunk, __u32 part)
{
	__u32 *unwanted = &found->unwanted[chunk % IO_CHUNKS];

	return *unwanted & part ? bits_set(__sync_fetch_and_and(unwanted, ~part) & part) : 0;
}

static long want_chunk(__u32 step, struct range *range)
{
	__u64 chunk = chunk_of(range, step);
	struct io_pages *found = find_pages(range->file, chunk);

	if (found)
		range->wanted += take_unwanted(found, chunk, part_of(range, chunk));
	return 0;
}

static long miss_chunk(__u32 step, struct range *range)
{
	__u64 chunk = chunk_of(range, step);
	struct io_pages *found = make_pages(range->file, chunk);

	if (found)
		__sync_fetch_and_or(&found->missed[chunk % IO_CHUNKS], part_of(range, chunk));
	return 0;
}

/* Nothing is known of these pages any more: what was? */
static long forget_chunk(__u32 step, struct range *range)
{
	__u64 chunk = chunk_of(range, step);
	__u64 part = part_of(range, chunk), *state, old;
	struct io_pages *found = find_pages(range->file, chunk);
	__u32 *missed, prefetched, mapped;

	if (!found)
		return 0;
	missed = &found->missed[chunk % IO_CHUNKS];
	if (*missed & part)
		range->missed += bits_set(__sync_fetch_and_and(missed, ~(__u32)part) & part);
	state = &found->state[chunk % IO_CHUNKS];
	if (!(*state & part))
		return 0;
	old = __sync_fetch_and_and(state, ~(part | part << 32));
	prefetched = old & part;
	range->wanted += take_unwanted(found, chunk, prefetched);
	mapped = old >> 32 & prefetched;
	range->used += bits_set(prefetched);
	range->mapped += bits_set(mapped);
	range->evicted += bits_set(prefetched & ~mapped);
	return 0;
}

static long map_chunk(__u32 step, struct range *range)
{
	__u64 chunk = chunk_of(range, step);
	struct io_pages *found = find_pages(range->file, chunk);
	__u64 *state, old, part;

	if (!found)
		return 0;
	state = &found->state[chunk % IO_CHUNKS];
	part = *state & part_of(range, chunk);
	if (!part || (*state >> 32 & part) == part)
		return 0;
	old = __sync_fetch_and_or(state, part << 32);
	range->mapped += bits_set(old & part & ~(old >> 32));
	return 0;
}

#endif /* PAGE_STATES_BPF_H */
