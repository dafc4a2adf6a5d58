/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps of io_stat, as the programs and whoever loads them see them.
 *
 *   files         io_file_key -> io_file       filled by the loader; all others are ignored
 *   disks         device -> io_disk            filled by the programs, at a disk's first I/O
 *   disk_figures  io_disk.index -> io_figures, per CPU
 *   file_figures  io_file.index -> io_figures, per CPU
 *   file_cache    io_file.index -> io_cache, per CPU
 *   lost          io_lost -> u64, per CPU      what could not be followed
 *   pages         io_pages_key() -> io_pages   what is known of single pages
 *
 * Counters go up from when the programs were loaded. Those per CPU are to be summed up;
 * a single one may be negative (mapped).
 */
#ifndef IO_STAT_H
#define IO_STAT_H

#include <linux/types.h>

#define IO_MAX_FILES 64
#define IO_MAX_DISKS 128

/* The inode and the device of its file system, as the kernel has them inside. */
struct io_file_key {
	__u64 inode;
	__u32 device;	/* IO_DEVICE() */
	__u32 reserved; /* 0 */
};

#define IO_DEVICE(major, minor) ((__u32)(major) << 20 | (minor))

struct io_file {
	__u32 index; /* below IO_MAX_FILES */
	__u32 reserved;
	__u64 next_sector; /* the programs' own: where the read issued last ends */
};

struct io_disk {
	__u32 index; /* in order of appearance; as IO_MAX_DISKS or more: not counted */
	__u32 reserved;
	__u64 next_sector;
};

/* sizes[i]: of 512 << i bytes up to twice that, the last one also what is longer. */
#define IO_SIZES 16
#define IO_SIZE_SHIFT 9

/* latencies[i]: 1 << i us up to twice that, the first and last one also what is beyond. */
#define IO_LATENCIES 24

/* Requests that a disk completed, with an error or without. */
struct io_figures {
	__u64 reads;
	__u64 read_bytes;
	__u64 sequential; /* reads that begin where the one issued before them ends */
	__u64 timed;	  /* reads whose issue was seen too */
	__u64 read_ns;	  /* from issue to completion, of those */
	__u64 writes;	  /* 0 for files */
	__u64 write_bytes;
	__u64 sizes[IO_SIZES];
	__u64 latencies[IO_LATENCIES];
};

/* Pages. prefetched = used + mapped + evicted + those that still wait. */
struct io_cache {
	__u64 read_hits;
	__u64 read_misses;
	__u64 fault_hits;
	__u64 fault_misses;
	__u64 asked;	  /* in ranges that the module issued */
	__u64 prefetched; /* brought in by it */
	__u64 wanted;	  /* of these: used, or in a request that was waited for */
	__u64 used;	  /* of these, by a read or a fault, once each */
	__u64 mapped;	  /* of these, only mapped around another's fault */
	__u64 evicted;	  /* of these, neither before they left the page cache */
};

enum io_lost {
	IO_LOST_FLIGHTS, /* requests issued, not noted: no latency, not known if sequential */
	IO_LOST_PAGES,	 /* changes of page states that found no room */
	IO_LOST_READS,	 /* calls of read whose begin could not be noted: no hits, no misses */
	IO_LOST_DISKS,	 /* requests of disks beyond IO_MAX_DISKS */
	IO_LOST_COUNTERS
};

/* States of neighbouring pages, of which something is known. */
#define IO_CHUNK_SHIFT 5
#define IO_CHUNK_PAGES (1U << IO_CHUNK_SHIFT)
#define IO_CHUNKS 8

struct io_pages {
	/* Low half: brought in by the module, not used; high half: of these, mapped. */
	__u64 state[IO_CHUNKS];
	/* Of the low half: not used, and in no request that was waited for. */
	__u32 unwanted[IO_CHUNKS];
	/* Brought in by a read or fault that has not finished. */
	__u32 missed[IO_CHUNKS];
};

static inline __u64 io_pages_key(__u32 file, __u64 chunk)
{
	return (__u64)file << 56 | chunk / IO_CHUNKS;
}

#endif /* IO_STAT_H */
