/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the module share.
 *
 * A request goes: spans (bytes, copied and sorted: spans.c), a plan (ranges of
 * missing pages: plan.c), reads (read.c) issued and waited for (prefetch.c). Openers
 * own regions (region.c); whatever is under way holds a region, and by it the file.
 */
#ifndef COLINK_PRIVATE_H
#define COLINK_PRIVATE_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include <linux/colink.h>

struct cgroup_subsys_state;
struct eventfd_ctx;
struct mem_cgroup;
struct seq_file;

/* counters.c: what the module did since it was loaded, and its regions, in debugfs. */

enum colink_counter {
	COLINK_COUNT_REQUESTS,
	COLINK_COUNT_EXTENTS,
	COLINK_COUNT_EXTENTS_REFUSED,
	COLINK_COUNT_PAGES_RESIDENT,
	COLINK_COUNT_PAGES_READ,
	COLINK_COUNT_PAGES_GIVEN_UP,
	COLINK_COUNT_GAP_PAGES,
	COLINK_COUNT_IOS,
	COLINK_COUNT_PAGES_DROPPED,
	COLINK_COUNT_BPF_QUEUED,
	COLINK_COUNT_BPF_REFUSED,
	COLINK_COUNT_BPF_DROPPED,
	COLINK_COUNTERS
};

void colink_count(enum colink_counter counter, unsigned long by);
void colink_counters_init(void);
void colink_counters_exit(void);

/* region.c: openers and regions. */

/*
 * One open /dev/colink and what it uses of its quotas. Requests that outlive the
 * file keep it.
 */
struct colink_opener {
	struct kref refs;
	atomic_long_t regions;
	atomic_long_t requests; /* these three: of requests that are not complete */
	atomic_long_t extents;
	atomic_long_t pages;
};

struct colink_region {
	struct kref refs;
	struct rcu_head rcu;
	struct colink_opener *opener;
	struct file *file;
	u64 gap_bytes;		/* collapse limit for BPF's requests */
	u32 id;
	bool gone;		/* unregistered: what is not issued yet will not be */
	u32 n_layers;
	struct colink_layer layers[];
};

extern unsigned int colink_max_requests;
extern unsigned int colink_max_extents;
extern unsigned int colink_max_mib;

bool colink_quota_take(atomic_long_t *used, unsigned long n, unsigned long max);

struct colink_opener *colink_opener_new(void);
void colink_opener_close(struct colink_opener *opener);

int colink_region_register(struct colink_opener *opener, struct colink_register *args);
int colink_region_unregister(struct colink_opener *opener, unsigned long id);
struct colink_region *colink_region_find(const struct colink_opener *opener, u32 id);
struct colink_region *colink_region_get(const struct colink_opener *opener, u32 id);
void colink_region_put(struct colink_region *region);
void colink_regions_show(struct seq_file *out);

/* spans.c: extents as bytes. */

struct colink_span {
	u64 start;
	u64 end;	/* exclusive */
};

int colink_span_of(const struct colink_region *region, u32 layer, u64 first, u64 count,
		   struct colink_span *span);
struct colink_span *colink_spans_copy(const struct colink_region *region, u64 extents, u32 n,
				      gfp_t gfp, u32 *n_spans);
void colink_spans_sort(struct colink_span *spans, u32 n);

/* charge.c: who pays, and whether there is memory to spare. */

struct colink_charge {
	struct mem_cgroup *memcg;
	struct cgroup_subsys_state *blkcg;
};

void colink_charge_get(struct colink_charge *charge);
void colink_charge_put(struct colink_charge *charge);
struct mem_cgroup *colink_charge_begin(const struct colink_charge *charge);
void colink_charge_end(struct mem_cgroup *previous);
bool colink_memory_short(const struct colink_charge *charge, gfp_t gfp, unsigned long pages);

/* plan.c: which pages a request has to read. */

/* Pages looked at without a break; the look-ups are under RCU. */
#define COLINK_SLICE_PAGES 4096

/* No device has a break-even gap of 16 MiB; a longer look would not be cut in slices. */
#define COLINK_MAX_GAP_PAGES ((u64)(16 << 20) >> PAGE_SHIFT)

struct colink_range {
	pgoff_t first;
	pgoff_t last;	/* inclusive */
};

/* A page's worth of ranges; a plan is a list of these. */
struct colink_range_block {
	struct list_head list;
	unsigned int n;
	struct colink_range ranges[];
};

struct colink_request {
	struct work_struct work;
	struct colink_region *region;
	struct colink_charge charge;
	struct eventfd_ctx *eventfd;
	struct list_head plan;
	struct colink_span *spans; /* of one that is waited for; else NULL */
	u32 n_spans;
	struct colink_result result;
	u64 id;
	ktime_t begin;
	u64 gap_pages;		/* longest gap to read over */
	u32 n_extents;		/* taken from the quota */
	unsigned int begun;	/* ranges of the plan's first block that are issued */
	bool speculative;
	bool others_read;	/* what was there when it was planned, in part */
	bool stopped;		/* issue no more */
};

bool colink_span_pages(const struct colink_span *span, u64 file_size, pgoff_t *cursor,
		       struct colink_range *pages);
gfp_t colink_request_gfp(const struct colink_request *request);
int colink_plan(struct colink_request *request, const struct colink_span *spans, u32 n);
struct colink_range_block *colink_plan_last(const struct colink_request *request);
void colink_plan_free(struct colink_request *request);

/* read.c: reads of the page cache. */

unsigned long colink_start_reading(struct file *file, pgoff_t first, unsigned long pages);

/* prefetch.c: requests. */

struct colink_request *colink_request_new(struct colink_region *region,
					  const struct colink_charge *charge, u32 n_extents,
					  u64 gap_bytes, bool speculative);
void colink_request_issue(struct colink_request *request);
void colink_request_finish_later(struct colink_request *request);
void colink_request_finish(struct colink_request *request);
int colink_prefetch(struct colink_opener *opener, struct colink_prefetch *args);
int colink_drop(struct colink_opener *opener, struct colink_drop *args);
int colink_prefetch_init(void);
void colink_prefetch_exit(void);

/* kfunc.c: BPF's way in. Programs call it by its BTF id, which an optimizing linker can't see. */

struct file_ra_state;
struct readahead_control;
struct vm_fault;

int __used bpf_colink_prefetch(u32 region, u32 layer, u64 first, u64 count);
int __used bpf_colink_fault_reads(u32 region, struct vm_fault *fault);
int __used bpf_colink_fault_returns(u32 region, struct vm_fault *fault);
int __used bpf_colink_read_only(u32 region, struct readahead_control *ractl,
				struct file_ra_state *ra, u64 first, u32 pages);
int colink_kfunc_init(void);
void colink_kfunc_exit(void);

#endif /* COLINK_PRIVATE_H */
