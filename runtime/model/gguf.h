/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GGUF version 3: a header of keyed values, a table of tensors, and their data,
 * each tensor aligned. Little endian. Colink adds one convention of its own: the
 * last tensor, GGUF_CHECKSUMS, holds an XXH3-64 of every section of the file (see
 * gguf_verify.h), so that no byte of it can change unnoticed.
 *
 * The reader trusts nothing: every length is checked against the size of the
 * file before it is used, and a message names the file and the key or tensor.
 */
#ifndef COLINK_MODEL_GGUF_H
#define COLINK_MODEL_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GGUF_MAGIC "GGUF"
#define GGUF_VERSION 3
#define GGUF_DEFAULT_ALIGNMENT 32
#define GGUF_MAX_DIMS 4
#define GGUF_CHECKSUMS "colink.checksums"

/* Types of values. */
enum gguf_value_type {
	GGUF_UINT8 = 0,
	GGUF_INT8 = 1,
	GGUF_UINT16 = 2,
	GGUF_INT16 = 3,
	GGUF_UINT32 = 4,
	GGUF_INT32 = 5,
	GGUF_FLOAT32 = 6,
	GGUF_BOOL = 7,
	GGUF_STRING = 8,
	GGUF_ARRAY = 9,
	GGUF_UINT64 = 10,
	GGUF_INT64 = 11,
	GGUF_FLOAT64 = 12,
};

/* Types of tensors (of ggml's list, the ones that colink reads and writes). */
enum gguf_tensor_type {
	GGUF_TENSOR_F32 = 0,
	GGUF_TENSOR_F16 = 1,
	GGUF_TENSOR_I32 = 26,
	GGUF_TENSOR_I64 = 27,
};

struct gguf_tensor {
	const char *name;
	enum gguf_tensor_type type;
	uint32_t n_dims;
	uint64_t dims[GGUF_MAX_DIMS]; /* innermost first, as GGUF has it; 1 beyond n_dims */
	uint64_t offset; /* of the first byte in the file */
	uint64_t size; /* bytes, padding not included */
};

struct gguf;

/* Reads the header; tensors stay on disk. The caller calls gguf_close(). */
int gguf_open(const char *path, struct gguf **gguf, struct error *err);
void gguf_close(struct gguf *gguf);

const char *gguf_path(const struct gguf *gguf);
int gguf_descriptor(const struct gguf *gguf);
uint64_t gguf_file_size(const struct gguf *gguf);

/* The bytes before the first tensor: (*length), owned by `gguf`. */
const void *gguf_header(const struct gguf *gguf, uint64_t *length);

size_t gguf_n_tensors(const struct gguf *gguf);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t i);
const struct gguf_tensor *gguf_find_tensor(const struct gguf *gguf, const char *name);

bool gguf_has(const struct gguf *gguf, const char *key);

/*
 * Values that must be there with the right type. Integers may be stored in any
 * integer type as long as the value fits. Strings live as long as `gguf`.
 */
int gguf_get_u32(const struct gguf *gguf, const char *key, uint32_t *value, struct error *err);
int gguf_get_u64(const struct gguf *gguf, const char *key, uint64_t *value, struct error *err);
int gguf_get_f32(const struct gguf *gguf, const char *key, float *value, struct error *err);
int gguf_get_bool(const struct gguf *gguf, const char *key, bool *value, struct error *err);
int gguf_get_string(const struct gguf *gguf, const char *key, const char **value,
		    struct error *err);

/* Arrays: *values is one allocation, strings included; the caller frees it. */
int gguf_get_strings(const struct gguf *gguf, const char *key, const char ***values,
		     size_t *count, struct error *err);
int gguf_get_u32s(const struct gguf *gguf, const char *key, uint32_t **values, size_t *count,
		  struct error *err);

/* Bytes of an element; 0 for a type that is not in enum gguf_tensor_type. */
size_t gguf_tensor_type_size(uint32_t type);

#endif
