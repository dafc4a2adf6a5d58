// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extents, as a program gives them, become spans: ranges of bytes, in order.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "private.h"

/* Extents copied at a time; they are on the stack. */
#define BATCH 16

int colink_span_of(const struct colink_region *region, u32 layer, u64 first, u64 count,
		   struct colink_span *span)
{
	const struct colink_layer *geometry;

	if (layer == COLINK_BYTES) {
		if (first > MAX_LFS_FILESIZE || count > MAX_LFS_FILESIZE - first)
			return -ERANGE;
		span->start = first;
		span->end = first + count;
		return 0;
	}
	if (layer >= region->n_layers)
		return -ERANGE;
	/* Cannot overflow: check_layers() has seen that the whole layer is in a file's range. */
	geometry = &region->layers[layer];
	if (first > geometry->slots || count > geometry->slots - first)
		return -ERANGE;
	span->start = geometry->offset + first * geometry->stride;
	span->end = span->start + count * geometry->stride;
	return 0;
}

/*
 * Copy n extents from the program, as spans in order. Those outside the geometry are
 * left out. Returns the spans, to be freed by kvfree(), or an error pointer. How many
 * they are is the program's choice, so that too many for the memory are no news.
 */
struct colink_span *colink_spans_copy(const struct colink_region *region, u64 extents, u32 n,
				      gfp_t gfp, u32 *n_spans)
{
	const struct colink_extent __user *from = u64_to_user_ptr(extents);
	struct colink_extent batch[BATCH];
	struct colink_span *spans;
	u32 done, i;

	*n_spans = 0;
	spans = kvmalloc_array(max(n, 1U), sizeof(*spans), gfp | __GFP_NOWARN);
	if (!spans)
		return ERR_PTR(-ENOMEM);
	for (done = 0; done < n; done += i) {
		u32 count = min_t(u32, n - done, BATCH);

		if (copy_from_user(batch, from + done, count * sizeof(*batch))) {
			kvfree(spans);
			return ERR_PTR(-EFAULT);
		}
		for (i = 0; i < count; i++) {
			if (batch[i].reserved) {
				kvfree(spans);
				return ERR_PTR(-EINVAL);
			}
			if (!colink_span_of(region, batch[i].layer, batch[i].first,
					    batch[i].count, &spans[*n_spans]))
				++*n_spans;
		}
	}
	colink_spans_sort(spans, *n_spans);
	return spans;
}

static int compare_spans(const void *left, const void *right)
{
	const struct colink_span *a = left;
	const struct colink_span *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Most programs ask in order; then there is nothing to do. */
void colink_spans_sort(struct colink_span *spans, u32 n)
{
	u32 i;

	for (i = 1; i < n; i++) {
		if (spans[i - 1].start > spans[i].start) {
			sort(spans, n, sizeof(*spans), compare_spans, NULL);
			return;
		}
	}
}
