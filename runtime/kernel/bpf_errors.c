// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/bpf_errors.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <linux/capability.h>

/* The kernel's own "not supported", which no C library knows. */
#define KERNEL_ENOTSUPP 524

void bpf_quiet(void)
{
	libbpf_set_print(NULL);
}

static bool has(const struct __user_cap_data_struct *sets, int capability)
{
	return sets[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

/* Where unprivileged programs are not forbidden as such, the kernel finds other errors in them. */
static bool is_privileged(void)
{
	struct __user_cap_header_struct self = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	return syscall(SYS_capget, &self, sets) || has(sets, CAP_SYS_ADMIN) || has(sets, CAP_BPF);
}

const char *bpf_why_refused(int error)
{
	if (error == EPERM || error == EACCES || !is_privileged())
		return "only root may load BPF programs, and no one on a locked-down kernel";
	if (error == KERNEL_ENOTSUPP || error == EOPNOTSUPP)
		return "its functions cannot be traced on this machine";
	return strerror(error);
}
