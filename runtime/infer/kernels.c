// SPDX-License-Identifier: GPL-2.0-only
#include "infer/kernels_private.h"

#include <stdbool.h>
#include <string.h>

/* Best first. */
static const struct kernels *const built[] = {
#ifdef __x86_64__
	&kernels_avx512,
	&kernels_avx2,
#endif
#ifdef __aarch64__
	&kernels_neon,
#endif
	&kernels_portable,
};

static bool cpu_has(const struct kernels *kernels)
{
#ifdef __x86_64__
	if (kernels == &kernels_avx512)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("f16c");
	if (kernels == &kernels_avx2)
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
		       __builtin_cpu_supports("f16c");
#endif
	(void)kernels;
	return true;
}

const struct kernels *kernels_best(void)
{
	size_t i = 0;

	while (!cpu_has(built[i]))
		i++;
	return built[i];
}

const struct kernels *kernels_find(const char *name)
{
	for (size_t i = 0; i < sizeof(built) / sizeof(built[0]); i++)
		if (!strcmp(built[i]->name, name) && cpu_has(built[i]))
			return built[i];
	return NULL;
}
