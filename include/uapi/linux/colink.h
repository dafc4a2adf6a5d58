/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The interface of the colink module: /dev/colink.
 *
 * A program opens the device, registers files that it has open for reading
 * (regions), and asks in one call for many extents of a region to be brought into
 * the page cache. Everything an open device holds ends when it is closed: its
 * regions are gone, and of its requests only reads that the disk has already
 * been given go on.
 *
 * Structures begin with their own size. A program built against an older header
 * passes a smaller one; what the kernel has and the program does not know is not
 * written, what the program has and the kernel does not know must be zero (-E2BIG
 * otherwise), as for clone3(2) and openat2(2). The numbers of the calls do not
 * depend on these sizes.
 */
#ifndef _UAPI_LINUX_COLINK_H
#define _UAPI_LINUX_COLINK_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Most extents in one call, and most layers of a region. */
#define COLINK_MAX_EXTENTS	65536
#define COLINK_MAX_LAYERS	4096

/* Geometry of one layer: `slots` bundles of `stride` bytes, the first at `offset`. */
struct colink_layer {
	__u64 offset;
	__u32 stride;
	__u32 slots;
};

/*
 * COLINK_REGISTER: returns the id of the region, > 0. It means this region as long
 * as it is registered, to the open device that registered it and, by the kfunc, to
 * BPF programs; to any other opener it does not exist.
 */
struct colink_register {
	__u32 size;
	__s32 fd;		/* a regular file with a page cache, open for reading */
	__u32 n_layers;		/* may be 0: the region is then addressed by bytes only */
	__u32 flags;		/* 0 */
	__aligned_u64 layers;	/* struct colink_layer[n_layers] */
	__aligned_u64 gap_bytes; /* as in colink_prefetch, for what BPF programs ask for */
	__aligned_u64 inode;	/* out: the file's, as BPF programs find it in struct inode */
	__u32 device;		/* out: of its file system, likewise: major << 20 | minor */
	__u32 reserved;		/* 0 */
};

/* `layer` of an extent that is a range of bytes. */
#define COLINK_BYTES		0xffffffffU

/*
 * What to bring in: slots [first, first + count) of a layer or, where layer is
 * COLINK_BYTES, bytes. What lies beyond the end of the file is left out.
 */
struct colink_extent {
	__aligned_u64 first;
	__aligned_u64 count;
	__u32 layer;
	__u32 reserved;		/* 0 */
};

/* Return when all pages asked for have been read, or their reading has failed. */
#define COLINK_WAIT		(1U << 0)
/*
 * The program may not need these pages: back off when memory is short instead of
 * reclaiming any. Without it a request is wanted, and may reclaim within the
 * memory cgroup of the caller.
 */
#define COLINK_SPECULATIVE	(1U << 1)

/*
 * What a request did. Pages are of the system's page size. Without COLINK_WAIT some reads
 * may have started when the call returns, the others start later: pages_issued and ios are
 * then what will be tried, pages_given_up is 0.
 */
struct colink_result {
	__u32 extents;		/* handled */
	__u32 refused;		/* not handled, at least in part: no such slots, over a quota */
	__aligned_u64 pages_resident; /* asked for and in the page cache already */
	__aligned_u64 pages_issued; /* to be read, collapsed gaps included */
	__aligned_u64 pages_given_up; /* of these, not read after all: memory was short */
	__aligned_u64 gap_bytes; /* of these, only because of collapse */
	__aligned_u64 ios;	/* ranges of pages to be read */
};

/*
 * COLINK_PREFETCH: extents in any order, overlapping or not. They are sorted,
 * pages already resident drop out, neighbours are joined, and what remains is
 * issued under one plug. Where no page between two ranges is resident and those
 * pages are at most `gap_bytes` together, they are read as well (0: never).
 *
 * Returns 0 when at least one extent was handled or none was given. Otherwise
 * -EDQUOT when a quota, -ERANGE when the geometry was in the way.
 */
struct colink_prefetch {
	__u32 size;
	__u32 region;
	__u32 flags;
	__u32 n_extents;
	__aligned_u64 extents;	/* struct colink_extent[n_extents] */
	__aligned_u64 gap_bytes;
	__s32 eventfd;		/* signalled when all is read or given up; -1: none */
	__u32 reserved;		/* 0 */
	struct colink_result result; /* out */
};

/*
 * COLINK_DROP: pages wholly within the extents leave the page cache, unless mapped,
 * in use or dirty, or in a large folio that reaches beyond the extents.
 */
struct colink_drop {
	__u32 size;
	__u32 region;
	__u32 flags;		/* 0 */
	__u32 n_extents;
	__aligned_u64 extents;	/* struct colink_extent[n_extents] */
	__aligned_u64 pages_dropped; /* out */
};

#define COLINK_IOC_MAGIC	0xBC
#define COLINK_REGISTER		_IO(COLINK_IOC_MAGIC, 0x00)
#define COLINK_UNREGISTER	_IO(COLINK_IOC_MAGIC, 0x01) /* argument: id of the region */
#define COLINK_PREFETCH		_IO(COLINK_IOC_MAGIC, 0x02)
#define COLINK_DROP		_IO(COLINK_IOC_MAGIC, 0x03)

#endif /* _UAPI_LINUX_COLINK_H */
