// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF's way in: bpf_colink_prefetch(), for tracing and syscall programs, and, for those
 * that trace page faults, bpf_colink_fault_reads(), bpf_colink_fault_returns() and
 * bpf_colink_read_only().
 *
 * A program that traces a read or a page fault cannot sleep, and may have interrupted
 * anything. So the kfunc only puts an entry into a queue of fixed size: it takes one
 * lock, which it tries and never waits for, and wakes the worker by an irq_work, because
 * the function traced may hold the workqueue's own locks. What does not fit is
 * dropped, and counted.
 *
 * The worker takes what has piled up, and plans and issues as one request what comes
 * from the same groups for the same region. All requests of BPF are speculative.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bpf.h>
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "private.h"
#include "trace.h"

static unsigned int bpf_queue = 1024;
module_param(bpf_queue, uint, 0444);
MODULE_PARM_DESC(bpf_queue, "Extents that BPF programs can have queued (1024)");

/* How often the lock is tried, and how many entries the worker takes at a time. */
#define TRIES 64
#define BATCH 256

struct entry {
	struct colink_region *region;
	struct colink_charge charge;
	struct colink_span span;
};

/*
 * The queue: entries[(first + i) % bpf_queue] for i < used. The lock is held for a few
 * instructions, by tasks only, never across a call that can sleep.
 */
static DEFINE_RAW_SPINLOCK(lock);
static struct entry *entries;
static unsigned int first_entry;
static unsigned int used;

/* The worker's own: what it took from the queue. */
static struct entry batch[BATCH];
static struct colink_span batch_spans[BATCH];

/* Under the lock. The entry takes references; the worker puts them. */
static int enqueue(u32 id, u32 layer, u64 first, u64 count)
{
	struct colink_region *region = colink_region_find(NULL, id);
	struct entry *entry;
	int error;

	if (!region)
		return -ENOENT;
	if (used == bpf_queue)
		return -EAGAIN;
	entry = &entries[(first_entry + used) % bpf_queue];
	error = colink_span_of(region, layer, first, count, &entry->span);
	if (error)
		return error;
	if (!kref_get_unless_zero(&region->refs))
		return -ENOENT;
	entry->region = region;
	colink_charge_get(&entry->charge);
	used++;
	return 0;
}

static int try_enqueue(u32 id, u32 layer, u64 first, u64 count)
{
	int tries, error;

	if (!in_task())
		return -EOPNOTSUPP;
	for (tries = 0; tries < TRIES; tries++) {
		if (raw_spin_trylock(&lock)) {
			rcu_read_lock();
			error = enqueue(id, layer, first, count);
			rcu_read_unlock();
			raw_spin_unlock(&lock);
			return error;
		}
		cpu_relax();
	}
	return -EAGAIN;
}

static void put_entries(const struct entry *from, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct colink_charge charge = from[i].charge;

		colink_charge_put(&charge);
		colink_region_put(from[i].region);
	}
}

/* One request of n entries that have all in common but the span. */
static void request_entries(const struct entry *from, unsigned int n)
{
	struct colink_region *region = from->region;
	struct colink_request *request;
	struct mem_cgroup *previous;
	unsigned int i;

	previous = colink_charge_begin(&from->charge);
	request = colink_request_new(region, &from->charge, n, region->gap_bytes, true);
	if (IS_ERR(request)) {
		colink_charge_end(previous);
		colink_count(COLINK_COUNT_BPF_DROPPED, n);
		put_entries(from, n);
		return;
	}
	for (i = 0; i < n; i++)
		batch_spans[i] = from[i].span;
	colink_spans_sort(batch_spans, n);
	colink_plan(request, batch_spans, n);
	colink_charge_end(previous);
	trace_colink_queue(request);
	colink_request_issue(request);
	colink_request_finish_later(request);

	/* The first entry's charge is the request's now. */
	put_entries(from + 1, n - 1);
	colink_region_put(region);
}

static unsigned int take_batch(void)
{
	unsigned int i, n;

	raw_spin_lock(&lock);
	n = min_t(unsigned int, used, BATCH);
	for (i = 0; i < n; i++)
		batch[i] = entries[(first_entry + i) % bpf_queue];
	first_entry = (first_entry + n) % bpf_queue;
	used -= n;
	raw_spin_unlock(&lock);
	return n;
}

static bool same_request(const struct entry *a, const struct entry *b)
{
	return a->region == b->region && a->charge.memcg == b->charge.memcg &&
	       a->charge.blkcg == b->charge.blkcg;
}

static void drain(struct work_struct *work)
{
	unsigned int n, begin, end;

	while ((n = take_batch())) {
		for (begin = 0; begin < n; begin = end) {
			for (end = begin + 1; end < n; end++)
				if (!same_request(&batch[begin], &batch[end]))
					break;
			request_entries(&batch[begin], end - begin);
		}
	}
}

static DECLARE_WORK(drain_work, drain);
static struct workqueue_struct *workqueue;

static void wake(struct irq_work *work)
{
	queue_work(workqueue, &drain_work);
}

static DEFINE_IRQ_WORK(wake_work, wake);

/**
 * bpf_colink_prefetch() - Bring an extent of a region into the page cache, soon.
 * @region: Id that COLINK_REGISTER returned, to whichever process.
 * @layer: Layer that first and count are slots of, or COLINK_BYTES.
 * @first: First slot, or byte.
 * @count: How many.
 *
 * Return: 0 when the extent is queued; -ENOENT when there is no such region; -ERANGE
 * outside its geometry; -EAGAIN when the queue is full or taken, and the extent was
 * dropped; -EOPNOTSUPP in an interrupt.
 */
__bpf_kfunc int bpf_colink_prefetch(u32 region, u32 layer, u64 first, u64 count)
{
	int error = try_enqueue(region, layer, first, count);

	if (!error) {
		colink_count(COLINK_COUNT_BPF_QUEUED, 1);
		irq_work_queue(&wake_work);
	} else {
		colink_count(error == -EAGAIN ? COLINK_COUNT_BPF_DROPPED :
						COLINK_COUNT_BPF_REFUSED, 1);
	}
	return error;
}

/*
 * Of a file that is a region's; NULL of any other. What a program passes may be anything: nothing
 * is believed. Whoever faults in this file or reads it holds the mapping, even if the region
 * goes meanwhile.
 */
static struct address_space *mapping_of(u32 id, const struct file *file)
{
	struct colink_region *region = colink_region_find(NULL, id);
	struct address_space *mapping;

	if (!region || get_kernel_nofault(mapping, &file->f_mapping) ||
	    mapping != region->file->f_mapping)
		return NULL;
	return mapping;
}

/* What filemap_fault() was entered with. */
struct entered {
	struct file *file;
	struct address_space *mapping;
	vm_flags_t flags;
	void *entry; /* the page, NULL, or the mark of one that was reclaimed */
};

/* False for what is no fault of the region's file. Under rcu_read_lock(). */
static bool look_at(u32 region, const struct vm_fault *fault, struct entered *entered)
{
	struct vm_area_struct *vma;
	pgoff_t page;

	if (get_kernel_nofault(vma, &fault->vma) || get_kernel_nofault(page, &fault->pgoff) ||
	    get_kernel_nofault(entered->file, &vma->vm_file) ||
	    get_kernel_nofault(entered->flags, &vma->vm_flags))
		return false;
	entered->mapping = mapping_of(region, entered->file);
	if (!entered->mapping)
		return false;
	entered->entry = xa_load(&entered->mapping->i_pages, page);
	return true;
}

/* Pages that the kernel reads around this fault: its own is missing, and nothing else advised. */
static int pages_around(const struct entered *entered)
{
	if ((entered->entry && !xa_is_value(entered->entry)) ||
	    entered->flags & (VM_RAND_READ | VM_SEQ_READ | VM_HUGEPAGE))
		return 0;
	return min_t(unsigned int, entered->file->f_ra.ra_pages, INT_MAX);
}

/**
 * bpf_colink_fault_reads() - How much is a page fault going to read?
 * @region: Id of a region of the file.
 * @fault: What filemap_fault() was entered with.
 *
 * A fault whose page is missing reads the pages around it too (as many as the device reads
 * ahead, 128 KiB by default), but not in a file in which that was seldom of use: for each
 * open file, do_sync_mmap_readahead() counts misses less hits (since 1ddf31bb5ef1, Linux
 * 2.6.31). This makes it begin to count anew, since bpf_colink_read_only() will see to it
 * that what is read is of use. Memory that is advised to be read in sequence, at random, or
 * to be huge, is read as ever.
 *
 * Return: how many pages, 0 when none or its own only, -EINVAL for what is no fault of that
 * file.
 */
__bpf_kfunc int bpf_colink_fault_reads(u32 region, struct vm_fault *fault)
{
	struct entered entered;
	int reads = -EINVAL;

	rcu_read_lock();
	if (look_at(region, fault, &entered)) {
		reads = pages_around(&entered);
		if (reads)
			WRITE_ONCE(entered.file->f_ra.mmap_miss, 0);
	}
	rcu_read_unlock();
	return reads;
}

/* Would more pages of this mapping, charged to the current task, push out others? */
static bool memory_short(struct address_space *mapping)
{
	struct colink_charge charge;
	bool is_short;

	colink_charge_get(&charge);
	is_short = colink_memory_short(&charge, mapping_gfp_mask(mapping), 0);
	colink_charge_put(&charge);
	return is_short;
}

/**
 * bpf_colink_fault_returns() - Is the page of a fault missing for want of memory?
 * @region: Id of a region of the file.
 * @fault: What filemap_fault() was entered with.
 *
 * Where the kernel reclaims a page it leaves a mark (mm/workingset.c), which can stay for long;
 * so memory has to be short now as well. Then what is read before it is wanted would push out
 * what is wanted sooner.
 *
 * Return: 1 or 0, -EINVAL for what is no fault of that file.
 */
__bpf_kfunc int bpf_colink_fault_returns(u32 region, struct vm_fault *fault)
{
	struct entered entered;
	int returns = -EINVAL;

	rcu_read_lock();
	if (look_at(region, fault, &entered))
		returns = xa_is_value(entered.entry) && memory_short(entered.mapping);
	rcu_read_unlock();
	return returns;
}

/* Is that what do_sync_mmap_readahead() makes of a fault at this page of the file? */
static bool is_window(const struct file_ra_state *ra, const struct file *file, pgoff_t index,
		      u64 first)
{
	return ra == &file->f_ra && index == ra->start && first >= ra->start &&
	       first - ra->start < ra->size && ra->size == ra->ra_pages;
}

/**
 * bpf_colink_read_only() - Of what a page fault would read around, read only these pages.
 * @region: Id of a region of the file.
 * @ractl: What page_cache_ra_order() was entered with,
 * @ra: and with it.
 * @first: The fault's page.
 * @pages: How many from there on; cut to what the device reads ahead.
 *
 * One read brings what is wanted, and nobody has to wake up for it. do_sync_mmap_readahead()
 * has put its window into @ra, from where page_cache_ra_order() takes it; nothing is marked
 * to be read ahead from. Tasks that fault at once on the same open file share @ra: as ever
 * there, one may read in another's window, and its own page by itself.
 *
 * Return: 0, or -EINVAL for what is no reading around a fault at that page.
 */
__bpf_kfunc int bpf_colink_read_only(u32 region, struct readahead_control *ractl,
				     struct file_ra_state *ra, u64 first, u32 pages)
{
	struct address_space *mapping;
	int error = -EINVAL;
	struct file *file;
	pgoff_t index;

	rcu_read_lock();
	if (pages && !get_kernel_nofault(file, &ractl->file) &&
	    !get_kernel_nofault(index, &ractl->_index)) {
		mapping = mapping_of(region, file);
		if (mapping && is_window(ra, file, index, first)) {
			ractl->_index = first;
			ra->start = first;
			ra->size = min(pages, ra->ra_pages);
			ra->async_size = 0;
			trace_colink_fault(mapping->host, first, ra->size);
			error = 0;
		}
	}
	rcu_read_unlock();
	return error;
}

BTF_KFUNCS_START(tracing_ids)
BTF_ID_FLAGS(func, bpf_colink_prefetch)
BTF_ID_FLAGS(func, bpf_colink_fault_reads)
BTF_ID_FLAGS(func, bpf_colink_fault_returns)
BTF_ID_FLAGS(func, bpf_colink_read_only)
BTF_KFUNCS_END(tracing_ids)

BTF_KFUNCS_START(syscall_ids)
BTF_ID_FLAGS(func, bpf_colink_prefetch)
BTF_KFUNCS_END(syscall_ids)

BTF_ID_LIST(entry_ids)
BTF_ID(func, bpf_colink_fault_reads)
BTF_ID(func, bpf_colink_fault_returns)
BTF_ID(func, bpf_colink_read_only)

static const char *const entries_of[] = { "filemap_fault", "filemap_fault",
					  "page_cache_ra_order" };

/* When these functions are entered, and only then, what they were entered with is good. */
static int allow_kfunc(const struct bpf_prog *prog, u32 id)
{
	const char *function = prog->aux->attach_func_name;
	int i;

	for (i = 0; i < ARRAY_SIZE(entries_of); i++)
		if (id == entry_ids[i])
			return prog->expected_attach_type == BPF_TRACE_FENTRY && function &&
			       !strcmp(function, entries_of[i]) ? 0 : -EACCES;
	return 0;
}

static struct btf_kfunc_id_set tracing_set = {
	.owner = THIS_MODULE,
	.set = &tracing_ids,
};

static const struct btf_kfunc_id_set syscall_set = {
	.owner = THIS_MODULE,
	.set = &syscall_ids,
};

static int register_kfuncs(void)
{
	int error;

	compat_kfunc_filter(&tracing_set, allow_kfunc);
	error = register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &tracing_set);
	return error ? error : register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &syscall_set);
}

/* A kernel or a module without BTF has all of colink but this. */
int colink_kfunc_init(void)
{
	int error;

	bpf_queue = clamp(bpf_queue, 1U, 1U << 20);
	entries = kvcalloc(bpf_queue, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	workqueue = alloc_workqueue("colink_bpf", WQ_UNBOUND, 1);
	if (!workqueue) {
		kvfree(entries);
		return -ENOMEM;
	}
	error = register_kfuncs();
	if (error)
		pr_warn("BPF programs cannot call it (error %d)\n", error);
	return 0;
}

/* Programs that call the kfunc hold the module, so that none can be queueing now. */
void colink_kfunc_exit(void)
{
	irq_work_sync(&wake_work);
	destroy_workqueue(workqueue);
	kvfree(entries);
}
