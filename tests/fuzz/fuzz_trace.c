// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a trace: opened and read to the end, never a crash. Checksums
 * would stop nearly every input at the door, so the first byte says how much of
 * the rest is put right before:
 *
 *	0	nothing
 *	1	magic, version and all checksums
 *	2	also offsets and lengths: blocks of equal length from header to index
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bits.h"
#include "fuzz/fuzz.h"
#include "placement/trace.h"
#include "placement/trace_format.h"

static struct trace_block *block_at(uint8_t *index, uint64_t i, uint32_t n_layers)
{
	return (struct trace_block *)(index + (i / n_layers + 1) * sizeof(uint64_t) +
				      i * sizeof(struct trace_block));
}

/* Shrink the header's numbers until the index fits, and cut the rest into blocks. */
static void lay_out(uint8_t *bytes, size_t size, struct trace_header *header)
{
	uint64_t room = (size - sizeof(*header)) / 2;
	uint64_t n_blocks, length, n_tokens = 0;

	header->n_layers = 1 + header->n_layers % 4;
	header->n_neurons = 1 + header->n_neurons % 300;
	header->n_inputs %= 3;
	header->n_chunks = room / trace_index_entry_bytes(header->n_layers);
	if (header->n_chunks == 0)
		return;
	header->index_offset = size - header->n_chunks * trace_index_entry_bytes(header->n_layers);
	n_blocks = header->n_chunks * header->n_layers;
	length = (header->index_offset - sizeof(*header)) / n_blocks;
	for (uint64_t i = 0; i < n_blocks; i++) {
		struct trace_block *block =
			block_at(bytes + header->index_offset, i, header->n_layers);

		block->offset = sizeof(*header) + i * length;
		block->length = i + 1 < n_blocks ? length : header->index_offset - block->offset;
		if (i % header->n_layers == 0) {
			uint64_t *tokens = (uint64_t *)block - 1;

			*tokens = 1 + *tokens % 8;
			n_tokens += *tokens;
		}
	}
	header->n_tokens = n_tokens;
}

static void put_checksums_right(uint8_t *bytes, size_t size, struct trace_header *header)
{
	uint64_t entry_bytes = trace_index_entry_bytes(header->n_layers);
	uint64_t index_bytes;
	uint8_t *index;

	if (header->index_offset > size || header->index_offset % sizeof(uint64_t) ||
	    !header->n_layers)
		return;
	index = bytes + header->index_offset;
	index_bytes = size - header->index_offset;
	for (uint64_t i = 0; i < index_bytes / entry_bytes * header->n_layers; i++) {
		struct trace_block *block = block_at(index, i, header->n_layers);

		if (block->offset <= header->index_offset &&
		    block->length <= header->index_offset - block->offset)
			block->checksum = XXH3_64bits(bytes + block->offset, block->length);
	}
	header->index_checksum = XXH3_64bits(index, index_bytes);
}

static void put_right(uint8_t *bytes, size_t size, uint8_t how)
{
	struct trace_header header;

	if (how == 0 || size < sizeof(header))
		return;
	memcpy(&header, bytes, sizeof(header));
	memcpy(header.magic, TRACE_MAGIC, sizeof(header.magic));
	header.version = TRACE_VERSION;
	if (how == 2)
		lay_out(bytes, size, &header);
	put_checksums_right(bytes, size, &header);
	header.header_checksum = XXH3_64bits(&header, TRACE_HEADER_CHECKED_BYTES);
	memcpy(bytes, &header, sizeof(header));
}

static void read_all(const struct trace *trace)
{
	const struct trace_shape *shape = trace_get_shape(trace);

	for (uint32_t chunk = 0; chunk < trace_chunks(trace); chunk++) {
		size_t n_tokens = trace_chunk_tokens(trace, chunk);
		uint64_t *fired = malloc(n_tokens * bits_words(shape->n_neurons) * sizeof(*fired));
		uint16_t *inputs = shape->n_inputs
					   ? malloc(n_tokens * shape->n_inputs * sizeof(*inputs))
					   : NULL;

		trace_chunk_unseen(trace, chunk);
		for (uint32_t layer = 0; layer < shape->n_layers; layer++)
			trace_read_layer(trace, chunk, layer, fired, inputs, NULL);
		free(fired);
		free(inputs);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path;
	struct trace *trace;
	struct error err;
	uint8_t *bytes;
	size_t length;

	if (size < 1)
		return 0;
	length = size - 1;
	/* The index is changed in place: it has to be aligned. */
	if (data[0] % 3)
		length -= length % sizeof(uint64_t);
	bytes = malloc(size);
	require(bytes != NULL);
	memcpy(bytes, data + 1, length);
	put_right(bytes, length, data[0] % 3);
	path = fuzz_file(bytes, length);
	free(bytes);
	if (trace_open(path, &trace, &err) == 0) {
		read_all(trace);
		trace_close(trace);
	}
	return 0;
}
