// SPDX-License-Identifier: GPL-2.0-only
#include "placement/gap_rows.h"

#include <string.h>

#include "placement/gap_rows_private.h"

/* Best first. */
static const struct gap_rows *const all[] = {
#ifdef __x86_64__
	&gap_rows_avx512,
	&gap_rows_avx2,
#endif
	&gap_rows_portable,
};

static bool cpu_can(const struct gap_rows *rows)
{
#ifdef __x86_64__
	if (rows == &gap_rows_avx512)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("avx512bw");
	if (rows == &gap_rows_avx2)
		return __builtin_cpu_supports("avx2");
#endif
	return rows == &gap_rows_portable;
}

const struct gap_rows *gap_rows_pick(void)
{
	size_t i = 0;

	while (!cpu_can(all[i]))
		i++;
	return all[i];
}

const struct gap_rows *gap_rows_named(const char *name)
{
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(all[i]->name, name))
			return cpu_can(all[i]) ? all[i] : NULL;
	return NULL;
}
