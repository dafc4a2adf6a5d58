// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/bpf_quiet.h"

#include <bpf/libbpf.h>

static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

void bpf_quiet(void)
{
	libbpf_set_print(say_nothing);
}
