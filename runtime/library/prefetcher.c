// SPDX-License-Identifier: GPL-2.0-only
/*
 * What programs call: see include/colink/prefetch.h. The library is compiled with all of its
 * symbols hidden, but for the functions of that header.
 */
#define _GNU_SOURCE
#pragma GCC visibility push(default)
#include <colink/prefetch.h>
#pragma GCC visibility pop

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/prefetcher.h"
#include "library/read_limit.h"

/* What a/b of a UFS 4.0 phone is (arXiv 2410.19274). */
#define DEFAULT_GAP_BYTES ((uint64_t)16 << 10)

/* The least that options can be: they have been so since the first version. */
#define LEAST_OPTIONS sizeof(struct colink_prefetcher_options)

/* The first that can be had is taken: see Documentation/libcolink.rst for why in this order. */
static const struct prefetch_backend *const backends[] = {
	&prefetch_backend_module,
	&prefetch_backend_fadvise,
	&prefetch_backend_uring,
};

#define N_BACKENDS (sizeof(backends) / sizeof(backends[0]))

/* --- Options --- */

/* Options of a newer header are taken as long as what is new in them is 0. */
static int read_options(const struct colink_prefetcher_options *given,
			struct colink_prefetcher_options *options, struct error *err)
{
	const unsigned char *bytes = (const unsigned char *)given;

	*options = (struct colink_prefetcher_options){ 0 };
	if (!given)
		return 0;
	if (given->size < LEAST_OPTIONS)
		return error_set(err, -EINVAL, "options: a size of %zu bytes (set it to sizeof of "
				 "the structure)", given->size);
	memcpy(options, given, given->size < sizeof(*options) ? given->size : sizeof(*options));
	for (size_t i = sizeof(*options); i < given->size; i++)
		if (bytes[i])
			return error_set(err, -E2BIG, "options: made for a newer libcolink, which "
					 "has what is asked for");
	if (options->backend > COLINK_BACKEND_URING)
		return error_set(err, -EINVAL, "options: there is no backend %u",
				 options->backend);
	if (options->flags)
		return error_set(err, -EINVAL, "options: unknown flags 0x%x", options->flags);
	if (options->gap_bytes > INT64_MAX && options->gap_bytes != COLINK_GAP_NONE)
		return error_set(err, -EINVAL, "options: a gap over INT64_MAX (was it negative?)");
	return 0;
}

static void tell(const struct colink_prefetcher_options *options, const struct error *err)
{
	if (options && options->size >= LEAST_OPTIONS && options->message && options->message_size)
		snprintf(options->message, options->message_size, "%s", err->message);
}

/* --- The file --- */

static int check_file(const struct colink_prefetcher *prefetcher, struct stat *status,
		      struct error *err)
{
	const char *name = prefetcher->name;
	int flags = fcntl(prefetcher->fd, F_GETFL);

	if (flags < 0 || fstat(prefetcher->fd, status))
		return error_set(err, -errno, "%s: %s", name, strerror(errno));
	if (S_ISDIR(status->st_mode))
		return error_set(err, -EISDIR, "%s: is a directory", name);
	if (S_ISFIFO(status->st_mode) || S_ISSOCK(status->st_mode))
		return error_set(err, -ESPIPE, "%s: is a pipe or a socket, not a file", name);
	if (!S_ISREG(status->st_mode))
		return error_set(err, -EINVAL, "%s: not a regular file", name);
	if (flags & O_PATH || (flags & O_ACCMODE) == O_WRONLY)
		return error_set(err, -EBADF, "%s: not open for reading", name);
	if (flags & O_DIRECT)
		return error_set(err, -EINVAL, "%s: open with O_DIRECT, which goes past the page "
				 "cache", name);
	return 0;
}

static int set_up(struct colink_prefetcher *prefetcher, int fd,
		  const struct colink_prefetcher_options *options, struct error *err)
{
	struct stat status;
	int ret;

	prefetcher->fd = fd;
	snprintf(prefetcher->name, sizeof(prefetcher->name), "file descriptor %d", fd);
	prefetcher->page_shift = (unsigned int)__builtin_ctzl((unsigned long)
							      sysconf(_SC_PAGESIZE));
	prefetcher->gap_bytes = options->gap_bytes ? options->gap_bytes : DEFAULT_GAP_BYTES;
	if (options->gap_bytes == COLINK_GAP_NONE)
		prefetcher->gap_bytes = 0;
	ret = check_file(prefetcher, &status, err);
	if (ret < 0)
		return ret;
	prefetcher->limit_pages = read_limit_bytes("/sys", status.st_dev) >>
				  prefetcher->page_shift;
	if (prefetcher->limit_pages == 0)
		prefetcher->limit_pages = 1;
	prefetcher->residency = (struct page_residency){ fd, prefetcher->page_shift };
	return 0;
}

/* --- Which backend --- */

static void describe(struct colink_prefetcher *prefetcher, const char *missing)
{
	char *text = prefetcher->describe;
	size_t size = sizeof(prefetcher->describe);
	int why = 0;

	prefetcher->residency_told = page_residency_told(&prefetcher->residency, &why);
	snprintf(text, size, "%s%s", prefetcher->backend->name, missing);
	/* The module sees for itself. */
	if (prefetcher->residency_told || prefetcher->backend->id == COLINK_BACKEND_MODULE)
		return;
	snprintf(text + strlen(text), size - strlen(text), "; what is resident is not known: "
		 "cachestat: %s%s", strerror(why), why == ENOSYS ? " (Linux 6.5)" : "");
}

/* The one asked for, or the first that can be had. */
static int choose_backend(struct colink_prefetcher *prefetcher, uint32_t asked,
			  struct error *err)
{
	char missing[PREFETCHER_DESCRIBE_SIZE / 2] = "";
	int ret = -EINVAL;

	for (size_t i = 0; i < N_BACKENDS; i++) {
		size_t length = strlen(missing);

		if (asked != COLINK_BACKEND_AUTO && asked != backends[i]->id)
			continue;
		ret = backends[i]->open(prefetcher, err);
		if (ret == 0) {
			prefetcher->backend = backends[i];
			describe(prefetcher, missing);
			return 0;
		}
		snprintf(missing + length, sizeof(missing) - length, "; not %s: %s",
			 backends[i]->name, err->message);
	}
	return ret;
}

int colink_prefetcher_open(int fd, const struct colink_prefetcher_options *given,
			   struct colink_prefetcher **out)
{
	struct colink_prefetcher_options options;
	struct colink_prefetcher *prefetcher;
	struct error err = { 0 };
	int ret;

	*out = NULL;
	ret = read_options(given, &options, &err);
	if (ret < 0) {
		tell(given, &err);
		return ret;
	}
	prefetcher = calloc(1, sizeof(*prefetcher));
	if (!prefetcher) {
		ret = error_no_memory(&err, "a prefetcher");
	} else {
		ret = set_up(prefetcher, fd, &options, &err);
		if (ret == 0)
			ret = choose_backend(prefetcher, options.backend, &err);
	}
	if (ret < 0) {
		tell(given, &err);
		free(prefetcher);
		return ret;
	}
	*out = prefetcher;
	return 0;
}

void colink_prefetcher_close(struct colink_prefetcher *prefetcher)
{
	if (!prefetcher)
		return;
	prefetcher->backend->close(prefetcher);
	page_runs_free(&prefetcher->wanted);
	page_runs_free(&prefetcher->asked);
	free(prefetcher);
}

/* --- Use --- */

static int prefetch(struct colink_prefetcher *prefetcher, const struct colink_range *ranges,
		    size_t n, unsigned int flags, struct colink_prefetch_counts *counts)
{
	struct error *err = &prefetcher->error;
	struct stat status;
	int ret;

	if (flags & ~(COLINK_PREFETCH_WAIT | COLINK_PREFETCH_SPECULATIVE))
		return error_set(err, -EINVAL, "%s: unknown flags 0x%x", prefetcher->name, flags);
	if (n && !ranges)
		return error_set(err, -EINVAL, "%s: %zu ranges at NULL", prefetcher->name, n);
	if (fstat(prefetcher->fd, &status))
		return error_set(err, -errno, "%s: %s", prefetcher->name, strerror(errno));
	ret = page_runs_make(&prefetcher->wanted, ranges, n, (uint64_t)status.st_size,
			     prefetcher->page_shift, err);
	if (ret < 0 || prefetcher->wanted.n == 0)
		return ret;
	counts->wanted_bytes = page_runs_pages(&prefetcher->wanted) << prefetcher->page_shift;
	return prefetcher->backend->ask(prefetcher, flags, counts);
}

int colink_prefetch(struct colink_prefetcher *prefetcher, const struct colink_range *ranges,
		    size_t n, unsigned int flags, struct colink_prefetch_counts *counts)
{
	struct colink_prefetch_counts own = { 0 };
	int ret;

	prefetcher->error.message[0] = '\0';
	ret = prefetch(prefetcher, ranges, n, flags, &own);
	if (counts)
		*counts = own;
	return ret;
}

enum colink_backend colink_prefetcher_backend(const struct colink_prefetcher *prefetcher)
{
	return prefetcher->backend->id;
}

const char *colink_prefetcher_describe(const struct colink_prefetcher *prefetcher)
{
	return prefetcher->describe;
}

const char *colink_prefetcher_error(const struct colink_prefetcher *prefetcher)
{
	return prefetcher->error.message;
}
