/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libcolink: have many ranges of a file brought into the page cache by one call.
 *
 * A prefetcher belongs to one open file. It asks by the best way that there is: the module
 * (/dev/colink), posix_fadvise(2), or io_uring. Whichever it is, ranges are sorted and
 * joined, what is resident drops out where the kernel tells, and gaps shorter than what
 * another I/O costs are read over. colink_prefetch(3) has an example.
 *
 * Functions that can fail return 0 or a negative errno. Nothing is printed, no signal is
 * used, nothing is global. One prefetcher is for one thread at a time; several, of one file
 * or of many, can be used at once.
 */
#ifndef COLINK_PREFETCH_H
#define COLINK_PREFETCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct colink_prefetcher;

/* Ways of asking. AUTO takes the first that there is, by these numbers. */
enum colink_backend {
	COLINK_BACKEND_AUTO = 0,
	COLINK_BACKEND_MODULE = 1, /* one ioctl of colink.ko for all ranges */
	COLINK_BACKEND_FADVISE = 2, /* a posix_fadvise(2) each */
	/*
	 * IORING_OP_FADVISE (Linux 5.6): workers of the kernel give the advice. The call returns
	 * 15 times sooner, and the data come later: for who has something else to do and a
	 * processor that has not.
	 */
	COLINK_BACKEND_URING = 3
};

/* gap_bytes: never read over a gap. */
#define COLINK_GAP_NONE ((uint64_t)-1)

/*
 * Begins with its own size, so that it can grow: a program built against an older header
 * passes a smaller one, and what it does not know is taken as 0. Zero it, then set `size`.
 */
struct colink_prefetcher_options {
	size_t size; /* sizeof(struct colink_prefetcher_options) */
	uint32_t backend; /* enum colink_backend; other than AUTO: this one or none */
	uint32_t flags; /* 0 */
	/*
	 * Read over gaps of up to so many bytes; what `colink bench device` says of the
	 * device (gap_bytes). 0: 16 KiB, as of a phone's UFS 4.0.
	 */
	uint64_t gap_bytes;
	char *message; /* where colink_prefetcher_open() says in a line why it failed, or NULL */
	size_t message_size;
};

/* Bytes [offset, offset + bytes) of the file. */
struct colink_range {
	uint64_t offset;
	uint64_t bytes;
};

/* Return when all pages of the ranges have been read. Without it, reading goes on. */
#define COLINK_PREFETCH_WAIT (1U << 0)
/*
 * The ranges may not be needed: ask for none rather than take memory from others. The
 * module backs off, before each page; the kernel's own interfaces do not know this, and
 * the other backends ask as ever.
 */
#define COLINK_PREFETCH_SPECULATIVE (1U << 1)

/* What a call came to, in bytes of whole pages. */
struct colink_prefetch_counts {
	uint64_t wanted_bytes; /* pages of the ranges, each once, within the file */
	uint64_t resident_bytes; /* of these, found in the page cache; 0 where it is not told */
	uint64_t asked_bytes; /* the others, and the gaps */
	uint64_t gap_bytes; /* of these, only because of gaps that are read over */
	uint64_t ios; /* pieces that were asked for: the reads, if the disk takes each as one */
	uint64_t given_up_bytes; /* module, WAIT: asked for and not read, memory was short */
	uint64_t reserved[2]; /* 0 */
};

/*
 * A prefetcher for the regular file that is open for reading as `fd`, which stays the
 * caller's and must stay open until the prefetcher is closed. `options` may be NULL: all 0.
 * *prefetcher is for colink_prefetcher_close(); when it fails, it is NULL.
 *
 * -EBADF	not open for reading		-EISDIR, -ESPIPE, -EINVAL  not a regular file
 * -EINVAL	wrong options, O_DIRECT		-E2BIG	options of a newer header, which are set
 * -ENOMEM	out of memory			other: why the backend asked for is not there
 */
int colink_prefetcher_open(int fd, const struct colink_prefetcher_options *options,
			   struct colink_prefetcher **prefetcher);

/* Reads that were asked for go on. NULL: does nothing. */
void colink_prefetcher_close(struct colink_prefetcher *prefetcher);

/*
 * Ask for n ranges, in any order, overlapping or not. An empty range is none, and what lies
 * beyond the end of the file as it is now is left out. `counts` may be NULL. No ranges: does
 * nothing, and `ranges` may be NULL.
 *
 * -EINVAL	unknown flags, or an offset or a length over INT64_MAX (one that was negative);
 *		nothing was asked
 * -ENOMEM	out of memory, nothing was asked
 * -EDQUOT	the module's quotas (max_*) were in the way of some
 * -EIO		WAIT: a page cannot be read
 *
 * and what else the kernel says. Then *counts is what had been done.
 */
int colink_prefetch(struct colink_prefetcher *prefetcher, const struct colink_range *ranges,
		    size_t n, unsigned flags, struct colink_prefetch_counts *counts);

/* Which way it is; never AUTO. */
enum colink_backend colink_prefetcher_backend(const struct colink_prefetcher *prefetcher);

/*
 * A line for people: which way it is, why not one before it, and whether it is known what is
 * resident. The prefetcher's, as long as it is open.
 */
const char *colink_prefetcher_describe(const struct colink_prefetcher *prefetcher);

/* A line on the last call that failed, or "". The prefetcher's, until the next call. */
const char *colink_prefetcher_error(const struct colink_prefetcher *prefetcher);

#ifdef __cplusplus
}
#endif

#endif
