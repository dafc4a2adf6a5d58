// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench/prefetch_methods.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/kernel_device.h"

/* Reads and advice in flight. */
#define RING_ENTRIES 128

static bool always(const struct prefetch_tools *tools)
{
	(void)tools;
	return true;
}

static bool with_ring(const struct prefetch_tools *tools)
{
	return tools->has_ring;
}

static bool with_module(const struct prefetch_tools *tools)
{
	return tools->device >= 0;
}

static int failed(const struct prefetch_tools *tools, const char *call,
		  const struct extent *extent, int error, struct error *err)
{
	return error_set(err, -error, "%s: %s of %" PRIu64 " bytes at %" PRIu64 ": %s",
			 tools->file->path, call, extent->bytes, extent->offset, strerror(error));
}

/* Nothing: whoever touches a page waits for it. */
static int ask_nothing(struct prefetch_tools *tools, const struct extent *extents, size_t n,
		       struct error *err)
{
	(void)tools;
	(void)extents;
	(void)n;
	(void)err;
	return 0;
}

static int ask_readahead(struct prefetch_tools *tools, const struct extent *extents, size_t n,
			 struct error *err)
{
	for (size_t i = 0; i < n; i++)
		if (readahead(tools->file->fd, extents[i].offset, extents[i].bytes))
			return failed(tools, "readahead", &extents[i], errno, err);
	return 0;
}

static int ask_fadvise(struct prefetch_tools *tools, const struct extent *extents, size_t n,
		       struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		int error = posix_fadvise(tools->file->fd, extents[i].offset, extents[i].bytes,
					  POSIX_FADV_WILLNEED);

		if (error)
			return failed(tools, "fadvise", &extents[i], error, err);
	}
	return 0;
}

static int ask_madvise(struct prefetch_tools *tools, const struct extent *extents, size_t n,
		       struct error *err)
{
	for (size_t i = 0; i < n; i++)
		if (madvise((void *)&tools->file->map[extents[i].offset], extents[i].bytes,
			    MADV_WILLNEED))
			return failed(tools, "madvise", &extents[i], errno, err);
	return 0;
}

static void prepare_fadvise(struct prefetch_tools *tools, struct io_uring_sqe *sqe,
			    const struct extent *extent, size_t i)
{
	(void)i;
	io_uring_prep_fadvise(sqe, tools->file->fd, extent->offset, extent->bytes,
			      POSIX_FADV_WILLNEED);
}

/* What is read is not looked at: only the page cache matters. */
static void prepare_read(struct prefetch_tools *tools, struct io_uring_sqe *sqe,
			 const struct extent *extent, size_t i)
{
	io_uring_prep_read(sqe, tools->file->fd,
			   &tools->buffers[i % RING_ENTRIES * PREFETCH_MAX_EXTENT],
			   extent->bytes, extent->offset);
}

/* Complete all that is in flight beyond `keep`. */
static int reap(struct prefetch_tools *tools, const struct extent *extents, size_t *in_flight,
		size_t keep, struct error *err)
{
	while (*in_flight > keep) {
		struct io_uring_cqe *cqe;
		int ret = io_uring_wait_cqe(&tools->ring, &cqe);
		size_t i;

		if (ret == -EINTR)
			continue;
		if (ret < 0)
			return error_set(err, ret, "io_uring: %s", strerror(-ret));
		i = io_uring_cqe_get_data64(cqe);
		ret = cqe->res;
		io_uring_cqe_seen(&tools->ring, cqe);
		(*in_flight)--;
		if (ret < 0)
			return failed(tools, "io_uring", &extents[i], -ret, err);
	}
	return 0;
}

static int ask_ring(struct prefetch_tools *tools, const struct extent *extents, size_t n,
		    void (*prepare)(struct prefetch_tools *tools, struct io_uring_sqe *sqe,
				    const struct extent *extent, size_t i),
		    struct error *err)
{
	size_t in_flight = 0;
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0;) {
		for (; i < n && in_flight < RING_ENTRIES; i++, in_flight++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&tools->ring);

			prepare(tools, sqe, &extents[i], i);
			io_uring_sqe_set_data64(sqe, i);
		}
		ret = io_uring_submit(&tools->ring);
		if (ret < 0)
			return error_set(err, ret, "io_uring: %s", strerror(-ret));
		/* Half of the ring at a time: fewer calls, and the disk does not run dry. */
		ret = reap(tools, extents, &in_flight, i < n ? RING_ENTRIES / 2 : 0, err);
	}
	return ret;
}

static int ask_ring_fadvise(struct prefetch_tools *tools, const struct extent *extents, size_t n,
			    struct error *err)
{
	return ask_ring(tools, extents, n, prepare_fadvise, err);
}

static int ask_ring_read(struct prefetch_tools *tools, const struct extent *extents, size_t n,
			 struct error *err)
{
	return ask_ring(tools, extents, n, prepare_read, err);
}

static int call_module(struct prefetch_tools *tools, const struct extent *extents, size_t n,
		       uint32_t flags, struct error *err)
{
	struct colink_extent *asked = malloc(n * sizeof(*asked));
	struct colink_prefetch args = {
		.region = tools->region,
		.flags = flags,
		.n_extents = n,
		.extents = (uintptr_t)asked,
		.gap_bytes = tools->gap_bytes,
		.eventfd = -1,
	};
	int ret;

	if (!asked)
		return error_no_memory(err, "extents");
	for (size_t i = 0; i < n; i++)
		asked[i] = (struct colink_extent){
			.first = extents[i].offset,
			.count = extents[i].bytes,
			.layer = COLINK_BYTES,
		};
	ret = kernel_device_prefetch(tools->device, tools->file->path, &args, err);
	if (ret == 0 && args.result.refused)
		ret = error_set(err, -EDQUOT, "%s: the module refused %u of %zu extents (module "
				"parameters max_*)", tools->file->path, args.result.refused, n);
	free(asked);
	return ret;
}

static int ask_module(struct prefetch_tools *tools, const struct extent *extents, size_t n,
		      struct error *err)
{
	return call_module(tools, extents, n, COLINK_WAIT, err);
}

static int ask_module_only(struct prefetch_tools *tools, const struct extent *extents, size_t n,
			   struct error *err)
{
	return call_module(tools, extents, n, 0, err);
}

static int ask_library(struct prefetch_tools *tools, const struct extent *extents, size_t n,
		       struct error *err)
{
	struct colink_range *ranges = malloc(n * sizeof(*ranges));
	int ret;

	if (!ranges)
		return error_no_memory(err, "extents");
	for (size_t i = 0; i < n; i++)
		ranges[i] = (struct colink_range){ extents[i].offset, extents[i].bytes };
	ret = colink_prefetch(tools->library, ranges, n, 0, NULL);
	if (ret < 0)
		error_set(err, ret, "%s: libcolink: %s", tools->file->path,
			  colink_prefetcher_error(tools->library));
	free(ranges);
	return ret;
}

const struct prefetch_method prefetch_methods[] = {
	{ "fault", always, ask_nothing },
	{ "readahead", always, ask_readahead },
	{ "fadvise", always, ask_fadvise },
	{ "madvise", always, ask_madvise },
	{ "uring-fadvise", with_ring, ask_ring_fadvise },
	{ "uring-read", with_ring, ask_ring_read },
	{ "colink", with_module, ask_module },
	{ "colink-async", with_module, ask_module_only },
	{ "libcolink", always, ask_library },
};

const size_t n_prefetch_methods = sizeof(prefetch_methods) / sizeof(prefetch_methods[0]);

static int open_module(struct prefetch_tools *tools, struct error *err)
{
	int ret = kernel_device_open(&tools->device, err);

	if (ret < 0) {
		tools->device = -1;
		return ret;
	}
	ret = kernel_device_register(tools->device, tools->file->fd, tools->file->path, NULL, 0, 0,
				     &tools->region, err);
	if (ret < 0) {
		close(tools->device);
		tools->device = -1;
	}
	return ret;
}

static int open_library(struct prefetch_tools *tools, struct error *err)
{
	char message[ERROR_MESSAGE_SIZE];
	const struct colink_prefetcher_options options = {
		.size = sizeof(options),
		.backend = COLINK_BACKEND_FADVISE,
		.gap_bytes = tools->gap_bytes ? tools->gap_bytes : COLINK_GAP_NONE,
		.message = message,
		.message_size = sizeof(message),
	};
	int ret = colink_prefetcher_open(tools->file->fd, &options, &tools->library);

	return ret < 0 ? error_set(err, ret, "%s: %s", tools->file->path, message) : 0;
}

int prefetch_tools_open(struct prefetch_tools *tools, const struct extent_file *file,
			uint64_t gap_bytes, struct error *missing, struct error *err)
{
	int ret;

	*tools = (struct prefetch_tools){ .file = file, .gap_bytes = gap_bytes, .device = -1 };
	ret = open_library(tools, err);
	if (ret < 0)
		return ret;
	tools->buffers = malloc(RING_ENTRIES * PREFETCH_MAX_EXTENT);
	if (!tools->buffers) {
		colink_prefetcher_close(tools->library);
		return error_no_memory(err, "buffers");
	}
	tools->has_ring = io_uring_queue_init(RING_ENTRIES, &tools->ring, 0) == 0;
	if (open_module(tools, missing) == 0)
		missing->message[0] = '\0';
	return 0;
}

void prefetch_tools_close(struct prefetch_tools *tools)
{
	if (tools->device >= 0)
		close(tools->device);
	if (tools->has_ring)
		io_uring_queue_exit(&tools->ring);
	colink_prefetcher_close(tools->library);
	free(tools->buffers);
}
