// SPDX-License-Identifier: GPL-2.0-only
/*
 * What storage does: per disk, and per file that is followed, how many reads, how long,
 * how fast, how sequential; and how well the page cache serves the followed files, with
 * what the module brought into it ahead of time.
 *
 * Disks: a request is noted when it is issued to the driver, and counted when it is
 * complete. Whose it is, its first page knows: a page of a followed file's page cache.
 * Direct I/O reads into other memory, so that it counts for the disk alone.
 *
 * Page cache: a read() touches the pages that it copies, a fault the page that it wants.
 * A touch is a miss when it had the page brought in, be it in an earlier call that
 * waited for it (io_uring's and the fault handler's do), and a hit otherwise: also where
 * it had to wait for what another brings in. Not seen are pages reached through a mapping
 * that is already there, and sendfile() and splice() from 6.5 on.
 *
 * Prefetched: the module says which range it issues, or which pages a fault reads, and they
 * are added in the same task right after. Of such a page is known whether a touch used it;
 * else whether it was mapped around another's fault, after which its use cannot be seen;
 * else that it left the page cache in vain.
 *
 * A touch, fault or page of any other file costs a look into a hash table.
 */
#include <stdbool.h>

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "page_states.bpf.h"

#define SECTOR_SHIFT 9
#define REQUEST_OPERATION 0xff
#define REQUEST_WRITE 1

/* In struct page and folio: the low bits of a mapping that is none of a file. */
#define MAPPING_FLAGS 3UL

/* No index. */
#define NONE (~0U)

char LICENSE[] SEC("license") = "GPL";

/* Of the kernel that runs: 12 unless the loader says otherwise. */
const volatile __u32 page_shift = 12;

__u32 n_disks;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IO_MAX_FILES);
	__type(key, struct io_file_key);
	__type(value, struct io_file);
} files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IO_MAX_DISKS);
	__type(key, __u32);
	__type(value, struct io_disk);
} disks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, IO_MAX_DISKS);
	__type(key, __u32);
	__type(value, struct io_figures);
} disk_figures SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, IO_MAX_FILES);
	__type(key, __u32);
	__type(value, struct io_figures);
} file_figures SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, IO_MAX_FILES);
	__type(key, __u32);
	__type(value, struct io_cache);
} file_cache SEC(".maps");

/* A request on its way. */
struct flight {
	__u64 begin; /* ns; 0: not known */
	__u64 sector;
	__u32 bytes;
	__u32 disk; /* indices, or NONE */
	__u32 file;
	__u8 write;
	__u8 disk_sequential;
	__u8 file_sequential;
	__u8 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, __u64); /* struct request * */
	__type(value, struct flight);
} flights SEC(".maps");

/* What a task is about: a file is its index + 1, 0 none. */
struct task {
	__u64 iocb; /* of the read */
	__u64 begin; /* bytes */
	__u64 read_first; /* pages */
	__u64 read_last;
	__u64 issue_first;
	__u64 issue_last;
	__u32 read_file;
	__u32 issue_file;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task);
} tasks SEC(".maps");

static __u32 log2_of(__u64 value)
{
	__u32 log = 0, bits;

	for (bits = 32; bits; bits >>= 1) {
		if (value >> bits) {
			value >>= bits;
			log += bits;
		}
	}
	return log;
}

static struct io_file *file_by_number(__u64 inode, __u32 device)
{
	struct io_file_key key = { .inode = inode, .device = device };

	return bpf_map_lookup_elem(&files, &key);
}

/* --- Requests --- */

static struct io_disk *disk_of(__u32 device)
{
	struct io_disk *disk = bpf_map_lookup_elem(&disks, &device);
	struct io_disk new = {};

	if (disk)
		return disk;
	new.index = __sync_fetch_and_add(&n_disks, 1);
	bpf_map_update_elem(&disks, &device, &new, BPF_NOEXIST);
	disk = bpf_map_lookup_elem(&disks, &device);
	if (!disk)
		count_lost(IO_LOST_DISKS);
	return disk;
}

/*
 * The followed file that a request reads; NULL when there is none. Its bio may be the
 * rest of one that was split: it begins with the vector that bi_idx says.
 */
static struct io_file *file_read_by(struct request *request)
{
	struct bio *bio = BPF_CORE_READ(request, bio);
	struct address_space *mapping;
	unsigned long head;
	struct inode *inode;
	struct page *page;
	void *vector;

	if (!bio)
		return NULL;
	vector = (void *)BPF_CORE_READ(bio, bi_io_vec) +
		 (__u64)BPF_CORE_READ(bio, bi_iter.bi_idx) * bpf_core_type_size(struct bio_vec);
	page = BPF_CORE_READ((struct bio_vec *)vector, bv_page);
	if (bpf_core_field_exists(page->compound_head)) {
		head = BPF_CORE_READ(page, compound_head);
		if (head & 1)
			page = (struct page *)(head - 1);
	}
	mapping = BPF_CORE_READ((struct folio *)page, mapping);
	if (!mapping || (unsigned long)mapping & MAPPING_FLAGS)
		return NULL;
	inode = BPF_CORE_READ(mapping, host);
	if (!inode)
		return NULL;
	return file_by_number(BPF_CORE_READ(inode, i_ino), BPF_CORE_READ(inode, i_sb, s_dev));
}

/* Does this read begin where the one before it ends? */
static bool follows(__u64 *next_sector, const struct flight *flight)
{
	__u64 end = flight->sector + (flight->bytes >> SECTOR_SHIFT);

	return __sync_lock_test_and_set(next_sector, end) == flight->sector;
}

/*
 * False when it is neither read nor write, or belongs to no disk. Order is that in which
 * requests are issued.
 */
static bool describe(struct request *request, bool issued, struct flight *flight)
{
	__u32 operation = request->cmd_flags & REQUEST_OPERATION;
	struct gendisk *whole = request->q->disk;
	struct io_disk *disk;
	struct io_file *file;

	if (operation > REQUEST_WRITE || !request->__data_len || !whole)
		return false;
	disk = disk_of(IO_DEVICE(whole->major, whole->first_minor));
	if (!disk)
		return false;
	flight->sector = request->__sector;
	flight->bytes = request->__data_len;
	flight->disk = disk->index;
	flight->file = NONE;
	flight->write = operation == REQUEST_WRITE;
	if (flight->write)
		return true;
	file = file_read_by(request);
	if (file)
		flight->file = file->index;
	if (issued) {
		flight->begin = bpf_ktime_get_ns();
		flight->disk_sequential = follows(&disk->next_sector, flight);
		flight->file_sequential = file && follows(&file->next_sector, flight);
	}
	return true;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(on_request_issue, struct request *request)
{
	__u64 key = (unsigned long)request;
	struct flight *flight = bpf_map_lookup_elem(&flights, &key);
	struct flight new = {};

	/* The driver had no room for it before. */
	if (flight && flight->sector == request->__sector &&
	    flight->bytes == request->__data_len) {
		flight->begin = bpf_ktime_get_ns();
		return 0;
	}
	if (!describe(request, true, &new))
		return 0;
	if (bpf_map_update_elem(&flights, &key, &new, BPF_ANY))
		count_lost(IO_LOST_FLIGHTS);
	return 0;
}

static void count_read(struct io_figures *figures, const struct flight *flight, __u64 ns,
		       bool sequential)
{
	__u32 size = log2_of(flight->bytes >> IO_SIZE_SHIFT);
	__u32 latency = log2_of(ns / 1000);

	add(&figures->reads, 1);
	add(&figures->read_bytes, flight->bytes);
	if (size >= IO_SIZES)
		size = IO_SIZES - 1;
	add(&figures->sizes[size], 1);
	if (!flight->begin)
		return;
	if (sequential)
		add(&figures->sequential, 1);
	add(&figures->timed, 1);
	add(&figures->read_ns, ns);
	if (latency >= IO_LATENCIES)
		latency = IO_LATENCIES - 1;
	add(&figures->latencies[latency], 1);
}

static void count_request(const struct flight *flight)
{
	__u64 ns = bpf_ktime_get_ns() - flight->begin;
	__u32 disk = flight->disk, file = flight->file;
	struct io_figures *figures = bpf_map_lookup_elem(&disk_figures, &disk);

	if (!figures) {
		count_lost(IO_LOST_DISKS);
	} else if (flight->write) {
		add(&figures->writes, 1);
		add(&figures->write_bytes, flight->bytes);
	} else {
		count_read(figures, flight, ns, flight->disk_sequential);
	}
	figures = bpf_map_lookup_elem(&file_figures, &file);
	if (figures)
		count_read(figures, flight, ns, flight->file_sequential);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(on_request_complete, struct request *request, int error, unsigned int bytes)
{
	__u64 key = (unsigned long)request;
	struct flight *flight, unseen = {};

	if (bytes < request->__data_len)
		return 0; /* the rest follows */
	flight = bpf_map_lookup_elem(&flights, &key);
	if (flight) {
		count_request(flight);
		bpf_map_delete_elem(&flights, &key);
	} else if (describe(request, false, &unseen)) {
		count_lost(IO_LOST_FLIGHTS);
		count_request(&unseen);
	}
	return 0;
}

/* --- Touches --- */

static struct io_cache *cache_of(__u32 file)
{
	return bpf_map_lookup_elem(&file_cache, &file);
}

/* The pages were wanted, and are there. */
static void touched(__u32 file, __u64 first, __u64 last, bool fault)
{
	struct range range = { .first = first, .last = last, .file = file };
	struct io_cache *cache = cache_of(file);
	__u64 hits;

	bpf_loop(chunks_of(&range), forget_chunk, &range, 0);
	if (!cache)
		return;
	hits = last - first + 1 - range.missed;
	add(fault ? &cache->fault_hits : &cache->read_hits, hits);
	add(fault ? &cache->fault_misses : &cache->read_misses, range.missed);
	add(&cache->wanted, range.wanted);
	add(&cache->used, range.used);
	add(&cache->mapped, -(__u64)range.mapped);
}

/* --- Reads --- */

static struct io_file *file_of(const struct inode *inode)
{
	return file_by_number(inode->i_ino, inode->i_sb->s_dev);
}

static struct task *this_task(__u64 flags)
{
	return bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), NULL, flags);
}

/* What the task adds from now on is not prefetched. */
static void issue_nothing(struct task *task)
{
	if (task)
		task->issue_file = 0;
}

SEC("fentry/filemap_read")
int BPF_PROG(on_read_begin, struct kiocb *iocb, struct iov_iter *iter)
{
	struct inode *inode = iocb->ki_filp->f_inode;
	struct io_file *file = file_of(inode);
	__u64 begin = iocb->ki_pos, end = begin + iter->count;
	__u64 size = inode->i_size;
	struct task *task;

	if (!file)
		return 0;
	if (end > size)
		end = size;
	if (end <= begin)
		return 0;
	task = this_task(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!task) {
		count_lost(IO_LOST_READS);
		return 0;
	}
	task->iocb = (unsigned long)iocb;
	task->begin = begin;
	task->read_first = begin >> page_shift;
	task->read_last = (end - 1) >> page_shift;
	task->read_file = file->index + 1;
	return 0;
}

SEC("fexit/filemap_read")
int BPF_PROG(on_read_end, struct kiocb *iocb)
{
	struct task *task = this_task(0);
	__u64 end = iocb->ki_pos;

	if (!task || !task->read_file || task->iocb != (unsigned long)iocb)
		return 0;
	if (end > task->begin)
		touched(task->read_file - 1, task->read_first, (end - 1) >> page_shift, false);
	task->read_file = 0;
	return 0;
}

/* --- Faults --- */

/*
 * The handler begins anew after it waited for a page that it had brought in. In that case
 * the area may have been unmapped by now, and be another's: at worst a miss is another
 * file's.
 */
SEC("fexit/filemap_fault")
int BPF_PROG(on_fault, struct vm_fault *fault, __u32 result)
{
	struct io_file *file = file_of(fault->vma->vm_file->f_inode);
	struct range range = { .first = fault->pgoff, .last = fault->pgoff };

	/* What it was to read ahead of use, it has by now. */
	issue_nothing(this_task(0));
	if (!file)
		return 0;
	range.file = file->index;
	if (result & VM_FAULT_MAJOR)
		miss_chunk(0, &range);
	if (result & VM_FAULT_LOCKED)
		touched(file->index, fault->pgoff, fault->pgoff, true);
	return 0;
}

/* Resident neighbours are mapped, and often the wanted page with them: then no fault follows. */
SEC("fexit/filemap_map_pages")
int BPF_PROG(on_map_pages, struct vm_fault *fault, unsigned long first, unsigned long last,
	     __u32 result)
{
	struct io_file *file = file_of(fault->vma->vm_file->f_inode);
	struct range range = { .first = first, .last = last };
	struct io_cache *cache;

	if (!file)
		return 0;
	range.file = file->index;
	if (result & VM_FAULT_NOPAGE)
		touched(file->index, fault->pgoff, fault->pgoff, true);
	bpf_loop(chunks_of(&range), map_chunk, &range, 0);
	cache = cache_of(file->index);
	if (cache && range.mapped)
		add(&cache->mapped, range.mapped);
	return 0;
}

/* --- Pages that come and go --- */

/* The part of a range within [first, last]; false when there is none. */
static bool cut(struct range *range, __u64 first, __u64 last)
{
	if (range->first < first)
		range->first = first;
	if (range->last > last)
		range->last = last;
	return range->first <= range->last;
}

SEC("tp/filemap/mm_filemap_add_to_page_cache")
int on_page_added(struct trace_event_raw_mm_filemap_op_page_cache *event)
{
	struct io_file *file = file_by_number(event->i_ino, event->s_dev);
	struct range range = { .first = event->index };
	struct io_cache *cache;
	struct task *task;

	if (!file)
		return 0;
	task = this_task(0);
	if (!task)
		return 0;
	range.last = range.first + (1ULL << (event->order & 31)) - 1;
	range.file = file->index;
	if (task->read_file == file->index + 1) {
		if (cut(&range, task->read_first, task->read_last))
			bpf_loop(chunks_of(&range), miss_chunk, &range, 0);
	} else if (task->issue_file == file->index + 1 &&
		   cut(&range, task->issue_first, task->issue_last)) {
		bpf_loop(chunks_of(&range), prefetch_chunk, &range, 0);
		cache = cache_of(file->index);
		if (cache)
			add(&cache->prefetched, range.last - range.first + 1);
	}
	return 0;
}

SEC("tp/filemap/mm_filemap_delete_from_page_cache")
int on_page_deleted(struct trace_event_raw_mm_filemap_op_page_cache *event)
{
	struct io_file *file = file_by_number(event->i_ino, event->s_dev);
	struct range range = { .first = event->index };
	struct io_cache *cache;

	if (!file)
		return 0;
	range.last = range.first + (1ULL << (event->order & 31)) - 1;
	range.file = file->index;
	bpf_loop(chunks_of(&range), forget_chunk, &range, 0);
	cache = cache_of(file->index);
	if (cache && range.evicted)
		add(&cache->evicted, range.evicted);
	return 0;
}

/* --- The module, when it is there --- */

/* Arguments of raw tracepoints have no type that the verifier knows. */
static struct io_file *file_of_event(const struct inode *inode)
{
	return file_by_number(BPF_CORE_READ(inode, i_ino), BPF_CORE_READ(inode, i_sb, s_dev));
}

/* What the task adds of these pages is prefetched. */
static void issue(struct inode *inode, __u64 first, __u64 n)
{
	struct io_file *file = file_of_event(inode);
	struct task *task = this_task(file && n ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	struct io_cache *cache;

	if (!file || !task || !n) {
		issue_nothing(task);
		return;
	}
	task->issue_file = file->index + 1;
	task->issue_first = first;
	task->issue_last = first + n - 1;
	cache = cache_of(file->index);
	if (cache)
		add(&cache->asked, n);
}

SEC("raw_tp/colink_issue")
int BPF_PROG(on_module_issue, void *request, struct inode *inode, unsigned long first,
	     unsigned long n)
{
	issue(inode, first, n);
	return 0;
}

/* Its own page is what the fault wants; those behind it are prefetched. */
SEC("raw_tp/colink_fault")
int BPF_PROG(on_module_fault, struct inode *inode, unsigned long first, unsigned long n)
{
	issue(inode, first + 1, n - 1);
	return 0;
}

/* Used from now on, whether that is seen or not. */
SEC("raw_tp/colink_want")
int BPF_PROG(on_module_want, void *request, struct inode *inode, unsigned long first,
	     unsigned long n)
{
	struct io_file *file = file_of_event(inode);
	struct range range = { .first = first, .last = first + n - 1 };
	struct io_cache *cache;

	if (!file)
		return 0;
	range.file = file->index;
	bpf_loop(chunks_of(&range), want_chunk, &range, 0);
	cache = cache_of(file->index);
	if (cache && range.wanted)
		add(&cache->wanted, range.wanted);
	return 0;
}

SEC("raw_tp/colink_complete")
int on_module_complete(void *context)
{
	issue_nothing(this_task(0));
	return 0;
}
