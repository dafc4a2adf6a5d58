// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads through io_uring. With O_DIRECT the data goes from the device into the
 * arena without a copy, and each read is widened to the alignment of direct I/O.
 *
 * Reads wait in a list of ours until fewer than the queue depth are in flight;
 * the kernel then has them as soon as source_submit() or source_wait() returns.
 * With deferred task work (Linux 6.1) completions are handled only inside those
 * calls, by the thread that made the ring: the computing threads are never
 * interrupted, but nothing new starts between two calls either. Hence a queue
 * depth that covers what should run unattended, and source_advance().
 *
 * A wait asks for as many completions as it knows to be missing (fewer while reads
 * are waiting for their turn, to refill the queue early): one system call brings
 * many completions, and nothing polls.
 */
#define _GNU_SOURCE
#include "storage/source_ops.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include "storage/direct_io.h"

/* While reads wait for their turn, refill when this part of the queue has drained. */
#define REFILL_FRACTION 4

struct uring {
	struct io_uring ring;
	bool deferred; /* completions are handled by us alone, inside a call */
	bool registered_file;
	bool registered_arena;
	uint32_t in_flight; /* entries given to the ring, not completed */
	struct source_read *waiting; /* not started yet, in order */
	struct source_read **waiting_end;
	struct source_counts counts;
	struct source_counts finished;
};

static void append_waiting(struct uring *uring, struct source_read *read)
{
	read->next = NULL;
	*uring->waiting_end = read;
	uring->waiting_end = &read->next;
}

static void drop_waiting(struct uring *uring)
{
	uring->waiting = NULL;
	uring->waiting_end = &uring->waiting;
}

static struct source_read *take_waiting(struct uring *uring)
{
	struct source_read *read = uring->waiting;

	uring->waiting = read->next;
	if (!uring->waiting)
		uring->waiting_end = &uring->waiting;
	return read;
}

/* The aligned range around a read, and where in its room that range goes. */
struct widened {
	uint64_t begin;
	uint64_t end;
	char *memory;
};

static struct widened widen(const struct source *source, const struct source_read *read)
{
	uint64_t mask = source->alignment - 1;
	uintptr_t gap = -(uintptr_t)read->room & mask;

	return (struct widened){
		.begin = read->offset & ~mask,
		.end = (read->offset + read->length + mask) & ~mask,
		.memory = read->room + gap,
	};
}

/* An aligned range may go beyond the end of the file; nothing is read there. */
static uint64_t bytes_in_file(const struct source *source, uint64_t begin, uint64_t end)
{
	return (end < source->file_bytes ? end : source->file_bytes) - begin;
}

/* Fill one entry: the whole read, or what a short read left of it. */
static void prepare(struct source *source, struct io_uring_sqe *sqe, struct source_read *read)
{
	struct uring *uring = source->state;
	struct widened range = widen(source, read);
	uint32_t resume = read->transferred & ~(source->alignment - 1);
	uint64_t begin = range.begin + resume;
	unsigned int length = (unsigned int)(range.end - begin);
	int fd = uring->registered_file ? 0 : source->fd;

	if (uring->registered_arena)
		io_uring_prep_read_fixed(sqe, fd, range.memory + resume, length, begin, 0);
	else
		io_uring_prep_read(sqe, fd, range.memory + resume, length, begin);
	if (uring->registered_file)
		sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, read);
	uring->counts.reads++;
	uring->counts.bytes += bytes_in_file(source, begin, range.end);
	source_started(source, begin, length);
}

static void start_waiting(struct source *source)
{
	struct uring *uring = source->state;

	while (uring->waiting && uring->in_flight < source->queue_depth) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

		if (!sqe)
			break;
		prepare(source, sqe, take_waiting(uring));
		uring->in_flight++;
	}
}

static void complete(struct source *source, struct source_read *read, int result)
{
	struct widened range = widen(source, read);
	struct uring *uring = source->state;
	uint32_t resumed = read->transferred & ~(source->alignment - 1);
	uint32_t total;

	uring->in_flight--;
	if (result == -EINTR || result == -EAGAIN) {
		append_waiting(uring, read);
		return;
	}
	if (result < 0) {
		source_fail(source, read, result);
		return;
	}
	total = resumed + (uint32_t)result;
	if (range.begin + total >= read->offset + read->length) {
		read->data = range.memory + (read->offset - range.begin);
		read->done = true;
		uring->finished.reads++;
		uring->finished.bytes += bytes_in_file(source, range.begin, range.end);
	} else if (total <= read->transferred) {
		/* Nothing came beyond where the last try ended, so the file ends there. */
		source_fail_early_end(source, read, range.begin + total);
	} else {
		read->transferred = total;
		append_waiting(uring, read);
	}
}

static void reap(struct source *source)
{
	struct uring *uring = source->state;
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;

	io_uring_for_each_cqe(&uring->ring, head, cqe) {
		complete(source, io_uring_cqe_get_data(cqe), cqe->res);
		n++;
	}
	io_uring_cq_advance(&uring->ring, n);
}

/* The kernel lacks memory for an entry: let something finish, or time pass. */
static int let_memory_return(struct uring *uring)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct io_uring_cqe *cqe;

	if (uring->in_flight > io_uring_sq_ready(&uring->ring))
		return io_uring_wait_cqe(&uring->ring, &cqe);
	nanosleep(&pause, NULL);
	return 0;
}

/* Start what may be started, block for `n_complete` completions (or 0), take what is there. */
static int advance(struct source *source, uint32_t n_complete, struct error *err)
{
	struct uring *uring = source->state;
	int ret;

	start_waiting(source);
	if (n_complete)
		ret = io_uring_submit_and_wait(&uring->ring, n_complete);
	else if (uring->deferred)
		ret = io_uring_submit_and_get_events(&uring->ring);
	else
		ret = io_uring_submit(&uring->ring);
	if (ret == -EAGAIN || ret == -EBUSY)
		ret = let_memory_return(uring);
	if (ret < 0 && ret != -EINTR)
		return error_set(err, ret, "%s: io_uring stopped working: %s", source->path,
				 strerror(-ret));
	reap(source);
	return 0;
}

static int uring_submit(struct source *source, struct source_read *reads, uint32_t n_reads,
			struct error *err)
{
	struct uring *uring = source->state;
	int ret = source_failure(source, err);

	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < n_reads; i++)
		append_waiting(uring, &reads[i]);
	do {
		ret = advance(source, 0, err);
		if (ret == 0)
			ret = source_failure(source, err);
		if (ret < 0)
			return ret;
	} while (uring->waiting && uring->in_flight < source->queue_depth);
	return 0;
}

/* A ring that stopped working does so in the wait that follows, too. */
static void uring_advance(struct source *source)
{
	const struct uring *uring = source->state;

	if (uring->waiting)
		advance(source, 0, NULL);
}

static uint32_t count_missing(const struct source_read *reads, uint32_t n_reads)
{
	uint32_t missing = 0;

	for (uint32_t i = 0; i < n_reads; i++)
		missing += !reads[i].done;
	return missing;
}

static int uring_wait(struct source *source, const struct source_read *reads, uint32_t n_reads,
		      struct error *err)
{
	struct uring *uring = source->state;
	uint32_t refill = (source->queue_depth + REFILL_FRACTION - 1) / REFILL_FRACTION;

	for (;;) {
		uint32_t missing = count_missing(reads, n_reads);
		int ret = source_failure(source, err);

		if (ret < 0 || missing == 0)
			return ret;
		start_waiting(source);
		if (uring->waiting && missing > refill)
			missing = refill;
		ret = advance(source, missing, err);
		if (ret < 0)
			return ret;
	}
}

static void uring_get_finished(const struct source *source, uint64_t *reads, uint64_t *bytes)
{
	const struct uring *uring = source->state;

	*reads = uring->finished.reads;
	*bytes = uring->finished.bytes;
}

static int uring_get_counts(const struct source *source, struct source_counts *counts,
			    struct error *err)
{
	const struct uring *uring = source->state;

	(void)err;
	*counts = uring->counts;
	return 0;
}

static int make_ring(struct source *source, struct uring *uring, struct error *err)
{
	static const unsigned int wishes[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, /* Linux 6.1 */
		IORING_SETUP_SINGLE_ISSUER, /* 6.0 */
		0,
	};
	int ret = -EINVAL;

	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]) && ret == -EINVAL; i++) {
		ret = io_uring_queue_init(source->queue_depth, &uring->ring, wishes[i]);
		uring->deferred = wishes[i] & IORING_SETUP_DEFER_TASKRUN;
	}
	if (ret < 0)
		return error_set(err, ret,
				 "io_uring cannot be set up: %s; the pread source works without",
				 strerror(-ret));
	return 0;
}

static int uring_start(struct source *source, struct error *err)
{
	struct iovec arena = { source->arena, source->arena_bytes };
	struct uring *uring = calloc(1, sizeof(*uring));
	uint32_t alignment;
	int ret;

	if (!uring)
		return error_no_memory(err, "io_uring");
	ret = make_ring(source, uring, err);
	if (ret < 0) {
		free(uring);
		return ret;
	}
	drop_waiting(uring);
	/* These may fail for want of locked memory, or by a kernel's limit: do without. */
	uring->registered_file = io_uring_register_files(&uring->ring, &source->fd, 1) == 0;
	uring->registered_arena = io_uring_register_buffers(&uring->ring, &arena, 1) == 0;
	alignment = direct_io_enable(source->fd);
	source->alignment = alignment ? alignment : 1;
	source->state = uring;
	snprintf(source->description, sizeof(source->description),
		 "io_uring%s, %s, %s buffers, %s file, depth %u",
		 uring->deferred ? " with deferred task work" : "",
		 alignment ? "O_DIRECT" : "through the page cache",
		 uring->registered_arena ? "registered" : "plain",
		 uring->registered_file ? "registered" : "plain", source->queue_depth);
	return 0;
}

/* The kernel may still write to the arena: it must be done with it before we return. */
static void uring_stop(struct source *source)
{
	struct uring *uring = source->state;

	drop_waiting(uring);
	while (uring->in_flight && advance(source, 1, NULL) == 0)
		drop_waiting(uring); /* short reads are not continued */
	io_uring_queue_exit(&uring->ring);
	free(uring);
}

const struct source_ops source_uring_ops = {
	.name = "uring",
	.start = uring_start,
	.stop = uring_stop,
	.submit = uring_submit,
	.wait = uring_wait,
	.advance = uring_advance,
	.get_finished = uring_get_finished,
	.get_counts = uring_get_counts,
};
