/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The interface of the colink module: /dev/colink.
 *
 * A program opens the device, registers files that it has open for reading
 * (regions), and asks in one call for many extents of a region to be brought into
 * the page cache. Everything an open device holds (regions, requests in flight)
 * ends when it is closed.
 *
 * Structures begin with their own size. A program built against an older header
 * passes a smaller one; what the kernel has and the program does not know is not
 * written, what the program has and the kernel does not know must be zero (-E2BIG
 * otherwise), as for clone3(2) and openat2(2).
 */
#ifndef _UAPI_LINUX_COLINK_H
#define _UAPI_LINUX_COLINK_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Most extents in one call, and most layers of a region. */
#define COLINK_MAX_EXTENTS 65536
#define COLINK_MAX_LAYERS 4096

/*
 * Geometry of one layer: `slots` bundles of `stride` bytes, the first at `offset`.
 * Layers must not overlap.
 */
struct colink_layer {
	__u64 offset;
	__u32 stride;
	__u32 slots;
};

/* COLINK_REGISTER: returns the id of the region, > 0, unique within the open device. */
struct colink_register {
	__u32 size;
	__s32 fd; /* a regular file with a page cache, open for reading */
	__u32 n_layers; /* may be 0: the region is then addressed by bytes only */
	__u32 flags; /* 0 */
	__aligned_u64 layers; /* struct colink_layer[n_layers] */
};

/* `layer` of an extent that is a range of bytes. */
#define COLINK_BYTES 0xffffffffU

/*
 * What to bring in: slots [first, first + count) of a layer, or, where layer is
 * COLINK_BYTES, bytes. What lies beyond the end of the file is left out.
 */
struct colink_extent {
	__u64 first;
	__u64 count;
	__u32 layer;
	__u32 reserved; /* 0 */
};

/* Return when all pages asked for have been read, or their reading has failed. */
#define COLINK_WAIT (1U << 0)
/*
 * The program may not need these pages: back off when memory is short instead of
 * reclaiming any. Without it a request is wanted, and may reclaim within the
 * memory cgroup of the caller.
 */
#define COLINK_SPECULATIVE (1U << 1)

/* What a request did. Pages are of the system's page size. */
struct colink_result {
	__u32 extents; /* handled */
	__u32 refused; /* not handled: out of the geometry, over a quota, no memory */
	__u64 pages_resident; /* asked for and in the page cache already */
	__u64 pages_issued; /* reads were started for, collapsed gaps included */
	__u64 gap_bytes; /* of these, only because of collapse */
	__u64 ios; /* ranges that reads were started for */
};

/*
 * COLINK_PREFETCH: extents in any order, overlapping or not. They are sorted,
 * pages already resident drop out, neighbours are joined, gaps of at most
 * `gap_bytes` are read over (0: never), and what remains is issued under one plug.
 * Returns 0 when at least one extent was handled or none was given.
 */
struct colink_prefetch {
	__u32 size;
	__u32 region;
	__u32 flags;
	__u32 n_extents;
	__aligned_u64 extents; /* struct colink_extent[n_extents] */
	__u64 gap_bytes;
	__s32 eventfd; /* signalled when all is read; -1: none */
	__u32 reserved; /* 0 */
	struct colink_result result; /* out; without COLINK_WAIT what is known on return */
};

/* COLINK_DROP: pages wholly within the extents leave the page cache, unless in use or dirty. */
struct colink_drop {
	__u32 size;
	__u32 region;
	__u32 flags; /* 0 */
	__u32 n_extents;
	__aligned_u64 extents;
	__u64 pages_dropped; /* out */
};

#define COLINK_IOC_MAGIC 0xC0
#define COLINK_REGISTER _IOW(COLINK_IOC_MAGIC, 0x00, struct colink_register)
#define COLINK_UNREGISTER _IO(COLINK_IOC_MAGIC, 0x01) /* argument: id of the region */
#define COLINK_PREFETCH _IOWR(COLINK_IOC_MAGIC, 0x02, struct colink_prefetch)
#define COLINK_DROP _IOWR(COLINK_IOC_MAGIC, 0x03, struct colink_drop)

#endif /* _UAPI_LINUX_COLINK_H */
