/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the GGUF reader share: gguf.c parses, gguf_values.c looks up. */
#ifndef COLINK_MODEL_GGUF_PRIVATE_H
#define COLINK_MODEL_GGUF_PRIVATE_H

#include "model/gguf.h"

struct gguf_value {
	const char *key;
	uint32_t type; /* enum gguf_value_type; of the elements for an array */
	bool is_array;
	uint64_t count; /* 1 unless an array */
	const char *string; /* a single string */
	uint64_t position; /* in the header: of the (first) value */
};

struct gguf {
	char *path;
	int fd;
	uint64_t file_size;
	char *header; /* (header_room) prefix of the file */
	uint64_t header_room;
	uint64_t header_size; /* up to the first tensor's data */
	char *arena;
	size_t arena_used;
	struct gguf_value *values; /* (n_values), in the order of the file */
	uint64_t n_values;
	struct gguf_tensor *tensors; /* (n_tensors) */
	uint64_t n_tensors;
	uint64_t alignment;
};

/* Bytes of a value of fixed size; 0 for strings, arrays and unknown types. */
size_t gguf_value_type_size(uint32_t type);

/* Refuse a file in which a key or a tensor is there twice. */
int gguf_check_names(const struct gguf *gguf, struct error *err);

#endif
