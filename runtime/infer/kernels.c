// SPDX-License-Identifier: GPL-2.0-only
#include "infer/kernels_private.h"

#include <stdbool.h>
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

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

#ifdef __x86_64__
/* By hand, since __builtin_cpu_supports() of clang 14 does not know it by name. */
static bool cpu_has_f16c(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}
#endif

static bool cpu_has(const struct kernels *kernels)
{
#ifdef __x86_64__
	if (kernels == &kernels_avx512)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("avx512bw") && cpu_has_f16c();
	if (kernels == &kernels_avx2)
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
		       cpu_has_f16c();
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
