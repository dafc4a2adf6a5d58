/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef COLINK_KERNEL_BPF_QUIET_H
#define COLINK_KERNEL_BPF_QUIET_H

/* What libbpf has to say no longer goes to stderr: errors are told in one line. */
void bpf_quiet(void);

#endif
