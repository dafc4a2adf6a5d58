/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps of link_prefetch, as the program and whoever loads it see them.
 *
 *   files     link_file -> link_region     which files, and where their layers are
 *   layers    index -> link_layer          those of a file together, by rising offset
 *   hints     index -> link_hint           those of a layer together, by slot
 *   hot_runs  index -> link_run            those of a layer together, the hottest first
 *   policy    0 -> link_policy             may be changed while the program runs
 *   counters  link_counter -> u64, per CPU what it decided, since it was loaded
 *
 * The loader sets the sizes of layers, hints and hot_runs before it loads, fills them, and
 * adds the file last, after its class (file_classes): a file that is in the map is complete.
 */
#ifndef LINK_PREFETCH_H
#define LINK_PREFETCH_H

#include <linux/types.h>

#define LINK_MAX_FILES 64

/* Strengths and thresholds are shares of LINK_ONE. */
#define LINK_STRENGTH_BITS 16
#define LINK_ONE (1U << LINK_STRENGTH_BITS)

/*
 * The inode and the device of its file system. That is stat(2)'s, but for file systems
 * that show one of their own per subvolume (btrfs): theirs is in /proc/self/mountinfo.
 */
struct link_file {
	__u64 inode;
	__u32 device;	/* LINK_DEVICE() */
	__u32 reserved; /* 0 */
};

/*
 * Every read of the machine is looked at, so that it has to be seen at little cost that a
 * file is not in `files`: files are in so many classes, of which few have one that is.
 */
#define LINK_FILE_CLASSES 1024

static inline __u32 link_file_class(const struct link_file *file)
{
	return (__u32)(file->inode ^ file->device) % LINK_FILE_CLASSES;
}

/* A device as the kernel has it inside. */
#define LINK_DEVICE(major, minor) ((__u32)(major) << 20 | (minor))

struct link_region {
	__u32 region;	   /* id that COLINK_REGISTER returned */
	__u32 n_layers;	   /* at most COLINK_MAX_LAYERS */
	__u32 first_layer; /* index into layers */
	__u32 entered;	   /* the program's own: number + 1 of the layer touched last; 0 */
	__u64 returned;	   /* its own: ns, when a page was missed that had been here; 0: never */
};

struct link_layer {
	__u64 offset;
	__u32 stride;
	__u32 slots;
	__u32 number;	  /* as registered with the module */
	__u32 first_hint; /* index into hints, of slot 0 */
	__u32 first_hot;  /* index into hot_runs */
	__u32 n_hot;
	__u32 next;	  /* index into layers, of the one that is computed after this */
	__u32 reserved;	  /* 0 */
};

struct link_hint {
	__u32 strength;	 /* of the link from this slot to the next, 0 .. LINK_ONE */
	__u32 frequency; /* share of tokens that activate the slot, 0 .. LINK_ONE */
};

struct link_run {
	__u32 first;
	__u32 slots;
};

struct link_policy {
	__u32 threshold; /* follow links that are stronger than this; LINK_ONE: none */
	__u32 max_run;	 /* most slots to follow */
	__u32 max_hot;	 /* most runs of the next layer to ask for when one is entered */
	__u32 read_around; /* enum link_read_around */
};

/* When a fault in a layer reads around its page, as the kernel does, and not the run it is in. */
enum link_read_around {
	LINK_AROUND_NEVER,
	LINK_AROUND_ALWAYS,
	LINK_AROUND_ROOM, /* while there is room for what is not wanted yet */
};

/* Every read and fault of a file in the map ends as exactly one of those from OUTSIDE on. */
enum link_counter {
	LINK_READS,
	LINK_FAULTS,
	LINK_SLOTS,	/* that were asked for by following links */
	LINK_ENTERED,	/* layers, with another layer of the file touched before */
	LINK_HOT_ASKED,	/* runs of the next layer that the module took */
	LINK_HOT_DENIED, /* and that it did not */
	LINK_OUTSIDE,	/* of all layers */
	LINK_WEAK,	/* nothing to ask for: the first link is not over the threshold */
	LINK_IN_FAULT,	/* the fault itself reads it */
	LINK_AROUND,	/* the fault reads around its page: nothing was asked for */
	LINK_ASKED,	/* the module took it */
	LINK_DROPPED,	/* the module's queue was full */
	LINK_GONE,	/* the module no longer has the region */
	LINK_REFUSED,	/* the module's geometry is another, or another error */
	LINK_COUNTERS
};

#endif /* LINK_PREFETCH_H */
