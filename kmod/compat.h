/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where kernels from 6.1 on differ. Each entry names the version and the commit
 * that made the difference; when the oldest kernel in use has it, the entry goes.
 */
#ifndef COLINK_COMPAT_H
#define COLINK_COMPAT_H

#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/cgroup.h>
#include <linux/eventfd.h>
#include <linux/fadvise.h>
#include <linux/kthread.h>
#include <linux/pagemap.h>
#include <linux/version.h>

/* 6.3, 57e7c169cd6a ("bpf: Add __bpf_kfunc tag for marking kernel functions as kfuncs") */
#ifndef __bpf_kfunc
#define __bpf_kfunc noinline
#endif

/* 6.9, 6f3189f38a3e ("bpf: treewide: Annotate BPF kfuncs in BTF"): a plain set is refused then */
#ifndef BTF_KFUNCS_START
#define BTF_KFUNCS_START(name) BTF_SET8_START(name)
#define BTF_KFUNCS_END(name) BTF_SET8_END(name)
#endif

/*
 * 6.5, e924e80ee6a3 ("bpf: Add kfunc filter function to 'struct btf_kfunc_id_set'"):
 * before, any program of the type may call what is in the set.
 */
static inline void compat_kfunc_filter(struct btf_kfunc_id_set *set,
				       int (*filter)(const struct bpf_prog *prog, u32 id))
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	set->filter = filter;
#endif
}

/* 6.8, 3652117f8548 ("eventfd: simplify eventfd_signal()") */
static inline void compat_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx);
#else
	eventfd_signal(ctx, 1);
#endif
}

/*
 * 7.0, b244c89a70b3: page_cache_ra_unbounded() no longer takes the invalidate lock
 * itself, its caller must.
 *
 * A kernel that does not let modules have page_cache_ra_unbounded() (Android's lists
 * of symbols) is built for with COLINK_NO_RA_UNBOUNDED. vfs_fadvise() cuts what it is
 * asked to the device's readahead size without telling, so it gets no more at a time.
 */
static inline void compat_read_pages(struct readahead_control *rac, unsigned long pages)
{
#if defined(COLINK_NO_RA_UNBOUNDED)
	unsigned long most = max(rac->ra->ra_pages, 1U);

	while (pages) {
		unsigned long n = min(pages, most);

		vfs_fadvise(rac->file, (loff_t)rac->_index << PAGE_SHIFT,
			    (loff_t)n << PAGE_SHIFT, POSIX_FADV_WILLNEED);
		rac->_index += n;
		pages -= n;
	}
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
	filemap_invalidate_lock_shared(rac->mapping);
	page_cache_ra_unbounded(rac, pages, 0);
	filemap_invalidate_unlock_shared(rac->mapping);
#else
	page_cache_ra_unbounded(rac, pages, 0);
#endif
}

/*
 * The largest order that a folio of the file can have; 0 where they are all alike.
 * 6.12, 84429b675bcf ("fs: Allow fine-grained control of folio sizes"): before, a file system had
 * folios of any order or pages only.
 * 6.9, 8897277acfef ("mm: support order-1 folios in the page cache"): before, splitting one wrote
 * to the page behind it. None are made there, nor with Android's lists, which lack what it takes.
 */
static inline unsigned int compat_most_order(struct address_space *mapping)
{
#if defined(COLINK_NO_RA_UNBOUNDED) || LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
	return 0;
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	return mapping_min_folio_order(mapping) ? 0 : mapping_max_folio_order(mapping);
#else
	return mapping_large_folio_support(mapping) ? MAX_PAGECACHE_ORDER : 0;
#endif
}

/* Not a matter of versions: kernels for small boards may lack block cgroups. */
static inline struct cgroup_subsys_state *compat_blkcg_get(void)
{
#ifdef CONFIG_BLK_CGROUP
	return task_get_css(current, io_cgrp_id);
#else
	return NULL;
#endif
}

static inline void compat_blkcg_put(struct cgroup_subsys_state *css)
{
#ifdef CONFIG_BLK_CGROUP
	if (css)
		css_put(css);
#endif
}

#endif /* COLINK_COMPAT_H */
