// SPDX-License-Identifier: GPL-2.0-only
/*
 * The plan of a request: which ranges of pages are to be read.
 *
 * Spans come in order. A cursor goes over their pages, each page once, however often
 * it is asked for; runs of missing pages become ranges. A range that begins where the
 * last one ended extends it, and so does one after a short gap of missing pages: to
 * read over the gap costs less than another I/O. A gap with a resident page in it is
 * left alone, because the read would be cut in two there.
 *
 * Nothing is locked. A page that comes or goes between the plan and its reading is
 * read twice at no cost, or not: then whoever touches it reads it, as ever.
 */
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "private.h"

#define RANGES_PER_BLOCK                                                                          \
	((PAGE_SIZE - sizeof(struct colink_range_block)) / sizeof(struct colink_range))

/*
 * xas_load(), for xas_next() to go on from. Given a page within a large folio, xas_load()
 * leaves the state where the folio begins; xas_next() would then take pages behind the
 * folio for pages of it.
 */
static void *load_page(struct xa_state *xas)
{
	void *entry = xas_load(xas);

	if (!xas_not_node(xas->xa_node))
		xas->xa_offset = (xas->xa_index >> xas->xa_node->shift) & XA_CHUNK_MASK;
	return entry;
}

/* The first page in [first, last] that is resident, or last + 1. */
static pgoff_t next_resident(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	XA_STATE(xas, &mapping->i_pages, first);
	pgoff_t index = last + 1;
	void *entry;

	rcu_read_lock();
	xas_for_each(&xas, entry, last) {
		if (xas_retry(&xas, entry) || xa_is_value(entry))
			continue;
		index = max(xas.xa_index, first);
		break;
	}
	rcu_read_unlock();
	return index;
}

/* Speculative requests take memory only where no reclaim is needed. */
gfp_t colink_request_gfp(const struct colink_request *request)
{
	return request->speculative ? __GFP_NOWARN | __GFP_ACCOUNT : GFP_KERNEL_ACCOUNT;
}

/* The block with the last range; NULL when the plan is empty. */
struct colink_range_block *colink_plan_last(const struct colink_request *request)
{
	return list_empty(&request->plan) ?
		       NULL :
		       list_last_entry(&request->plan, struct colink_range_block, list);
}

static int append_range(struct colink_request *request, pgoff_t first, pgoff_t last)
{
	struct colink_range_block *block = colink_plan_last(request);

	if (!block || block->n == RANGES_PER_BLOCK) {
		block = kmalloc(PAGE_SIZE, colink_request_gfp(request));
		if (!block)
			return -ENOMEM;
		block->n = 0;
		list_add_tail(&block->list, &request->plan);
	}
	block->ranges[block->n].first = first;
	block->ranges[block->n].last = last;
	block->n++;
	request->result.ios++;
	return 0;
}

/* The last range, when what begins at `first` can be read together with it. */
static struct colink_range *range_before(const struct colink_request *request, pgoff_t first)
{
	struct address_space *mapping = request->region->file->f_mapping;
	struct colink_range_block *block = colink_plan_last(request);
	struct colink_range *before;

	if (!block)
		return NULL;
	before = &block->ranges[block->n - 1];
	if (before->last + 1 == first)
		return before;
	if (first - before->last - 1 > request->gap_pages)
		return NULL;
	return next_resident(mapping, before->last + 1, first - 1) == first ? before : NULL;
}

static int plan_range(struct colink_request *request, pgoff_t first, pgoff_t last)
{
	struct colink_range *before = range_before(request, first);
	pgoff_t from = before ? before->last + 1 : first;
	unsigned long pages = last - from + 1;
	atomic_long_t *used = &request->region->opener->pages;
	int error;

	if (!colink_quota_take(used, pages, (u64)READ_ONCE(colink_max_mib) << (20 - PAGE_SHIFT)))
		return -EDQUOT;
	if (before) {
		before->last = last;
		request->result.gap_bytes += (u64)(first - from) << PAGE_SHIFT;
	} else {
		error = append_range(request, first, last);
		if (error) {
			atomic_long_sub(pages, used);
			return error;
		}
	}
	request->result.pages_issued += pages;
	return 0;
}

/* What is resident and wanted is about to be used: reads of the request are not to push it out. */
static void mark_accessed(struct xa_state *xas, struct folio *folio)
{
	if (!folio_try_get(folio))
		return;
	if (folio == xas_reload(xas))
		folio_mark_accessed(folio);
	folio_put(folio);
}

/*
 * Go over resident pages, of which the first is one. Returns the first in [first, last] that is
 * missing, or last + 1. page_cache_next_miss() is no help: it says that page 0 is missing when
 * it is not, and does not know what load_page() is for.
 */
static pgoff_t pass_resident(struct colink_request *request, pgoff_t first, pgoff_t last)
{
	XA_STATE(xas, &request->region->file->f_mapping->i_pages, first);
	void *before = NULL, *entry;
	pgoff_t index;

	rcu_read_lock();
	for (index = first; index <= last; index++) {
		entry = index == first ? load_page(&xas) : xas_next(&xas);
		if (!entry || xa_is_value(entry))
			break;
		/* Another page of the same large folio? */
		if (entry == before || xa_is_sibling(entry))
			continue;
		before = entry;
		/* What is just being moved may be anything. */
		if (xa_is_internal(entry) || !folio_test_uptodate(entry))
			request->others_read = true;
		if (!request->speculative && !xa_is_internal(entry))
			mark_accessed(&xas, entry);
	}
	rcu_read_unlock();
	return index;
}

static int plan_slice(struct colink_request *request, pgoff_t first, pgoff_t last)
{
	struct address_space *mapping = request->region->file->f_mapping;
	pgoff_t missing, resident;
	int error;

	for (; first <= last; first = missing) {
		/* Mostly nothing is resident: then one look at the page cache is enough. */
		resident = next_resident(mapping, first, last);
		if (resident > first) {
			error = plan_range(request, first, resident - 1);
			if (error)
				return error;
		}
		missing = resident > last ? resident : pass_resident(request, resident, last);
		request->result.pages_resident += missing - resident;
	}
	return 0;
}

/*
 * The pages of a span that the file has and that are not before *cursor, which goes
 * past them. False when there are none.
 */
bool colink_span_pages(const struct colink_span *span, u64 file_size, pgoff_t *cursor,
		       struct colink_range *pages)
{
	u64 end = min(span->end, file_size);

	if (span->start >= end)
		return false;
	pages->first = max_t(pgoff_t, span->start >> PAGE_SHIFT, *cursor);
	pages->last = (end - 1) >> PAGE_SHIFT;
	if (pages->first > pages->last)
		return false;
	*cursor = pages->last + 1;
	return true;
}

static int plan_pages(struct colink_request *request, const struct colink_range *pages)
{
	pgoff_t first, last;
	int error;

	for (first = pages->first; first <= pages->last; first = last + 1) {
		last = min(pages->last, first + COLINK_SLICE_PAGES - 1);
		error = plan_slice(request, first, last);
		if (error)
			return error;
		cond_resched();
	}
	return 0;
}

/*
 * Plan for spans in order. Stops where a quota or memory ends; then what is planned
 * stays, and the spans that could not be planned to their end are refused.
 */
int colink_plan(struct colink_request *request, const struct colink_span *spans, u32 n)
{
	u64 file_size = i_size_read(request->region->file->f_mapping->host);
	struct colink_range pages;
	pgoff_t cursor = 0;
	int error;
	u32 i;

	for (i = 0; i < n; i++) {
		if (colink_span_pages(&spans[i], file_size, &cursor, &pages))
			error = plan_pages(request, &pages);
		else
			error = 0;
		if (error) {
			request->result.refused += n - i;
			/* Nobody has looked at the rest. */
			request->others_read = true;
			return error;
		}
		request->result.extents++;
	}
	return 0;
}

void colink_plan_free(struct colink_request *request)
{
	struct colink_range_block *block, *next;

	list_for_each_entry_safe(block, next, &request->plan, list)
		kfree(block);
}
