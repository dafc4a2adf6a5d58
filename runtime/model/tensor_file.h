/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One file of named tensors, whichever format it has: what safetensors.c and
 * torch_file.c give to checkpoint.c. A format embeds struct tensor_file in its
 * own and fills in `read` and `close`.
 */
#ifndef COLINK_MODEL_TENSOR_FILE_H
#define COLINK_MODEL_TENSOR_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/checkpoint.h"

struct tensor_file;

struct file_tensor {
	struct checkpoint_tensor tensor; /* first: a pointer to it is one to the whole */
	struct tensor_file *file;
	uint64_t offset; /* first byte, from the start of the data section or of `entry` */
	uint64_t entry;	 /* torch: the archive's entry that holds its storage; else 0 */
};

struct tensor_file {
	char *path;
	struct file_tensor *tensors; /* sorted by name once the file is open */
	size_t n_tensors;

	/* Stored bytes offset .. offset+length-1 of a tensor; the caller checked the range. */
	int (*read)(struct tensor_file *file, const struct file_tensor *tensor, uint64_t offset,
		    void *buffer, size_t length, struct error *err);

	/* Frees everything, `file` included. */
	void (*close)(struct tensor_file *file);
};

/* Bytes of an element; 0 for CHECKPOINT_OTHER. */
size_t checkpoint_dtype_size(enum checkpoint_dtype dtype);

/*
 * Append a dimension, outermost first, to a tensor that starts with n_dims 0 and
 * n_elements 1. What comes after the fourth is folded into the fourth, and the
 * tensor becomes CHECKPOINT_OTHER. -EOVERFLOW, without a message, when the
 * elements cannot be counted in 64 bits.
 */
int checkpoint_tensor_add_dim(struct checkpoint_tensor *tensor, uint64_t dim);

/* Copy the path and make room for up to `n_tensors`; n_tensors stays 0. */
int tensor_file_init(struct tensor_file *file, const char *path, size_t n_tensors,
		     struct error *err);

/* Free what tensor_file_init() and the names took; not `file` itself. */
void tensor_file_release(struct tensor_file *file);

/* The next free tensor, with a copy of the name; NULL when out of memory. */
struct file_tensor *tensor_file_add(struct tensor_file *file, const char *name, size_t length);

/* Sort by name; a name that comes twice is refused. */
int tensor_file_sort(struct tensor_file *file, struct error *err);

/* NULL when there is none of that name. */
const struct file_tensor *tensor_file_find(const struct tensor_file *file, const char *name);

#endif
