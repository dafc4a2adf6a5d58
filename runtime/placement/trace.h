/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A trace: which neurons fired, per token and layer, while a model read a text;
 * and, when asked for, the vectors from which a predictor has to foretell that.
 *
 * On disk a trace is a sequence of chunks (tokens that went through the model
 * together, in the order of the text), each with one block per layer, so that
 * one layer can be read without the others. A block holds, per token, the fired
 * neurons in ascending order as gaps in LEB128, and after that the input vectors
 * in f16. Everything is checksummed (XXH3); a truncated trace is refused on
 * opening. Documentation/file-formats.rst has the bytes.
 */
#ifndef COLINK_PLACEMENT_TRACE_H
#define COLINK_PLACEMENT_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct trace_shape {
	uint32_t n_layers;
	uint32_t n_neurons; /* per layer */
	uint32_t n_inputs; /* length of an input vector; 0: none recorded */
	uint64_t model_id; /* which model was traced (struct model_origin) */
};

/* Most tokens in a chunk. */
#define TRACE_CHUNK_TOKENS 4096

struct trace_writer;

/* The file appears under its name by trace_writer_commit() only (base/file.h). */
int trace_writer_create(const char *path, const struct trace_shape *shape,
			struct trace_writer **writer, struct error *err);

/*
 * One chunk of 1 to TRACE_CHUNK_TOKENS tokens: begin, then every layer once in
 * ascending order. `fired` is (n_tokens, bits_words(n_neurons)), see base/bits.h;
 * `inputs` is (n_tokens, n_inputs) f16, NULL when n_inputs is 0. Nothing is kept
 * of the arguments.
 */
int trace_writer_begin_chunk(struct trace_writer *writer, uint32_t n_tokens, struct error *err);
int trace_writer_layer(struct trace_writer *writer, uint32_t layer, const uint64_t *fired,
		       const uint16_t *inputs, struct error *err);

/* Frees `writer` in every case. */
int trace_writer_commit(struct trace_writer *writer, struct error *err);
void trace_writer_abort(struct trace_writer *writer);

struct trace;

/* Reads and checks header and index, not the blocks. Reading is thread-safe. */
int trace_open(const char *path, struct trace **trace, struct error *err);
void trace_close(struct trace *trace);

const struct trace_shape *trace_get_shape(const struct trace *trace);
uint64_t trace_tokens(const struct trace *trace);
uint32_t trace_chunks(const struct trace *trace);
uint32_t trace_chunk_tokens(const struct trace *trace, uint32_t chunk);

/* Bytes that trace_read_layer() allocates at most, beside its results. */
uint64_t trace_largest_block(const struct trace *trace);

/*
 * One layer's block of one chunk, checked against its checksum. Shapes as for
 * the writer; either output may be NULL. `inputs` must be NULL for a trace
 * without input vectors.
 */
int trace_read_layer(const struct trace *trace, uint32_t chunk, uint32_t layer, uint64_t *fired,
		     uint16_t *inputs, struct error *err);

/*
 * Which chunks are kept away from placing and training, so that both can be
 * measured on tokens that they did not see: every TRACE_UNSEEN_EVERY-th chunk,
 * spread over the whole text. A trace with one chunk has none.
 */
#define TRACE_UNSEEN_EVERY 10
bool trace_chunk_unseen(const struct trace *trace, uint32_t chunk);

#endif
