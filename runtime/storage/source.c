// SPDX-License-Identifier: GPL-2.0-only
/* What all sources have in common: opening, checking requests, reporting failures. */
#define _GNU_SOURCE
#include "storage/source_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/amount.h"
#include "base/file.h"
#include "storage/read_ahead.h"

static const struct source_ops *const all_ops[] = {
	&source_uring_ops,
	&source_pread_ops,
	&source_mmap_ops,
	&source_kernel_ops,
};

/* A read in flight in io_uring: entries of both queues, the request, the I/O's pages. */
#define KERNEL_BYTES_OF_READ 1024
/* Of a registered page: in io_uring's list, and in one that is needed to make it. */
#define KERNEL_BYTES_OF_PAGE 24
#define PAGE 4096

static int open_file(struct source *source, const char *path, struct error *err)
{
	source->fd = file_open_read(path, &source->file_bytes, err);
	if (source->fd < 0)
		return source->fd;
	if (source->file_bytes == 0)
		return error_set(err, -EINVAL, "%s: is empty", path);
	if (source->own_read_ahead && source->read_ahead_kib) {
		close(source->fd);
		source->fd = read_ahead_open(path, source->read_ahead_kib, err);
		if (source->fd < 0)
			return source->fd;
	}
	/* Some file systems under io_uring take O_NONBLOCK at its word: -EAGAIN, no waiting. */
	if (fcntl(source->fd, F_SETFL, 0) < 0)
		return error_set(err, -errno, "%s: cannot change open flags: %s", path,
				 strerror(errno));
	return 0;
}

/* uring where the kernel, its policy and the memory limits let it be set up. */
static int start_auto(struct source *source, struct error *err)
{
	struct error why = { 0 };
	size_t length;
	int ret;

	source->ops = &source_uring_ops;
	if (source->ops->start(source, &why) == 0)
		return 0;
	source->ops = &source_pread_ops;
	ret = source->ops->start(source, err);
	if (ret < 0)
		return ret;
	length = strlen(source->description);
	snprintf(source->description + length, sizeof(source->description) - length,
		 " (no io_uring: %s)", strerror(-why.code));
	return 0;
}

static const struct source_ops *find_ops(const char *name)
{
	for (size_t i = 0; i < sizeof(all_ops) / sizeof(all_ops[0]); i++)
		if (!strcmp(name, all_ops[i]->name))
			return all_ops[i];
	return NULL;
}

static int start_named(struct source *source, const char *name, struct error *err)
{
	if (!strcmp(name, "auto"))
		return start_auto(source, err);
	source->ops = find_ops(name);
	if (!source->ops)
		return error_set(err, -EINVAL,
				 "no source is named '%s'; there are auto, uring, pread, mmap, "
				 "kernel", name);
	return source->ops->start(source, err);
}

bool source_uses_arena(const char *name)
{
	const struct source_ops *ops = find_ops(name);

	return !ops || !ops->zero_copy;
}

uint64_t source_kernel_bytes(const char *name, uint64_t arena_bytes, uint32_t queue_depth)
{
	const struct source_ops *ops = find_ops(name);

	/* Of "auto" it is not known yet. */
	if (ops && ops != &source_uring_ops)
		return 0;
	return amount_sum((uint64_t)queue_depth * KERNEL_BYTES_OF_READ,
			  amount_product(arena_bytes / PAGE + 1, KERNEL_BYTES_OF_PAGE));
}

/* `wanted`: a source of which arena, depth and read-ahead are set. */
static int open_as(const char *name, const char *path, const struct source *wanted,
		   struct source **result, struct error *err)
{
	struct source *source = malloc(sizeof(*source));
	int ret;

	if (!source)
		return error_no_memory(err, "a source");
	*source = *wanted;
	source->fd = -1;
	source->alignment = 1;
	source->path = strdup(path);
	if (!source->path) {
		ret = error_no_memory(err, "a source");
		goto fail;
	}
	ret = open_file(source, path, err);
	if (ret < 0)
		goto fail;
	ret = start_named(source, name, err);
	if (ret < 0)
		goto fail;
	*result = source;
	return 0;
fail:
	if (source->fd >= 0)
		close(source->fd);
	free(source->path);
	free(source);
	return ret;
}

void source_observe(struct source *source, const struct source_observer *observer)
{
	source->observer = observer;
}

int source_open(const char *name, const char *path, void *arena, size_t arena_bytes,
		uint32_t queue_depth, struct source **result, struct error *err)
{
	const struct source wanted = {
		.arena = arena,
		.arena_bytes = arena_bytes,
		.queue_depth = queue_depth,
	};

	if (queue_depth == 0 || queue_depth > SOURCE_MAX_QUEUE_DEPTH)
		return error_set(err, -EINVAL, "queue depth %u is not within 1 to %u", queue_depth,
				 SOURCE_MAX_QUEUE_DEPTH);
	return open_as(name, path, &wanted, result, err);
}

int source_open_mapped(const char *path, uint32_t read_ahead_kib, struct source **result,
		       struct error *err)
{
	const struct source wanted = {
		.own_read_ahead = true,
		.read_ahead_kib = read_ahead_kib,
	};

	return open_as(source_mmap_ops.name, path, &wanted, result, err);
}

int source_open_kernel(const char *path, const struct source_kernel_options *options,
		       struct source **result, struct error *err)
{
	const struct source wanted = { .kernel = *options };

	return open_as(source_kernel_ops.name, path, &wanted, result, err);
}

void source_close(struct source *source)
{
	if (!source)
		return;
	source->ops->stop(source);
	close(source->fd);
	free(source->path);
	free(source);
}

const char *source_name(const struct source *source)
{
	return source->ops->name;
}

const char *source_describe(const struct source *source)
{
	return source->description;
}

bool source_is_direct(const struct source *source)
{
	return source->alignment > 1;
}

/* Both ends of the range and the start of the room are each moved by less than one unit. */
size_t source_room(const struct source *source, uint32_t length)
{
	size_t slack = source->alignment - 1;

	if (source->ops->zero_copy)
		return 0;
	return (((size_t)length + slack + slack) & ~slack) + slack;
}

size_t source_footprint(const struct source *source, uint32_t length)
{
	return source->ops->prefetches ? length : source_room(source, length);
}

bool source_reads_on_touch(const struct source *source)
{
	return source->ops->zero_copy && !source->ops->prefetches;
}

bool source_collapses(const struct source *source)
{
	return source->ops->prefetches;
}

static int check_read(const struct source *source, const struct source_read *read,
		      struct error *err)
{
	size_t room = source_room(source, read->length);
	uintptr_t begin = (uintptr_t)source->arena, at = (uintptr_t)read->room;

	if (read->length == 0 || read->length > SOURCE_MAX_LENGTH)
		return error_set(err, -EINVAL, "%s: a read of %u bytes at offset %llu",
				 source->path, read->length, (unsigned long long)read->offset);
	if (read->offset > source->file_bytes ||
	    read->length > source->file_bytes - read->offset)
		return error_set(err, -EINVAL,
				 "%s: %u bytes at offset %llu lie beyond its end at %llu",
				 source->path, read->length, (unsigned long long)read->offset,
				 (unsigned long long)source->file_bytes);
	if (room && (at < begin || at - begin > source->arena_bytes ||
		     room > source->arena_bytes - (at - begin)))
		return error_set(err, -EINVAL,
				 "%s: no room in the arena for %u bytes of offset %llu",
				 source->path, read->length, (unsigned long long)read->offset);
	return 0;
}

int source_submit(struct source *source, struct source_read *reads, uint32_t n_reads,
		  struct error *err)
{
	for (uint32_t i = 0; i < n_reads; i++) {
		int ret = check_read(source, &reads[i], err);

		if (ret < 0)
			return ret;
	}
	for (uint32_t i = 0; i < n_reads; i++) {
		reads[i].data = NULL;
		reads[i].done = false;
		reads[i].next = NULL;
		reads[i].transferred = 0;
	}
	return source->ops->submit(source, reads, n_reads, err);
}

int source_wait(struct source *source, const struct source_read *reads, uint32_t n_reads,
		struct error *err)
{
	return source->ops->wait(source, reads, n_reads, err);
}

void source_advance(struct source *source)
{
	if (source->ops->advance)
		source->ops->advance(source);
}

void source_release(struct source *source, const struct source_read *reads, uint32_t n_reads)
{
	if (source->ops->release)
		source->ops->release(source, reads, n_reads);
}

void source_get_finished(const struct source *source, uint64_t *reads, uint64_t *bytes)
{
	*reads = 0;
	*bytes = 0;
	if (source->ops->get_finished)
		source->ops->get_finished(source, reads, bytes);
}

int source_get_counts(const struct source *source, struct source_counts *counts,
		      struct error *err)
{
	return source->ops->get_counts(source, counts, err);
}

void source_fail(struct source *source, const struct source_read *read, int code)
{
	if (source->failure.code == 0)
		error_set(&source->failure, code, "%s: read of %u bytes at offset %llu: %s",
			  source->path, read->length, (unsigned long long)read->offset,
			  strerror(-code));
}

void source_fail_early_end(struct source *source, const struct source_read *read, uint64_t end)
{
	if (source->failure.code == 0)
		error_set(&source->failure, -EIO,
			  "%s: ends at offset %llu, within a read of %u bytes at offset %llu; "
			  "it became shorter while in use",
			  source->path, (unsigned long long)end, read->length,
			  (unsigned long long)read->offset);
}

int source_failure(const struct source *source, struct error *err)
{
	if (source->failure.code && err)
		*err = source->failure;
	return source->failure.code;
}
