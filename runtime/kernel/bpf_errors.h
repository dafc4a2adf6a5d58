/* SPDX-License-Identifier: GPL-2.0-only */
/* What libbpf and the kernel say when a program cannot be had. */
#ifndef COLINK_KERNEL_BPF_ERRORS_H
#define COLINK_KERNEL_BPF_ERRORS_H

/*
 * Nothing below cli/ prints, libbpf neither. Call this before anything else of libbpf's; any
 * thread, any number of times.
 */
void bpf_quiet(void);

/*
 * Why a program was not loaded or attached, of the (positive) error that libbpf returned. A
 * static text; strerror()'s where nothing better is known.
 */
const char *bpf_why_refused(int error);

#endif
