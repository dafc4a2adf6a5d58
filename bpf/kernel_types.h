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

struct file {
	struct inode *f_inode;
};

struct kiocb {
	struct file *ki_filp;
	long long ki_pos;
};

struct iov_iter {
	unsigned long count;
};

struct vm_area_struct {
	struct file *vm_file;
};

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long pgoff;
	unsigned long real_address;
};

#pragma clang attribute pop

#endif /* COLINK_KERNEL_TYPES_H */
