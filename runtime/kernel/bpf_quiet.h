/* SPDX-License-Identifier: GPL-2.0-only */
/* Nothing below cli/ prints, libbpf neither. */
#ifndef COLINK_KERNEL_BPF_QUIET_H
#define COLINK_KERNEL_BPF_QUIET_H

/* Call this before anything else of libbpf's; any thread, any number of times. */
void bpf_quiet(void);

#endif
