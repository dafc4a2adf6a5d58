// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: issue what was planned, wait for it, account for it.
 *
 * A program that waits does all this in its own call. Otherwise the call issues no more
 * than an idle disk has room for, and a worker the rest, because issuing more blocks; it
 * acts for the task that asked (charge.c). BPF's requests are issued by the worker of
 * the queue (kfunc.c) and waited for by another.
 *
 * Nobody is told when a page cache read ends, so it is waited for: page by page, of
 * which only those that are still being read make anybody sleep.
 */
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "private.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/*
 * Pages issued between looks at signals, memory and the end of the file; at first up to twice
 * as many, so that the rest begins at a multiple, where a large folio can.
 */
#define WANTED_CHUNK		512
#define SPECULATIVE_CHUNK	64

/*
 * What a call that does not wait issues by itself: as many reads as the queue of a UFS
 * device holds (32 in UFS 2.0 and later), if they are short. They keep the disk busy
 * until the worker has woken up.
 */
#define CALLER_RANGES		32
#define CALLER_PAGES		1024

/*
 * Requests are issued on one queue and waited for on another, so that those that wait for
 * a slow disk keep nobody else from being issued; BPF's queue has one of its own (kfunc.c).
 * None is freezable: suspend would have to wait for the slowest disk.
 */
static struct workqueue_struct *issue_workqueue;
static struct workqueue_struct *wait_workqueue;

static atomic_long_t next_id;

static bool may_issue(const struct colink_request *request, unsigned long pages)
{
	if (request->stopped || READ_ONCE(request->region->gone) || fatal_signal_pending(current))
		return false;
	return !request->speculative ||
	       !colink_memory_short(&request->charge,
				    readahead_gfp_mask(request->region->file->f_mapping), pages);
}

static void issue_range(struct colink_request *request, const struct colink_range *range)
{
	struct file *file = request->region->file;
	unsigned long most = request->speculative ? SPECULATIVE_CHUNK : WANTED_CHUNK;
	pgoff_t index = range->first;

	if (!request->stopped)
		trace_colink_issue(request, file->f_mapping->host, range->first,
				   range->last - range->first + 1);
	while (index <= range->last) {
		unsigned long pages = min(range->last + 1, round_up(index + most, most)) - index;

		if (may_issue(request, pages)) {
			unsigned long started = colink_start_reading(file, index, pages);

			index += started;
			if (started == pages)
				continue;
		}
		request->stopped = true;
		request->result.pages_given_up += range->last - index + 1;
		break;
	}
	cond_resched();
}

/* What of the plan is not issued yet: of its first block those from `begun` on. */
static void issue_rest(struct colink_request *request)
{
	unsigned int from = request->begun;
	struct colink_range_block *block;

	list_for_each_entry(block, &request->plan, list) {
		for (; from < block->n; from++)
			issue_range(request, &block->ranges[from]);
		from = 0;
	}
}

void colink_request_issue(struct colink_request *request)
{
	struct mem_cgroup *previous = colink_charge_begin(&request->charge);
	struct blk_plug plug;

	blk_start_plug(&plug);
	issue_rest(request);
	blk_finish_plug(&plug);
	colink_charge_end(previous);
}

/*
 * The plan's first n ranges, of its first block. The first of all goes to the disk before
 * the others are prepared.
 */
static void issue_first(struct colink_request *request, unsigned int n)
{
	struct mem_cgroup *previous = colink_charge_begin(&request->charge);
	struct colink_range_block *block;
	struct blk_plug plug;

	block = list_first_entry(&request->plan, struct colink_range_block, list);
	issue_range(request, &block->ranges[0]);
	blk_start_plug(&plug);
	for (request->begun = 1; request->begun < n; request->begun++)
		issue_range(request, &block->ranges[request->begun]);
	blk_finish_plug(&plug);
	colink_charge_end(previous);
}

/* How many ranges, from the first on, the caller may issue without having to wait. */
static unsigned int caller_ranges(const struct colink_request *request)
{
	const struct colink_range_block *block;
	unsigned long pages = 0;
	unsigned int i;

	/* With others in flight, the disk may be busy. */
	if (list_empty(&request->plan) || atomic_long_read(&request->region->opener->requests) > 1)
		return 0;
	block = list_first_entry(&request->plan, struct colink_range_block, list);
	for (i = 0; i < min(block->n, CALLER_RANGES); i++) {
		pages += block->ranges[i].last - block->ranges[i].first + 1;
		if (pages > CALLER_PAGES)
			break;
	}
	return i;
}

/*
 * The first page in [*index, last] that is being read, with a reference, and where it
 * is; NULL when there is none.
 */
static struct folio *next_being_read(struct address_space *mapping, pgoff_t *index, pgoff_t last)
{
	XA_STATE(xas, &mapping->i_pages, *index);
	struct folio *folio;

	rcu_read_lock();
	xas_for_each(&xas, folio, last) {
		if (xas_retry(&xas, folio) || xa_is_value(folio))
			continue;
		if (!folio_test_locked(folio) || folio_test_uptodate(folio))
			continue;
		if (!folio_try_get(folio)) {
			xas_reset(&xas);
			continue;
		}
		if (folio != xas_reload(&xas)) {
			folio_put(folio);
			xas_reset(&xas);
			continue;
		}
		*index = xas.xa_index;
		break;
	}
	rcu_read_unlock();
	return folio;
}

static int wait_for_slice(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	struct folio *folio;
	int error;

	while ((folio = next_being_read(mapping, &first, last))) {
		error = folio_wait_locked_killable(folio);
		folio_put(folio);
		if (error)
			return error;
	}
	return 0;
}

static int wait_for_range(struct address_space *mapping, const struct colink_range *range)
{
	pgoff_t first, last;
	int error;

	for (first = range->first; first <= range->last; first = last + 1) {
		last = min(range->last, first + COLINK_SLICE_PAGES - 1);
		error = wait_for_slice(mapping, first, last);
		if (error)
			return error;
		cond_resched();
	}
	return 0;
}

/* Wait for what was issued. */
static int wait_for_plan(const struct colink_request *request)
{
	struct address_space *mapping = request->region->file->f_mapping;
	struct colink_range_block *block;
	unsigned int i;
	int error;

	list_for_each_entry(block, &request->plan, list) {
		for (i = 0; i < block->n; i++) {
			error = wait_for_range(mapping, &block->ranges[i]);
			if (error)
				return error;
		}
	}
	return 0;
}

/* Wait for all that was asked for, of which others have been reading some already. */
static int wait_for_spans(const struct colink_request *request)
{
	struct address_space *mapping = request->region->file->f_mapping;
	u64 file_size = i_size_read(mapping->host);
	struct colink_range pages;
	pgoff_t cursor = 0;
	int error;
	u32 i;

	for (i = 0; i < request->n_spans; i++) {
		if (!colink_span_pages(&request->spans[i], file_size, &cursor, &pages))
			continue;
		error = wait_for_range(mapping, &pages);
		if (error)
			return error;
	}
	return 0;
}

/*
 * Wait for what was issued last: by then the rest is read, as a rule, and looking at it
 * makes nobody sleep. One sleep for a request instead of one for each read.
 */
static int wait_for_last(const struct colink_request *request)
{
	struct colink_range_block *block = colink_plan_last(request);

	return block ? wait_for_range(request->region->file->f_mapping,
				      &block->ranges[block->n - 1]) :
		       0;
}

/* Fails only for a task that is killed, not for a worker. */
static int wait_for_request(const struct colink_request *request)
{
	int error = wait_for_last(request);

	if (error)
		return error;
	return request->spans && request->others_read ? wait_for_spans(request) :
							wait_for_plan(request);
}

static void wait_work(struct work_struct *work)
{
	struct colink_request *request = container_of(work, struct colink_request, work);

	wait_for_request(request);
	colink_request_finish(request);
}

static void issue_work(struct work_struct *work)
{
	struct colink_request *request = container_of(work, struct colink_request, work);

	colink_request_issue(request);
	colink_request_finish_later(request);
}

/*
 * A request on the region, with nothing planned yet. The charge is the request's own
 * from then on, the region gets another reference. An error pointer when over a quota.
 */
struct colink_request *colink_request_new(struct colink_region *region,
					  const struct colink_charge *charge, u32 n_extents,
					  u64 gap_bytes, bool speculative)
{
	struct colink_opener *opener = region->opener;
	struct colink_request *request;
	int error = -EDQUOT;

	if (!colink_quota_take(&opener->requests, 1, READ_ONCE(colink_max_requests)))
		return ERR_PTR(error);
	if (!colink_quota_take(&opener->extents, n_extents, READ_ONCE(colink_max_extents)))
		goto release_request;

	error = -ENOMEM;
	request = kzalloc(sizeof(*request),
			  speculative ? __GFP_NOWARN | __GFP_ACCOUNT : GFP_KERNEL_ACCOUNT);
	if (!request)
		goto release_extents;
	INIT_LIST_HEAD(&request->plan);
	kref_get(&region->refs);
	request->region = region;
	request->charge = *charge;
	request->id = atomic_long_inc_return(&next_id);
	request->begin = ktime_get();
	request->gap_pages = min(gap_bytes >> PAGE_SHIFT, COLINK_MAX_GAP_PAGES);
	request->n_extents = n_extents;
	request->speculative = speculative;
	return request;

release_extents:
	atomic_long_sub(n_extents, &opener->extents);
release_request:
	atomic_long_dec(&opener->requests);
	return ERR_PTR(error);
}

/* Let a worker wait for what was issued, and finish. */
void colink_request_finish_later(struct colink_request *request)
{
	INIT_WORK(&request->work, wait_work);
	queue_work(wait_workqueue, &request->work);
}

/* Issue what a busy disk does not make the caller wait for; let a worker do the rest. */
static void issue_without_waiting(struct colink_request *request)
{
	unsigned int n = caller_ranges(request);

	if (n)
		issue_first(request, n);
	if (request->begun == request->result.ios) {
		colink_request_finish_later(request);
		return;
	}
	INIT_WORK(&request->work, issue_work);
	queue_work(issue_workqueue, &request->work);
}

static void count_result(const struct colink_result *result)
{
	colink_count(COLINK_COUNT_REQUESTS, 1);
	colink_count(COLINK_COUNT_EXTENTS, result->extents);
	colink_count(COLINK_COUNT_EXTENTS_REFUSED, result->refused);
	colink_count(COLINK_COUNT_PAGES_RESIDENT, result->pages_resident);
	colink_count(COLINK_COUNT_PAGES_READ, result->pages_issued - result->pages_given_up);
	colink_count(COLINK_COUNT_PAGES_GIVEN_UP, result->pages_given_up);
	colink_count(COLINK_COUNT_GAP_PAGES, result->gap_bytes >> PAGE_SHIFT);
	colink_count(COLINK_COUNT_IOS, result->ios);
}

/* What a program has waited for, and is about to use. */
static void trace_wanted(const struct colink_request *request)
{
	const struct inode *inode = request->region->file->f_mapping->host;
	u64 file_size = i_size_read(inode);
	pgoff_t first, last, cursor = 0;
	struct colink_range pages;
	u32 i;

	if (!trace_colink_want_enabled() || request->speculative)
		return;
	for (i = 0; i < request->n_spans; i++) {
		if (!colink_span_pages(&request->spans[i], file_size, &cursor, &pages))
			continue;
		for (first = pages.first; first <= pages.last; first = last + 1) {
			last = min(pages.last, first + COLINK_SLICE_PAGES - 1);
			trace_colink_want(request, inode, first, last - first + 1);
			cond_resched();
		}
	}
}

/* All is read or given up: account for it, say so, free the request. */
void colink_request_finish(struct colink_request *request)
{
	struct colink_opener *opener = request->region->opener;

	trace_wanted(request);
	trace_colink_complete(request, ktime_to_ns(ktime_sub(ktime_get(), request->begin)));
	count_result(&request->result);
	atomic_long_sub(request->result.pages_issued, &opener->pages);
	atomic_long_sub(request->n_extents, &opener->extents);
	atomic_long_dec(&opener->requests);
	if (request->eventfd) {
		compat_eventfd_signal(request->eventfd);
		eventfd_ctx_put(request->eventfd);
	}
	colink_plan_free(request);
	kvfree(request->spans);
	colink_charge_put(&request->charge);
	colink_region_put(request->region);
	kfree(request);
}

/*
 * Plan what the program asks. Fails when nothing at all could be handled; the request
 * is good, with what it could plan, in any case.
 */
static int plan_extents(struct colink_request *request, const struct colink_prefetch *args)
{
	struct colink_span *spans;
	u32 n;
	int error;

	spans = colink_spans_copy(request->region, args->extents, args->n_extents,
				  colink_request_gfp(request), &n);
	if (IS_ERR(spans))
		return PTR_ERR(spans);
	request->result.refused = args->n_extents - n;
	error = colink_plan(request, spans, n);
	if (args->flags & COLINK_WAIT || args->eventfd != -1) {
		request->spans = spans;
		request->n_spans = n;
	} else {
		kvfree(spans);
	}
	trace_colink_queue(request);
	if (request->result.extents || !args->n_extents)
		return 0;
	return error ? error : -ERANGE;
}

static int request_eventfd(struct colink_request *request, int fd)
{
	struct eventfd_ctx *eventfd;

	if (fd == -1)
		return 0;
	eventfd = eventfd_ctx_fdget(fd);
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	request->eventfd = eventfd;
	return 0;
}

static int run_request(struct colink_request *request, struct colink_prefetch *args)
{
	int error = 0;

	args->result = request->result;
	if (!request->result.pages_issued && !request->spans) {
		colink_request_finish(request);
	} else if (args->flags & COLINK_WAIT) {
		colink_request_issue(request);
		args->result = request->result;
		error = wait_for_request(request);
		if (error)
			colink_request_finish_later(request);
		else
			colink_request_finish(request);
	} else {
		issue_without_waiting(request);
	}
	return error;
}

int colink_prefetch(struct colink_opener *opener, struct colink_prefetch *args)
{
	struct colink_request *request;
	struct colink_region *region;
	struct colink_charge charge;
	int error;

	if (args->flags & ~(COLINK_WAIT | COLINK_SPECULATIVE) || args->reserved ||
	    args->n_extents > COLINK_MAX_EXTENTS)
		return -EINVAL;
	region = colink_region_get(opener, args->region);
	if (!region)
		return -ENOENT;
	colink_charge_get(&charge);
	request = colink_request_new(region, &charge, args->n_extents, args->gap_bytes,
				     args->flags & COLINK_SPECULATIVE);
	colink_region_put(region);
	if (IS_ERR(request)) {
		colink_charge_put(&charge);
		return PTR_ERR(request);
	}
	error = plan_extents(request, args);
	if (!error)
		error = request_eventfd(request, args->eventfd);
	if (!error)
		return run_request(request, args);

	request->result.pages_given_up = request->result.pages_issued;
	args->result = request->result;
	request->n_spans = 0; /* nobody waits */
	colink_request_finish(request);
	return error;
}

/* Joined first, so that a page that two spans share is dropped too. */
static int drop_spans(struct file *file, const struct colink_span *spans, u32 n)
{
	u64 start, end;
	int error;
	u32 i;

	for (i = 0; i < n;) {
		start = spans[i].start;
		end = spans[i].end;
		for (i++; i < n && spans[i].start <= end; i++)
			end = max(end, spans[i].end);
		if (start == end)
			continue;
		error = vfs_fadvise(file, start, end - start, POSIX_FADV_DONTNEED);
		if (error)
			return error;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

int colink_drop(struct colink_opener *opener, struct colink_drop *args)
{
	struct colink_region *region;
	struct address_space *mapping;
	struct colink_span *spans;
	unsigned long before, after;
	u32 n;
	int error;

	if (args->flags || args->n_extents > COLINK_MAX_EXTENTS)
		return -EINVAL;
	region = colink_region_get(opener, args->region);
	if (!region)
		return -ENOENT;
	spans = colink_spans_copy(region, args->extents, args->n_extents, GFP_KERNEL_ACCOUNT, &n);
	if (IS_ERR(spans)) {
		error = PTR_ERR(spans);
		goto put_region;
	}
	mapping = region->file->f_mapping;
	before = READ_ONCE(mapping->nrpages);
	error = drop_spans(region->file, spans, n);
	after = READ_ONCE(mapping->nrpages);
	args->pages_dropped = before > after ? before - after : 0;
	colink_count(COLINK_COUNT_PAGES_DROPPED, args->pages_dropped);
	kvfree(spans);
put_region:
	colink_region_put(region);
	return error;
}

int colink_prefetch_init(void)
{
	issue_workqueue = alloc_workqueue("colink_issue", WQ_UNBOUND, 0);
	wait_workqueue = alloc_workqueue("colink_wait", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (issue_workqueue && wait_workqueue)
		return 0;
	colink_prefetch_exit();
	return -ENOMEM;
}

/* Waits for requests that outlived their opener: those to be issued will be waited for. */
void colink_prefetch_exit(void)
{
	if (issue_workqueue)
		destroy_workqueue(issue_workqueue);
	if (wait_workqueue)
		destroy_workqueue(wait_workqueue);
}
