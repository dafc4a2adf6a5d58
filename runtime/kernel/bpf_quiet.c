// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/bpf_quiet.h"

#include <stddef.h>

#include <bpf/libbpf.h>

void bpf_quiet(void)
{
	libbpf_set_print(NULL);
}
