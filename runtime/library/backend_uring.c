// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same advice by io_uring: workers of the kernel bring the reads on their way, on
 * whichever processors are idle, and the caller goes on. They take more processor time in
 * all than the caller would. Without COLINK_PREFETCH_WAIT a call leaves advice in flight; the
 * next one takes what has come of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "library/prefetcher.h"

/* Pieces of advice in flight. Where there are more in a call, it waits for some. */
#define RING_ENTRIES 4096

static const char *why_not_set_up(int error)
{
	switch (error) {
	case -EPERM:
		return " (sysctl kernel.io_uring_disabled)";
	case -ENOMEM:
		return " (before Linux 5.12, ulimit -l)";
	default:
		return "";
	}
}

static int uring_open(struct colink_prefetcher *prefetcher, struct error *err)
{
	int ret = io_uring_queue_init(RING_ENTRIES, &prefetcher->ring, 0);
	struct io_uring_probe *probe;
	bool supported;

	if (ret < 0)
		return error_set(err, ret, "io_uring cannot be set up: %s%s", strerror(-ret),
				 why_not_set_up(ret));
	probe = io_uring_get_probe_ring(&prefetcher->ring);
	supported = probe && io_uring_opcode_supported(probe, IORING_OP_FADVISE);
	io_uring_free_probe(probe);
	if (!supported) {
		io_uring_queue_exit(&prefetcher->ring);
		return error_set(err, -EOPNOTSUPP, "io_uring gives no advice here (Linux 5.6)");
	}
	prefetcher->in_flight = 0;
	return 0;
}

static void uring_close(struct colink_prefetcher *prefetcher)
{
	io_uring_queue_exit(&prefetcher->ring);
}

static int failed(struct colink_prefetcher *prefetcher, int ret)
{
	return error_set(&prefetcher->error, ret, "%s: io_uring: %s", prefetcher->name,
			 strerror(-ret));
}

/* Until at most `keep` are in flight, and whatever is complete beside. The first error counts. */
static int reap(struct colink_prefetcher *prefetcher, unsigned int keep)
{
	int first = 0;

	for (;;) {
		struct io_uring_cqe *cqe;
		int ret;

		if (prefetcher->in_flight > keep)
			ret = io_uring_wait_cqe(&prefetcher->ring, &cqe);
		else
			ret = io_uring_peek_cqe(&prefetcher->ring, &cqe);
		if (ret == -EINTR)
			continue;
		if (ret == -EAGAIN)
			break;
		if (ret < 0)
			return failed(prefetcher, ret);
		ret = cqe->res;
		io_uring_cqe_seen(&prefetcher->ring, cqe);
		prefetcher->in_flight--;
		if (ret < 0 && first == 0)
			first = failed(prefetcher, ret);
	}
	return first;
}

/* What could not be submitted stays in the ring and goes with the next call. */
static int submit(struct colink_prefetcher *prefetcher)
{
	int ret;

	do {
		ret = io_uring_submit(&prefetcher->ring);
	} while (ret == -EINTR || (ret > 0 && io_uring_sq_ready(&prefetcher->ring)));
	return ret < 0 ? failed(prefetcher, ret) : 0;
}

static int submit_all(struct colink_prefetcher *prefetcher, struct colink_prefetch_counts *counts)
{
	struct advice_cursor cursor = { 0 };
	uint64_t offset, bytes;
	int ret;

	while (advice_next(prefetcher, &cursor, &offset, &bytes)) {
		struct io_uring_sqe *sqe;

		/* Half of the ring at a time: fewer calls, and the workers do not run dry. */
		if (prefetcher->in_flight == RING_ENTRIES) {
			ret = submit(prefetcher);
			if (ret == 0)
				ret = reap(prefetcher, RING_ENTRIES / 2);
			if (ret < 0)
				return ret;
		}
		sqe = io_uring_get_sqe(&prefetcher->ring);
		io_uring_prep_fadvise(sqe, prefetcher->fd, offset, (off_t)bytes,
				      POSIX_FADV_WILLNEED);
		prefetcher->in_flight++;
		counts->ios++;
	}
	return submit(prefetcher);
}

static int uring_ask(struct colink_prefetcher *prefetcher, unsigned int flags,
		     struct colink_prefetch_counts *counts)
{
	int ret = advice_plan(prefetcher, counts);

	if (ret == 0)
		ret = reap(prefetcher, RING_ENTRIES);
	if (ret == 0)
		ret = submit_all(prefetcher, counts);
	if (ret < 0 || !(flags & COLINK_PREFETCH_WAIT))
		return ret;
	ret = reap(prefetcher, 0);
	return ret < 0 ? ret : advice_wait(prefetcher);
}

const struct prefetch_backend prefetch_backend_uring = {
	.id = COLINK_BACKEND_URING,
	.name = "io_uring",
	.open = uring_open,
	.close = uring_close,
	.ask = uring_ask,
};
