// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading a trace, which may be damaged or made to harm: trace_open() takes the
 * header and the index only when their checksums hold and when every byte of the
 * file is accounted for; after that all sizes are bounded by the size of the
 * file. trace_read_layer() checks a block's checksum and still trusts none of its
 * numbers. trace_format.h has the bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/bits.h"
#include "base/file.h"
#include "placement/trace.h"
#include "placement/trace_format.h"

struct trace {
	int fd;
	char *path;
	struct trace_shape shape;
	uint64_t n_tokens;
	uint32_t n_chunks;
	uint8_t *index; /* as in the file */
};

void trace_close(struct trace *trace)
{
	if (!trace)
		return;
	if (trace->fd >= 0)
		close(trace->fd);
	free(trace->index);
	free(trace->path);
	free(trace);
}

/* The index is only 8-byte aligned in the file, hence the copies. */
static uint64_t chunk_tokens(const struct trace *trace, uint32_t chunk)
{
	uint64_t n_tokens;

	memcpy(&n_tokens, trace->index + chunk * trace_index_entry_bytes(trace->shape.n_layers),
	       sizeof(n_tokens));
	return n_tokens;
}

static struct trace_block chunk_block(const struct trace *trace, uint32_t chunk, uint32_t layer)
{
	struct trace_block block;

	memcpy(&block,
	       trace->index + chunk * trace_index_entry_bytes(trace->shape.n_layers) +
		       sizeof(uint64_t) + layer * sizeof(block),
	       sizeof(block));
	return block;
}

static int read_header(const struct trace *trace, uint64_t size, struct trace_header *header,
		       struct error *err)
{
	int ret;

	if (size < sizeof(*header))
		return error_set(err, -EINVAL, "%s: %llu bytes are too few for a trace",
				 trace->path, (unsigned long long)size);
	ret = file_read_at(trace->fd, header, sizeof(*header), 0, trace->path, err);
	if (ret < 0)
		return ret;
	if (memcmp(header->magic, TRACE_MAGIC, sizeof(header->magic)))
		return error_set(err, -EINVAL, "%s: not a trace; 'colink trace' makes one",
				 trace->path);
	if (header->version != TRACE_VERSION)
		return error_set(err, -EINVAL,
				 "%s: a trace of version %u, only version %u is known; trace again",
				 trace->path, header->version, TRACE_VERSION);
	if (header->header_checksum != XXH3_64bits(header, TRACE_HEADER_CHECKED_BYTES))
		return error_set(err, -EINVAL, "%s: the header is damaged; trace again",
				 trace->path);
	return 0;
}

/* Afterwards the index fits into the file and n_chunks into 32 bits. */
static int check_header(const struct trace *trace, uint64_t size, const struct trace_header *header,
			struct error *err)
{
	uint64_t entry_bytes, index_bytes;

	if (header->n_layers == 0 || header->n_layers > TRACE_MAX_LAYERS ||
	    header->n_neurons == 0 || header->n_neurons > TRACE_MAX_NEURONS ||
	    header->n_inputs > TRACE_MAX_INPUTS)
		return error_set(
			err, -EINVAL, "%s: no model has %u layers of %u neurons and %u inputs",
			trace->path, header->n_layers, header->n_neurons, header->n_inputs);
	if (header->index_offset < sizeof(*header) || header->index_offset > size)
		return error_set(
			err, -EINVAL,
			"%s: %llu bytes, but the index is said to start at %llu; trace again",
			trace->path, (unsigned long long)size,
			(unsigned long long)header->index_offset);
	entry_bytes = trace_index_entry_bytes(header->n_layers);
	index_bytes = size - header->index_offset;
	if (header->n_chunks == 0 || header->n_chunks > UINT32_MAX || index_bytes % entry_bytes ||
	    index_bytes / entry_bytes != header->n_chunks)
		return error_set(err, -EINVAL,
				 "%s: the index at %llu has %llu bytes, not %llu for each of %llu "
				 "chunks; truncated? trace again",
				 trace->path, (unsigned long long)header->index_offset,
				 (unsigned long long)index_bytes, (unsigned long long)entry_bytes,
				 (unsigned long long)header->n_chunks);
	return 0;
}

static int read_index(struct trace *trace, uint64_t size, const struct trace_header *header,
		      struct error *err)
{
	size_t index_bytes = size - header->index_offset;
	int ret;

	trace->index = malloc(index_bytes);
	if (!trace->index)
		return error_no_memory(err, trace->path);
	ret = file_read_at(trace->fd, trace->index, index_bytes, header->index_offset, trace->path,
			   err);
	if (ret < 0)
		return ret;
	if (header->index_checksum != XXH3_64bits(trace->index, index_bytes))
		return error_set(err, -EINVAL, "%s: the index at %llu is damaged; trace again",
				 trace->path, (unsigned long long)header->index_offset);
	return 0;
}

/* The blocks follow each other from the header to the index and can hold their tokens. */
static int check_index(const struct trace *trace, const struct trace_header *header,
		       struct error *err)
{
	uint64_t position = sizeof(*header);
	uint64_t n_tokens = 0;

	for (uint32_t chunk = 0; chunk < trace->n_chunks; chunk++) {
		uint64_t tokens = chunk_tokens(trace, chunk);

		if (tokens == 0 || tokens > TRACE_CHUNK_TOKENS)
			return error_set(err, -EINVAL, "%s: chunk %u cannot have %llu tokens",
					 trace->path, chunk, (unsigned long long)tokens);
		n_tokens += tokens;
		for (uint32_t layer = 0; layer < trace->shape.n_layers; layer++) {
			struct trace_block block = chunk_block(trace, chunk, layer);

			if (block.offset != position ||
			    block.length > header->index_offset - position ||
			    block.length < tokens * (1 + 2 * (uint64_t)header->n_inputs))
				return error_set(err, -EINVAL,
						 "%s: chunk %u, layer %u: no block has %llu bytes "
						 "at offset %llu",
						 trace->path, chunk, layer,
						 (unsigned long long)block.length,
						 (unsigned long long)block.offset);
			position += block.length;
		}
	}
	if (position != header->index_offset || n_tokens != header->n_tokens)
		return error_set(err, -EINVAL, "%s: header and index contradict each other",
				 trace->path);
	return 0;
}

int trace_open(const char *path, struct trace **result, struct error *err)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	struct trace_header header;
	uint64_t size;
	int ret;

	if (!trace)
		return error_no_memory(err, path);
	trace->fd = file_open_read(path, &size, err);
	if (trace->fd < 0) {
		ret = trace->fd;
		goto fail;
	}
	trace->path = strdup(path);
	if (!trace->path) {
		ret = error_no_memory(err, path);
		goto fail;
	}
	ret = read_header(trace, size, &header, err);
	if (ret < 0)
		goto fail;
	ret = check_header(trace, size, &header, err);
	if (ret < 0)
		goto fail;
	trace->shape.n_layers = header.n_layers;
	trace->shape.n_neurons = header.n_neurons;
	trace->shape.n_inputs = header.n_inputs;
	trace->shape.model_id = header.model_id;
	trace->n_tokens = header.n_tokens;
	trace->n_chunks = (uint32_t)header.n_chunks;
	ret = read_index(trace, size, &header, err);
	if (ret < 0)
		goto fail;
	ret = check_index(trace, &header, err);
	if (ret < 0)
		goto fail;
	*result = trace;
	return 0;
fail:
	trace_close(trace);
	return ret;
}

const struct trace_shape *trace_get_shape(const struct trace *trace)
{
	return &trace->shape;
}

uint64_t trace_tokens(const struct trace *trace)
{
	return trace->n_tokens;
}

uint32_t trace_chunks(const struct trace *trace)
{
	return trace->n_chunks;
}

uint32_t trace_chunk_tokens(const struct trace *trace, uint32_t chunk)
{
	return (uint32_t)chunk_tokens(trace, chunk);
}

uint64_t trace_largest_block(const struct trace *trace)
{
	uint64_t largest = 0;

	for (uint32_t chunk = 0; chunk < trace->n_chunks; chunk++)
		for (uint32_t layer = 0; layer < trace->shape.n_layers; layer++) {
			uint64_t length = chunk_block(trace, chunk, layer).length;

			largest = length > largest ? length : largest;
		}
	return largest;
}

/* False when there is no number, or not in its shortest form. */
static bool read_leb128(const uint8_t **at, const uint8_t *end, uint32_t *value)
{
	*value = 0;
	for (unsigned int i = 0; i < TRACE_LEB128_BYTES && *at < end; i++) {
		uint8_t byte = *(*at)++;

		*value |= (uint32_t)(byte & 0x7f) << 7 * i;
		if (!(byte & 0x80))
			return byte || i == 0;
	}
	return false;
}

/* One token's neurons into the bits of `fired`, which are clear; NULL: only check. */
static bool decode_token(const uint8_t **at, const uint8_t *end, uint32_t n_neurons,
			 uint64_t *fired)
{
	uint32_t after_last = 0;
	uint32_t count, skipped;

	if (!read_leb128(at, end, &count))
		return false;
	for (; count; count--) {
		if (!read_leb128(at, end, &skipped) || skipped >= n_neurons - after_last)
			return false;
		if (fired)
			bits_set(fired, after_last + skipped);
		after_last += skipped + 1;
	}
	return true;
}

static bool decode_tokens(const struct trace *trace, const uint8_t *at, const uint8_t *end,
			  uint32_t n_tokens, uint64_t *fired)
{
	size_t words = bits_words(trace->shape.n_neurons);

	if (fired)
		memset(fired, 0, n_tokens * words * sizeof(*fired));
	for (uint32_t t = 0; t < n_tokens; t++)
		if (!decode_token(&at, end, trace->shape.n_neurons,
				  fired ? fired + t * words : NULL))
			return false;
	return at == end;
}

int trace_read_layer(const struct trace *trace, uint32_t chunk, uint32_t layer, uint64_t *fired,
		     uint16_t *inputs, struct error *err)
{
	struct trace_block block;
	uint32_t n_tokens;
	size_t input_bytes;
	uint8_t *bytes, *end_of_fired;
	int ret;

	if (chunk >= trace->n_chunks || layer >= trace->shape.n_layers ||
	    (inputs && !trace->shape.n_inputs))
		return error_set(err, -EINVAL, "%s: there is no chunk %u, layer %u%s", trace->path,
				 chunk, layer, inputs ? " with input vectors" : "");
	block = chunk_block(trace, chunk, layer);
	n_tokens = trace_chunk_tokens(trace, chunk);
	input_bytes = (size_t)n_tokens * trace->shape.n_inputs * sizeof(*inputs);
	bytes = malloc(block.length);
	if (!bytes)
		return error_no_memory(err, trace->path);
	ret = file_read_at(trace->fd, bytes, block.length, block.offset, trace->path, err);
	if (ret < 0)
		goto out;
	end_of_fired = bytes + block.length - input_bytes;
	if (block.checksum != XXH3_64bits(bytes, block.length) ||
	    !decode_tokens(trace, bytes, end_of_fired, n_tokens, fired)) {
		ret = error_set(
			err, -EINVAL,
			"%s: chunk %u, layer %u: the block at offset %llu is damaged; trace again",
			trace->path, chunk, layer, (unsigned long long)block.offset);
		goto out;
	}
	if (inputs)
		memcpy(inputs, end_of_fired, input_bytes);
out:
	free(bytes);
	return ret;
}

bool trace_chunk_unseen(const struct trace *trace, uint32_t chunk)
{
	uint32_t period =
		trace->n_chunks < TRACE_UNSEEN_EVERY ? trace->n_chunks : TRACE_UNSEEN_EVERY;

	/* The middle one of each period; a short text is one period. */
	return trace->n_chunks > 1 && chunk % period == period / 2;
}
