// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every key and every tensor is there once: of two, one reader would take the
 * first and another the last, and both would be right.
 */
#include "model/gguf_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_unique(const struct gguf *gguf, const char **names, uint64_t n, const char *what,
			struct error *err)
{
	qsort(names, n, sizeof(names[0]), compare);
	for (uint64_t i = 1; i < n; i++)
		if (!strcmp(names[i - 1], names[i]))
			return error_set(err, -EINVAL,
					 "%s: not a valid GGUF file: %s %s is there twice",
					 gguf->path, what, names[i]);
	return 0;
}

int gguf_check_names(const struct gguf *gguf, struct error *err)
{
	uint64_t room = gguf->n_values > gguf->n_tensors ? gguf->n_values : gguf->n_tensors;
	const char **names = malloc((room + 1) * sizeof(*names));
	int ret;

	if (!names)
		return error_no_memory(err, gguf->path);
	for (uint64_t i = 0; i < gguf->n_values; i++)
		names[i] = gguf->values[i].key;
	ret = check_unique(gguf, names, gguf->n_values, "key", err);
	for (uint64_t i = 0; i < gguf->n_tensors; i++)
		names[i] = gguf->tensors[i].name;
	if (ret == 0)
		ret = check_unique(gguf, names, gguf->n_tensors, "tensor", err);
	free(names);
	return ret;
}
