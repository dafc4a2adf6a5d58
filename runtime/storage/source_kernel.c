// SPDX-License-Identifier: GPL-2.0-only
/*
 * The whole file mapped, and what is wanted of it brought into the page cache by the module
 * (include/uapi/linux/colink.h) before it is touched. Data is where the kernel has it: nothing
 * is copied, and what the page cache keeps is the cache.
 *
 * All reads of a submit go to the module in one call that does not wait. It leaves out pages
 * that are resident, which nobody here can know, and only then reads over short gaps: so reads
 * are given as they are wanted, and gap_bytes goes along. An eventfd tells when all is read;
 * a wait sleeps for that, once, and then touches the pages, so that who computes takes no
 * faults. Most are mapped already: a touch costs nothing then, and a call to have them mapped
 * would. What has left the page cache meanwhile, or what the module's quotas refused, is read
 * by the touch, a page at a time. A page that cannot be had is an error there, and not a SIGBUS
 * (base/page_touch.h).
 */
#define _GNU_SOURCE
#include "storage/source_ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/page_touch.h"
#include "base/random.h"
#include "kernel/kernel_device.h"
#include "storage/source_mapping.h"

/* Of reads that are cheap to read again one in this many is kept, as in cache_admission.c. */
#define ONE_IN 4

/* What one submit has asked for. Its reads know it by its number (read->transferred). */
struct batch {
	struct source_read *reads; /* (n_reads); NULL: they are done, the batch is free */
	uint32_t n_reads;
	bool issued; /* there is something to wait for */
	int eventfd;
	uint64_t asked; /* calls that the eventfd tells of when they are done, this batch's last */
	uint64_t told; /* of these, those that it has told of */
};

struct kernel_source {
	char *bytes; /* the mapping */
	size_t page;
	int device;
	uint32_t region;
	struct batch *batches; /* (n_batches): grows to as many as are ever in flight */
	uint32_t n_batches;
	struct colink_extent *extents; /* (room) */
	uint32_t room;
	struct random_state random; /* which long reads stay */
	struct source_counts counts; /* without faults */
	uint64_t faults_at_start;
};

static uint64_t major_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_majflt;
}

/* A batch that no read belongs to. */
static int take_batch(struct kernel_source *kernel, uint32_t *number, struct error *err)
{
	struct batch *larger;

	for (*number = 0; *number < kernel->n_batches; ++*number)
		if (!kernel->batches[*number].reads)
			return 0;
	larger = realloc(kernel->batches, (kernel->n_batches + 1) * sizeof(*larger));
	if (!larger)
		return error_no_memory(err, "reads in flight");
	kernel->batches = larger;
	larger[*number] = (struct batch){ .eventfd = eventfd(0, EFD_CLOEXEC) };
	if (larger[*number].eventfd < 0)
		return error_set(err, -errno, "cannot make an eventfd: %s", strerror(errno));
	kernel->n_batches++;
	return 0;
}

static int make_room(struct kernel_source *kernel, uint32_t n, struct error *err)
{
	struct colink_extent *larger;

	if (n <= kernel->room)
		return 0;
	larger = realloc(kernel->extents, n * sizeof(*larger));
	if (!larger)
		return error_no_memory(err, "extents");
	kernel->extents = larger;
	kernel->room = n;
	return 0;
}

static void count(struct kernel_source *kernel, const struct colink_result *result)
{
	uint64_t issued = result->pages_issued * kernel->page;
	uint64_t resident = result->pages_resident * kernel->page;

	kernel->counts.reads += result->ios;
	kernel->counts.bytes += issued;
	kernel->counts.gap_bytes += result->gap_bytes;
	kernel->counts.asked_bytes += issued - result->gap_bytes + resident;
	kernel->counts.resident_bytes += resident;
}

/* One call for at most COLINK_MAX_EXTENTS reads. */
static int prefetch(struct source *source, struct batch *batch, const struct source_read *reads,
		    uint32_t n, struct error *err)
{
	struct kernel_source *kernel = source->state;
	struct colink_prefetch args = {
		.region = kernel->region,
		.n_extents = n,
		.extents = (uintptr_t)kernel->extents,
		.gap_bytes = source->kernel.gap_bytes,
		.eventfd = batch->eventfd,
	};
	struct error why;
	int ret;

	for (uint32_t i = 0; i < n; i++)
		kernel->extents[i] = (struct colink_extent){
			.first = reads[i].offset,
			.count = reads[i].length,
			.layer = COLINK_BYTES,
		};
	ret = kernel_device_prefetch(kernel->device, source->path, &args, &why);
	if (ret == -EDQUOT)
		return 0; /* what the module's quotas refuse is left to the faults */
	if (ret < 0)
		return error_set(err, ret, "%s", why.message);
	batch->asked++;
	batch->issued = batch->issued || args.result.pages_issued;
	count(kernel, &args.result);
	return 0;
}

static int kernel_submit(struct source *source, struct source_read *reads, uint32_t n_reads,
			 struct error *err)
{
	struct kernel_source *kernel = source->state;
	uint32_t most = n_reads < COLINK_MAX_EXTENTS ? n_reads : COLINK_MAX_EXTENTS;
	struct batch *batch;
	uint32_t number = 0;
	int ret;

	if (n_reads == 0)
		return source_failure(source, err);
	ret = source_place_reads(source, kernel->bytes, reads, n_reads, err);
	if (ret == 0)
		ret = source_failure(source, err);
	if (ret == 0)
		ret = take_batch(kernel, &number, err);
	if (ret == 0)
		ret = make_room(kernel, most, err);
	if (ret < 0)
		return ret;
	batch = &kernel->batches[number];
	batch->issued = false;
	for (uint32_t i = 0; i < n_reads && ret == 0; i += most) {
		uint32_t n = n_reads - i < most ? n_reads - i : most;

		ret = prefetch(source, batch, reads + i, n, err);
	}
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < n_reads; i++)
		reads[i].transferred = number;
	batch->reads = reads;
	batch->n_reads = n_reads;
	return 0;
}

/* Sleep until all calls of the batch are done, which is free then. */
static int wait_for_batch(const struct source *source, struct batch *batch, struct error *err)
{
	while (batch->issued && batch->told < batch->asked) {
		uint64_t more;
		ssize_t got = read(batch->eventfd, &more, sizeof(more));

		if (got < 0 && errno == EINTR)
			continue;
		if (got != sizeof(more))
			return error_set(err, -EIO, "%s: cannot wait for the module: %s",
					 source->path, strerror(errno));
		batch->told += more;
	}
	for (uint32_t i = 0; i < batch->n_reads; i++)
		batch->reads[i].done = true;
	batch->reads = NULL;
	return 0;
}

/* A page of the read cannot be had: the file has ended, or it cannot be read. */
static void fail(struct source *source, const struct source_read *read)
{
	struct stat st;

	if (fstat(source->fd, &st) == 0 && read->offset + read->length > (uint64_t)st.st_size)
		source_fail_early_end(source, read, (uint64_t)st.st_size);
	else
		source_fail(source, read, -EIO);
}

/* Have the pages of the reads mapped, which most are: who computes takes no faults. */
static int touch_reads(struct source *source, const struct source_read *reads, uint32_t n_reads,
		       struct error *err)
{
	const struct kernel_source *kernel = source->state;

	for (uint32_t i = 0; i < n_reads; i++)
		if (page_touch(kernel->bytes + reads[i].offset, reads[i].length, kernel->page)) {
			fail(source, &reads[i]);
			return source_failure(source, err);
		}
	return 0;
}

static int kernel_wait(struct source *source, const struct source_read *reads, uint32_t n_reads,
		       struct error *err)
{
	struct kernel_source *kernel = source->state;
	int ret = source_failure(source, err);

	for (uint32_t i = 0; i < n_reads && ret == 0; i++)
		if (!reads[i].done)
			ret = wait_for_batch(source, &kernel->batches[reads[i].transferred], err);
	return ret == 0 ? touch_reads(source, reads, n_reads, err) : ret;
}

/* Pages that are the read's alone, of which there may be none. */
static struct colink_extent inner_pages(const struct kernel_source *kernel,
					const struct source_read *read)
{
	uint64_t mask = kernel->page - 1, end = (read->offset + read->length) & ~mask;
	struct colink_extent pages = {
		.first = (read->offset + mask) & ~mask,
		.layer = COLINK_BYTES,
	};

	if (end > pages.first)
		pages.count = end - pages.first;
	return pages;
}

/*
 * The admission of storage/cache_admission.c, for the page cache: what is read in long runs
 * costs little to read again. The module leaves mapped pages alone, so that they are unmapped
 * first. Nothing depends on it that any of this succeeds.
 */
static void kernel_release(struct source *source, const struct source_read *reads,
			   uint32_t n_reads)
{
	const struct source_kernel_options *options = &source->kernel;
	int advice = options->after_use == SOURCE_COLD ? MADV_COLD : MADV_DONTNEED;
	struct kernel_source *kernel = source->state;
	struct colink_drop args = { .region = kernel->region };

	if (options->after_use == SOURCE_KEEP)
		return;
	for (uint32_t i = 0; i < n_reads && args.n_extents < kernel->room; i++) {
		struct colink_extent pages = inner_pages(kernel, &reads[i]);

		if (reads[i].length < options->gap_bytes || pages.count == 0 ||
		    random_below(&kernel->random, ONE_IN) == 0)
			continue;
		madvise(kernel->bytes + pages.first, pages.count, advice);
		kernel->extents[args.n_extents++] = pages;
	}
	args.extents = (uintptr_t)kernel->extents;
	if (options->after_use == SOURCE_DROP && args.n_extents)
		kernel_device_drop(kernel->device, source->path, &args, NULL);
}

static int kernel_get_counts(const struct source *source, struct source_counts *counts,
			     struct error *err)
{
	const struct kernel_source *kernel = source->state;
	uint64_t faults = major_faults() - kernel->faults_at_start;

	(void)err;
	*counts = kernel->counts;
	counts->reads += faults;
	counts->bytes += faults * kernel->page;
	return 0;
}

static int open_region(struct source *source, struct kernel_source *kernel, struct error *err)
{
	struct error why;
	int ret = kernel_device_open(&kernel->device, &why);

	if (ret < 0) {
		kernel->device = -1;
		return error_set(err, ret, "%s; --io uring does without", why.message);
	}
	/* BPF programs have a region of their own, of colink load. */
	return kernel_device_register(kernel->device, source->fd, source->path, NULL, 0, 0,
				      &kernel->region, err);
}

static void free_kernel_source(struct kernel_source *kernel)
{
	if (kernel->device >= 0)
		close(kernel->device);
	for (uint32_t i = 0; i < kernel->n_batches; i++)
		close(kernel->batches[i].eventfd);
	free(kernel->batches);
	free(kernel->extents);
	free(kernel);
}

static int kernel_start(struct source *source, struct error *err)
{
	struct kernel_source *kernel = calloc(1, sizeof(*kernel));
	int ret;

	if (!kernel)
		return error_no_memory(err, "a mapping");
	kernel->page = (size_t)sysconf(_SC_PAGESIZE);
	ret = open_region(source, kernel, err);
	if (ret == 0)
		ret = source_map(source, &kernel->bytes, err);
	if (ret < 0)
		goto fail;
	ret = source_map_random(source, kernel->bytes, err);
	if (ret == 0)
		ret = page_touch_begin(err);
	if (ret < 0) {
		source_unmap(source, kernel->bytes);
		goto fail;
	}
	random_seed(&kernel->random, 0);
	kernel->faults_at_start = major_faults();
	source->state = kernel;
	snprintf(source->description, sizeof(source->description),
		 "the module's prefetch, computed on in the page cache");
	return 0;
fail:
	free_kernel_source(kernel);
	return ret;
}

/* What is still being read goes on, in the page cache, without us. */
static void kernel_stop(struct source *source)
{
	struct kernel_source *kernel = source->state;

	page_touch_end();
	source_unmap(source, kernel->bytes);
	free_kernel_source(kernel);
}

const struct source_ops source_kernel_ops = {
	.name = "kernel",
	.zero_copy = true,
	.prefetches = true,
	.start = kernel_start,
	.stop = kernel_stop,
	.submit = kernel_submit,
	.wait = kernel_wait,
	.release = kernel_release,
	.get_counts = kernel_get_counts,
};
