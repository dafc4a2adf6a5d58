// SPDX-License-Identifier: GPL-2.0-only
/* What the formats of tensor files have in common: the list of tensors. */
#include "model/tensor_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t checkpoint_dtype_size(enum checkpoint_dtype dtype)
{
	switch (dtype) {
	case CHECKPOINT_F32:
		return 4;
	case CHECKPOINT_F16:
	case CHECKPOINT_BF16:
		return 2;
	case CHECKPOINT_OTHER:
		break;
	}
	return 0;
}

int checkpoint_tensor_add_dim(struct checkpoint_tensor *tensor, uint64_t dim)
{
	uint64_t *last = &tensor->dims[CHECKPOINT_MAX_DIMS - 1];

	if (__builtin_mul_overflow(tensor->n_elements, dim, &tensor->n_elements))
		return -EOVERFLOW;
	if (tensor->n_dims < CHECKPOINT_MAX_DIMS) {
		tensor->dims[tensor->n_dims++] = dim;
		return 0;
	}
	tensor->dtype = CHECKPOINT_OTHER;
	return __builtin_mul_overflow(*last, dim, last) ? -EOVERFLOW : 0;
}

int tensor_file_init(struct tensor_file *file, const char *path, size_t n_tensors,
		     struct error *err)
{
	file->n_tensors = 0;
	file->path = strdup(path);
	/* One more than asked for: calloc(0) may return NULL. */
	file->tensors = calloc(n_tensors + 1, sizeof(*file->tensors));
	if (file->path && file->tensors)
		return 0;
	tensor_file_release(file);
	return error_no_memory(err, path);
}

void tensor_file_release(struct tensor_file *file)
{
	for (size_t i = 0; i < file->n_tensors; i++)
		free((char *)file->tensors[i].tensor.name);
	free(file->tensors);
	free(file->path);
	file->tensors = NULL;
	file->n_tensors = 0;
	file->path = NULL;
}

struct file_tensor *tensor_file_add(struct tensor_file *file, const char *name, size_t length)
{
	struct file_tensor *added = &file->tensors[file->n_tensors];

	added->tensor.name = strndup(name, length);
	if (!added->tensor.name)
		return NULL;
	added->tensor.file = file->path;
	added->tensor.n_elements = 1;
	added->file = file;
	file->n_tensors++;
	return added;
}

static int compare_names(const void *a, const void *b)
{
	const struct file_tensor *left = a, *right = b;

	return strcmp(left->tensor.name, right->tensor.name);
}

int tensor_file_sort(struct tensor_file *file, struct error *err)
{
	if (file->n_tensors)
		qsort(file->tensors, file->n_tensors, sizeof(*file->tensors), compare_names);
	for (size_t i = 1; i < file->n_tensors; i++)
		if (!compare_names(&file->tensors[i - 1], &file->tensors[i]))
			return error_set(err, -EINVAL, "%s: tensor \"%s\" comes twice", file->path,
					 file->tensors[i].tensor.name);
	return 0;
}

const struct file_tensor *tensor_file_find(const struct tensor_file *file, const char *name)
{
	size_t low = 0, high = file->n_tensors;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, file->tensors[middle].tensor.name);

		if (!order)
			return &file->tensors[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
