/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few members of kernel structures that the programs look at.
 *
 * libbpf finds each member by its name in the running kernel's BTF when it loads a
 * program (CO-RE), so neither order, place nor completeness matters here, and no
 * kernel's own headers are needed to build. Names are those of Linux 6.1 and later;
 * members inside unnamed structures are found as well.
 */
#ifndef COLINK_KERNEL_TYPES_H
#define COLINK_KERNEL_TYPES_H

#include <linux/bpf.h>
#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
	__u32 s_dev;
};

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
	long long i_size;
};

struct address_space {
	struct inode *host;
};

struct file {
	struct inode *f_inode;
};

/* Of one that is a tail, bit 0 of compound_head is set, and the rest points to the head. */
struct page {
	unsigned long compound_head;
};

/* The head of a page is a folio. */
struct folio {
	struct address_space *mapping;
};

struct bio_vec {
	struct page *bv_page;
};

struct bvec_iter {
	unsigned int bi_idx;
};

struct bio {
	struct bvec_iter bi_iter;
	struct bio_vec *bi_io_vec;
};

struct gendisk {
	int major;
	int first_minor;
};

struct request_queue {
	struct gendisk *disk;
};

struct request {
	struct request_queue *q;
	unsigned int cmd_flags;
	unsigned int __data_len;
	unsigned long long __sector;
	struct bio *bio;
};

struct kiocb {
	struct file *ki_filp;
	long long ki_pos;
};

/* Of these two only their addresses matter. */
struct readahead_control {
	struct file *file;
};

struct file_ra_state {
	unsigned int ra_pages;
};

struct iov_iter {
	unsigned long count;
};

struct vm_area_struct {
	struct file *vm_file;
};

enum fault_flag {
	FAULT_FLAG_TRIED = 1 << 5,
};

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long pgoff;
	unsigned long real_address;
	enum fault_flag flags;
};

/* Of the trace events mm_filemap_add_to_page_cache and mm_filemap_delete_from_page_cache. */
struct trace_event_raw_mm_filemap_op_page_cache {
	unsigned long i_ino;
	unsigned long index;
	__u32 s_dev;
	unsigned char order;
};

enum vm_fault_reason {
	VM_FAULT_MAJOR = 0x4,
	VM_FAULT_NOPAGE = 0x100,
	VM_FAULT_LOCKED = 0x200,
};

#pragma clang attribute pop

#endif /* COLINK_KERNEL_TYPES_H */
