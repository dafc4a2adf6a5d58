// SPDX-License-Identifier: GPL-2.0-only
/*
 * Start to read pages into the page cache.
 *
 * Where a file system can have several pages in one folio, what is read goes into folios
 * as large as fit: to add one, to map it and to take it away again costs hardly more than
 * the same for a page. A folio has only pages that were asked for, so it is no larger than
 * its place in the file is aligned.
 *
 * page_cache_ra_unbounded() makes the smallest folios that a file can have, and
 * page_cache_ra_order() is not for modules; so the larger ones are made here, as the latter
 * does it (793917d997df, "mm/readahead: Add large folio readahead").
 */
#include <linux/blkdev.h>
#include <linux/log2.h>
#include <linux/pagemap.h>
#include <linux/psi.h>
#include <linux/sched/mm.h>

#include "compat.h"
#include "private.h"

/* Longer folios than 64 KiB save little more, and are hard to have where memory is short. */
#define MOST_ORDER (PAGE_SHIFT < 16 ? 16U - PAGE_SHIFT : 0U)

/*
 * Have the file system read what was added. What it leaves, whoever touches it reads. Pages that
 * were pushed out not long ago make this a stall for want of memory; the file system may add
 * such pages, too, and then has entered it (readahead_expand()).
 */
static void read_added(struct readahead_control *rac)
{
	struct folio *folio;

	if (!readahead_count(rac))
		return;
	if (rac->_workingset)
		psi_memstall_enter(&rac->_pflags);
	rac->mapping->a_ops->readahead(rac);
	while ((folio = readahead_folio(rac)))
		folio_unlock(folio);
	if (rac->_workingset)
		psi_memstall_leave(&rac->_pflags);
	rac->_workingset = false;
}

/* For more than a page no memory is moved, reclaimed or taken from reserves: less will do. */
static gfp_t folio_gfp(struct address_space *mapping, unsigned int order)
{
	gfp_t gfp = readahead_gfp_mask(mapping);

	return order ? (gfp & ~__GFP_RECLAIM) | __GFP_NOMEMALLOC : gfp;
}

static int add_new_folio(struct readahead_control *rac, pgoff_t index, unsigned int order)
{
	gfp_t gfp = folio_gfp(rac->mapping, order);
	struct folio *folio = folio_alloc(gfp, order);
	int error;

	if (!folio)
		return -ENOMEM;
	error = filemap_add_folio(rac->mapping, folio, index, gfp);
	if (error) {
		folio_put(folio);
		return error;
	}
	rac->_workingset |= folio_test_workingset(folio);
	rac->_nr_pages += 1UL << order;
	return 0;
}

/*
 * Add a folio behind those that rac has: of that order, or, where it cannot be had or some
 * of its pages are there already, of a lower one. -EEXIST or -ENOMEM, and order 0, when not
 * even a page could be added.
 */
static int add_folio(struct readahead_control *rac, pgoff_t index, unsigned int *order)
{
	const void *entry = xa_load(&rac->mapping->i_pages, index);
	int error;

	if (entry && !xa_is_value(entry)) {
		*order = 0;
		return -EEXIST;
	}
	while ((error = add_new_folio(rac, index, *order)) && *order)
		--*order;
	return error;
}

/* The order of a folio that begins there and has no more than so many pages. */
static unsigned int order_at(pgoff_t index, unsigned long pages, unsigned int most)
{
	unsigned int order = min_t(unsigned int, most, ilog2(pages));

	return index ? min_t(unsigned int, order, __ffs(index)) : order;
}

static void add_folios(struct readahead_control *rac, unsigned long pages, unsigned int most)
{
	pgoff_t index = readahead_index(rac), end = index + pages;
	unsigned int order;
	int error;

	for (; index < end; index += 1UL << order) {
		order = order_at(index, end - index, most);
		error = add_folio(rac, index, &order);
		if (!error)
			continue;
		read_added(rac);
		if (error == -ENOMEM)
			return;
		/* Somebody else has brought in this page: the read is cut in two. */
		rac->_index = index + 1;
	}
	read_added(rac);
}

static void read_folios(struct readahead_control *rac, unsigned long pages, unsigned int most)
{
	/* As page_cache_ra_unbounded() does: no reclaim that waits for locks of the file system. */
	unsigned int nofs = memalloc_nofs_save();
	struct blk_plug plug;

	blk_start_plug(&plug);
	filemap_invalidate_lock_shared(rac->mapping);
	add_folios(rac, pages, most);
	filemap_invalidate_unlock_shared(rac->mapping);
	blk_finish_plug(&plug);
	memalloc_nofs_restore(nofs);
}

/*
 * Start to read pages from first on. Returns for how many this was done; fewer than
 * asked when there was no memory for more. Behind the end of the file there are none to read.
 */
unsigned long colink_start_reading(struct file *file, pgoff_t first, unsigned long pages)
{
	struct address_space *mapping = file->f_mapping;
	pgoff_t end = DIV_ROUND_UP_ULL(i_size_read(mapping->host), PAGE_SIZE);
	unsigned int most = min(MOST_ORDER, compat_most_order(mapping));
	struct file_ra_state ra = { };
	DEFINE_READAHEAD(rac, file, &ra, mapping, first);

	if (first >= end)
		return pages;
	end = min(first + pages, end);
	file_ra_state_init(&ra, mapping);
	if (most)
		read_folios(&rac, end - first, most);
	else
		compat_read_pages(&rac, end - first);
	if (rac._index >= end)
		return pages;
	return rac._index > first ? rac._index - first : 0;
}
