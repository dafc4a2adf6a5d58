/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing a GGUF file with checksums (see gguf.h): first all keys, then the table
 * of tensors, then the data of each in the order of the table, streamed. The file
 * appears under its name by gguf_writer_commit() only. The same calls give the
 * same bytes.
 *
 * Errors stick: after a failure every later call does nothing, and commit returns
 * the first error. So a sequence of calls needs one check at its end, and a loop
 * that may run long checks now and then.
 */
#ifndef COLINK_MODEL_GGUF_WRITER_H
#define COLINK_MODEL_GGUF_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/gguf.h"

struct gguf_writer;

int gguf_writer_create(const char *path, uint32_t alignment, struct gguf_writer **writer,
		       struct error *err);

/* 1. Keys. "general.alignment" is written by gguf_writer_create(). */
void gguf_writer_u32(struct gguf_writer *writer, const char *key, uint32_t value);
/* Returns the place of the value, for gguf_writer_set_u64(). */
size_t gguf_writer_u64(struct gguf_writer *writer, const char *key, uint64_t value);
void gguf_writer_f32(struct gguf_writer *writer, const char *key, float value);
void gguf_writer_bool(struct gguf_writer *writer, const char *key, bool value);
void gguf_writer_string(struct gguf_writer *writer, const char *key, const char *value);
void gguf_writer_strings(struct gguf_writer *writer, const char *key, const char *const *values,
			 size_t count);
void gguf_writer_i32s(struct gguf_writer *writer, const char *key, const int32_t *values,
		      size_t count);

/* 2. The table. `dims` innermost first, at most GGUF_MAX_DIMS. */
void gguf_writer_tensor(struct gguf_writer *writer, const char *name, enum gguf_tensor_type type,
			uint32_t n_dims, const uint64_t *dims);

/*
 * 3. The data: all tensors one after the other, in any number of pieces; padding
 * is added where a tensor ends. Returns the sticky error, so that a loop can stop.
 */
int gguf_writer_data(struct gguf_writer *writer, const void *data, size_t length);

/* The name of the tensor whose data comes next; NULL when all are complete. */
const char *gguf_writer_expects(const struct gguf_writer *writer);

/*
 * Give a u64 key its final value, for what is known only after the data (a hash
 * of it). Any time before commit.
 */
void gguf_writer_set_u64(struct gguf_writer *writer, size_t place, uint64_t value);

/* One hash over all data written so far. */
uint64_t gguf_writer_data_hash(const struct gguf_writer *writer);

/* The first error, 0 if there was none. */
int gguf_writer_status(const struct gguf_writer *writer);

/* Both free `writer`. Commit fails when data is missing. */
int gguf_writer_commit(struct gguf_writer *writer, struct error *err);
void gguf_writer_abort(struct gguf_writer *writer);

#endif
