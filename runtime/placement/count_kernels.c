// SPDX-License-Identifier: GPL-2.0-only
#include "placement/count_kernels.h"

#include <stdbool.h>
#include <string.h>

/* Best first. */
static const struct count_kernel *const built[] = {
#ifdef __x86_64__
	&count_kernel_avx512,
	&count_kernel_avx2,
#endif
#ifdef __aarch64__
	&count_kernel_neon,
#endif
	&count_kernel_portable,
};

static bool can_use(const struct count_kernel *kernel)
{
#ifdef __x86_64__
	if (kernel == &count_kernel_avx512)
		return __builtin_cpu_supports("avx512vpopcntdq");
	if (kernel == &count_kernel_avx2)
		return __builtin_cpu_supports("avx2");
#endif
	(void)kernel;
	return true;
}

const struct count_kernel *count_kernel_best(void)
{
	size_t i = 0;

	while (!can_use(built[i]))
		i++;
	return built[i];
}

const struct count_kernel *count_kernel_find(const char *name)
{
	for (size_t i = 0; i < sizeof(built) / sizeof(built[0]); i++)
		if (!strcmp(built[i]->name, name) && can_use(built[i]))
			return built[i];
	return NULL;
}
