// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module: it looks for what is resident and collapses by itself, page by page, and has
 * the whole of a call under one plug. What one call cannot take goes in several.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/kernel_device.h"
#include "library/prefetcher.h"

/* The module's default quota of what is in flight (max_mib) is 512 MiB. */
#define MAX_CALL_BYTES ((uint64_t)256 << 20)

static int module_open(struct colink_prefetcher *prefetcher, struct error *err)
{
	int ret = kernel_device_open(&prefetcher->device, err);

	if (ret < 0)
		return ret;
	ret = kernel_device_register(prefetcher->device, prefetcher->fd, prefetcher->name, NULL, 0,
				     0, &prefetcher->region, err);
	if (ret < 0)
		close(prefetcher->device);
	return ret;
}

static void module_close(struct colink_prefetcher *prefetcher)
{
	close(prefetcher->device);
}

static uint32_t wanted_by(unsigned int flags)
{
	return (flags & COLINK_PREFETCH_WAIT ? COLINK_WAIT : 0) |
	       (flags & COLINK_PREFETCH_SPECULATIVE ? COLINK_SPECULATIVE : 0);
}

static int call(struct colink_prefetcher *prefetcher, struct colink_extent *extents, uint32_t n,
		unsigned int flags, struct colink_prefetch_counts *counts)
{
	const struct colink_result *result;
	struct colink_prefetch args = {
		.region = prefetcher->region,
		.flags = wanted_by(flags),
		.n_extents = n,
		.extents = (uintptr_t)extents,
		.gap_bytes = prefetcher->gap_bytes,
		.eventfd = -1,
	};
	int ret = kernel_device_prefetch(prefetcher->device, prefetcher->name, &args,
					 &prefetcher->error);

	if (ret < 0)
		return ret;
	result = &args.result;
	counts->resident_bytes += result->pages_resident << prefetcher->page_shift;
	counts->asked_bytes += result->pages_issued << prefetcher->page_shift;
	counts->given_up_bytes += result->pages_given_up << prefetcher->page_shift;
	counts->gap_bytes += result->gap_bytes;
	counts->ios += result->ios;
	if (result->refused)
		return error_set(&prefetcher->error, -EDQUOT, "%s: the module refused %u of %u "
				 "ranges (module parameters max_*)", prefetcher->name,
				 result->refused, n);
	return 0;
}

/* Runs from *run on, as many as a call takes. A run that is longer goes in pieces. */
static uint32_t fill(const struct colink_prefetcher *prefetcher, struct advice_cursor *cursor,
		     struct colink_extent *extents)
{
	const uint64_t most = MAX_CALL_BYTES >> prefetcher->page_shift;
	uint64_t room = most;
	uint32_t n = 0;

	while (cursor->run < prefetcher->wanted.n && n < COLINK_MAX_EXTENTS && room) {
		const struct page_run *run = &prefetcher->wanted.runs[cursor->run];
		uint64_t begin = run->begin + cursor->page, pages = run->end - begin;

		if (pages > room) {
			pages = room;
			cursor->page += pages;
		} else {
			cursor->run++;
			cursor->page = 0;
		}
		room -= pages;
		extents[n++] = (struct colink_extent){
			.first = begin << prefetcher->page_shift,
			.count = pages << prefetcher->page_shift,
			.layer = COLINK_BYTES,
		};
	}
	return n;
}

static int module_ask(struct colink_prefetcher *prefetcher, unsigned int flags,
		      struct colink_prefetch_counts *counts)
{
	size_t most = prefetcher->wanted.n; /* a run ends a call or is whole in it */
	struct advice_cursor cursor = { 0 };
	struct colink_extent *extents;
	uint32_t n;
	int ret = 0;

	if (most > COLINK_MAX_EXTENTS)
		most = COLINK_MAX_EXTENTS;
	extents = malloc(most * sizeof(*extents));
	if (!extents)
		return error_no_memory(&prefetcher->error, "ranges to prefetch");
	while (ret == 0 && (n = fill(prefetcher, &cursor, extents)))
		ret = call(prefetcher, extents, n, flags, counts);
	free(extents);
	return ret;
}

const struct prefetch_backend prefetch_backend_module = {
	.id = COLINK_BACKEND_MODULE,
	.name = "the module",
	.open = module_open,
	.close = module_close,
	.ask = module_ask,
};
