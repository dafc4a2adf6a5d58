/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bytes of a trace; private to trace_writer.c, trace.c and their fuzzer. All
 * numbers are little endian, as on every CPU that colink runs on, and checksums
 * are XXH3-64 with seed 0. In file order:
 *
 *	header	struct trace_header, 72 bytes
 *	blocks	chunk after chunk, in a chunk layer after layer, without padding
 *	index	per chunk 8 + 24 * n_layers bytes: the number of its tokens (u64),
 *		then one struct trace_block per layer; ends where the file ends
 *
 * A block is, for every token of the chunk, the number of fired neurons and then
 * for each of them, ascending, how many neurons were skipped since the one before
 * (since the layer's start for the first), all in LEB128 of the shortest form;
 * and after the last token the (n_tokens, n_inputs) f16 input vectors.
 *
 * Blocks, index and header leave no byte of the file unchecked. The header is
 * written last and says where the index starts, so that a file cut short does
 * not add up.
 */
#ifndef COLINK_PLACEMENT_TRACE_FORMAT_H
#define COLINK_PLACEMENT_TRACE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define TRACE_MAGIC "colinkTR"
#define TRACE_VERSION 1

struct trace_header {
	/*  0 */ char magic[8]; /* TRACE_MAGIC, no NUL */
	/*  8 */ uint32_t version;
	/* 12 */ uint32_t n_layers;
	/* 16 */ uint32_t n_neurons;
	/* 20 */ uint32_t n_inputs;
	/* 24 */ uint64_t model_id;
	/* 32 */ uint64_t n_tokens; /* of all chunks together */
	/* 40 */ uint64_t n_chunks;
	/* 48 */ uint64_t index_offset;
	/* 56 */ uint64_t index_checksum;
	/* 64 */ uint64_t header_checksum; /* of the 64 bytes before it */
};

struct trace_block {
	/*  0 */ uint64_t offset; /* where the block before ends */
	/*  8 */ uint64_t length;
	/* 16 */ uint64_t checksum;
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structures are stored as they are");
_Static_assert(sizeof(struct trace_header) == 72, "no padding");
_Static_assert(sizeof(struct trace_block) == 24, "no padding");

#define TRACE_HEADER_CHECKED_BYTES offsetof(struct trace_header, header_checksum)

/* Far above any model, and low enough that products of them do not overflow. */
#define TRACE_MAX_LAYERS 4096
#define TRACE_MAX_NEURONS (1u << 18)
#define TRACE_MAX_INPUTS (1u << 18)

/* Enough for any number up to TRACE_MAX_NEURONS. */
#define TRACE_LEB128_BYTES 3

static inline size_t trace_index_entry_bytes(uint32_t n_layers)
{
	return sizeof(uint64_t) + n_layers * sizeof(struct trace_block);
}

#endif
