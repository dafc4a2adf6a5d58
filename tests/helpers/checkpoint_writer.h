/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes small checkpoints, in every form that checkpoint_open() knows, from a table. */
#ifndef COLINK_TESTS_HELPERS_CHECKPOINT_WRITER_H
#define COLINK_TESTS_HELPERS_CHECKPOINT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/checkpoint.h"

/*
 * The values are rounded to the dtype (f16 to nearest, bf16 by cutting off);
 * CHECKPOINT_OTHER is written as 64-bit integers. Two tensors with the same
 * values pointer, dtype and size share one storage in torch files.
 */
struct test_tensor {
	const char *name;
	enum checkpoint_dtype dtype;
	uint32_t n_dims;
	uint64_t dims[CHECKPOINT_MAX_DIMS];
	const float *values;
};

uint64_t test_tensor_elements(const struct test_tensor *tensor);

/* The stored bytes, which the caller frees. */
uint8_t *test_tensor_bytes(const struct test_tensor *tensor, size_t *length);

void write_safetensors(const char *path, const struct test_tensor *tensors, size_t n);

/* The header's text as it is, then the data. */
void write_raw_safetensors(const char *path, const char *header, const void *data, size_t length);

/* The way torch.save() does: OrderedDict, stored entries, folder "archive". */
void write_torch(const char *path, const struct test_tensor *tensors, size_t n);

struct test_torch_options {
	const char *folder; /* NULL: "archive" */
	bool deflate;
	bool parameters; /* every tensor inside a _rebuild_parameter */
};

void write_torch_with(const char *path, const struct test_tensor *tensors, size_t n,
		      const struct test_torch_options *options);

struct test_entry {
	const char *name;
	const void *bytes;
	size_t length;
};

void write_zip(const char *path, const struct test_entry *entries, size_t n, bool deflate);

/* Which file of the directory holds which tensors. */
struct test_shard {
	const char *file;
	const struct test_tensor *tensors;
	size_t n;
};

void write_index(const char *path, const struct test_shard *shards, size_t n);

enum test_form {
	TEST_SAFETENSORS,
	TEST_SAFETENSORS_SHARDS,
	TEST_TORCH,
	TEST_TORCH_SHARDS,
	TEST_FORMS, /* how many there are */
};

/* A whole checkpoint under the names that Hugging Face uses; shards are two. */
void write_checkpoint(const char *folder, enum test_form form, const struct test_tensor *tensors,
		      size_t n);

#endif
